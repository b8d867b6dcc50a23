"""Who may send, and under which secrets. The secrets may change while the service runs: see `SecretsFile`.

The file is TOML, a table for each provider, readable by its owner alone:

    [payments]
    scheme = "stripe"              # or "standard": Standard Webhooks, v1 (whsec_) and v1a (whpk_)
    secrets = ["whsec_new", "whsec_old"]
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from producers.webhook.schemes import Key, Scheme, key_of
from topics.errors import SettingsError

SECRETS_MAX = 16  # of one provider: each is tried on each request
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


class Provider(NamedTuple):
    """One sender: its name is the last part of the path it posts to."""

    name: str
    scheme: Scheme
    keys: tuple[Key, ...]


Providers = Mapping[str, Provider]


def provider_of(name: str, scheme: object, secrets: object) -> Provider:
    """Check one provider's settings. Raises SettingsError."""
    if not _NAME.fullmatch(name):
        raise SettingsError(f"webhook provider: expected a name such as 'stripe' or 'my-sender', was {name!r}")
    if scheme not in {"standard", "stripe"}:
        raise SettingsError(f"webhook provider {name}: scheme: expected 'standard' or 'stripe', was {scheme!r}")
    if not isinstance(secrets, list) or not 1 <= len(secrets) <= SECRETS_MAX:
        raise SettingsError(f"webhook provider {name}: secrets: expected a list of 1 to {SECRETS_MAX} texts")
    if not all(isinstance(secret, str) for secret in secrets):
        raise SettingsError(f"webhook provider {name}: secrets: expected texts")
    kind: Scheme = "stripe" if scheme == "stripe" else "standard"
    return Provider(name, kind, tuple(key_of(kind, secret) for secret in secrets))


def providers_of(text: str) -> dict[str, Provider]:
    """The providers of a secrets file. Raises SettingsError, which never quotes a secret."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at .*\)", str(error))  # the rest of the message may quote a secret
        raise SettingsError(f"webhook secrets: expected TOML, was none {place.group() if place else ''}") from None
    found = {}
    for name, table in tables.items():
        if not isinstance(table, dict) or table.keys() - {"scheme", "secrets"}:
            raise SettingsError(f"webhook provider {name}: expected a table with scheme and secrets")
        found[name] = provider_of(name, table.get("scheme"), table.get("secrets"))
    if not found:
        raise SettingsError("webhook secrets: expected at least one provider, was none")
    return found


class SecretsFile:
    """A file that is read again when it changed.

    A change that cannot be read leaves the secrets as they are; `on_error` is told, once for each state of the file.
    """

    def __init__(self, path: Path, on_error: Callable[[SettingsError], None]) -> None:
        self._path = path
        self._on_error = on_error
        self._complaint: str | None = None
        self._seen = self._state()
        self.providers: Providers = self._read()

    def look(self) -> bool:
        """Read the file if it is another than last time; returns whether the providers were replaced."""
        try:
            state = self._state()
            if state == self._seen:
                return False
            self._seen = state
            self.providers = self._read()
        except SettingsError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                self._on_error(error)
            return False
        self._complaint = None
        return True

    def _state(self) -> tuple[int, int, int, int]:
        try:
            stat = self._path.stat()
        except OSError as error:
            raise SettingsError(f"WEBHOOK_SECRETS_FILE: expected a readable file, was {error}") from error
        if stat.st_mode & 0o077:
            raise SettingsError(
                f"WEBHOOK_SECRETS_FILE: expected mode 0600 or 0400, was {stat.st_mode & 0o777:04o}; "
                f"run `chmod 600 {self._path}`"
            )
        return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns

    def _read(self) -> Providers:
        try:
            return providers_of(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"WEBHOOK_SECRETS_FILE: expected readable text, was {type(error).__name__}") from error
