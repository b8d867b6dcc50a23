"""How webhooks are signed, and whether this one was. Pure: raw bytes, keys and the time in; a verdict out.

Standard Webhooks (spec/standard-webhooks.md, commit b2fa7b87): headers `webhook-id`, `webhook-timestamp` and
`webhook-signature`, a list of `v1,<base64 HMAC-SHA256>` and `v1a,<base64 ed25519>`, over `{id}.{timestamp}.{body}`.
Stripe (stripe-python `_webhook.py`, commit 6c6e3736): `Stripe-Signature: t=<s>,v1=<hex HMAC-SHA256>,...` over
`{t}.{body}`, keyed with the secret as it is written, `whsec_` included.

Every key is tried on every signature, whatever the first ones gave, and compared in constant time.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from topics.errors import SettingsError, TapefoldError
from topics.units import NS_PER_S

Scheme = Literal["standard", "stripe"]
Why = Literal[
    "missing_header",  # a header that the scheme requires is absent
    "malformed_header",  # a header is there twice, or is not what the scheme says
    "no_known_signature",  # no signature of a version that we hold keys for
    "wrong_signature",  # no key gives any of the signatures
    "too_old",  # rightly signed, longer ago than allowed
    "in_future",  # rightly signed, by a clock that is further ahead of ours than allowed
]

ID_CHARS_MAX = 256
SIGNATURES_MAX = 32  # a rotation shows two or three; each costs a comparison with every key
_TIMESTAMP_DIGITS_MAX = 12
_HMAC_KEY_BYTES = (24, 64)  # what the specification allows
_ED25519_BYTES = 32

Headers = Sequence[tuple[bytes, bytes]]  # names in lower case, as ASGI gives them
Key = bytes | Ed25519PublicKey


class Rejected(TapefoldError):
    """A request that no sender of ours signed just now. For logs and counters; the sender is not told why.

    why: from the closed set `Why`. skew_s: our clock minus the signed one, where the signature was right.
    """

    def __init__(self, why: Why, detail: str, skew_s: float | None = None) -> None:
        super().__init__(why, detail)
        self.why: Why = why
        self.detail = detail
        self.skew_s = skew_s

    def __str__(self) -> str:
        return f"{self.why}: {self.detail}"


class Tolerance(NamedTuple):
    """How far, in seconds, the signed time may lie behind our clock and ahead of it."""

    age_s: int
    future_s: int


class Signed(NamedTuple):
    """What a right signature vouches for, beside the body. event_id: None where the scheme leaves it to the body."""

    event_id: str | None
    signed_s: int


def key_of(scheme: Scheme, secret: str) -> Key:
    """A secret as its provider shows it -> the key. Raises SettingsError, which never quotes the secret."""
    if scheme == "stripe":
        if not secret:
            raise SettingsError("webhook secret (stripe): expected text such as 'whsec_...', was empty")
        return secret.encode("utf-8", "backslashreplace")
    text = secret.removeprefix("whpk_")
    try:
        raw = _decoded(text.removeprefix("whsec_"))
    except ValueError:  # binascii.Error, and text that is not ASCII
        raise SettingsError(f"webhook secret (standard): expected base64 after its prefix; {_remedy(secret)}") from None
    if text != secret:
        if len(raw) != _ED25519_BYTES:
            raise SettingsError(f"webhook key whpk_: expected {_ED25519_BYTES} bytes in base64, were {len(raw)}")
        return Ed25519PublicKey.from_public_bytes(raw)
    least, most = _HMAC_KEY_BYTES
    if not least <= len(raw) <= most:
        raise SettingsError(f"webhook secret (standard): expected {least} to {most} bytes in base64, were {len(raw)}")
    return raw


def _remedy(secret: str) -> str:
    if secret.startswith("whsk_"):
        return "'whsk_' is the sender's private key; take its public key, 'whpk_...'"
    return "take it from the provider's page, or set WEBHOOK_SCHEME=stripe if the provider is Stripe"


def _decoded(text: str) -> bytes:
    """Base64, also without its padding, as the official libraries read it. Raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def verify(
    scheme: Scheme, keys: Sequence[Key], headers: Headers, body: bytes, *, now_ns: int, within: Tolerance
) -> Signed:
    """What is rightly signed, and just now. Raises Rejected."""
    signed = (_standard if scheme == "standard" else _stripe)(keys, headers, body)
    skew_s = now_ns / 1e9 - signed.signed_s
    if skew_s > within.age_s:
        raise Rejected("too_old", f"expected at most {within.age_s} s ago, was {skew_s:.0f} s", skew_s)
    if -skew_s > within.future_s:
        raise Rejected("in_future", f"expected at most {within.future_s} s ahead, was {-skew_s:.0f} s", skew_s)
    return signed


def unverified(scheme: Scheme, headers: Headers, now_ns: int) -> Signed:
    """What the headers claim, for local tests without signatures: an id where one stands, and our time."""
    try:
        event_id = _one_of(headers, b"webhook-id", b"svix-id").decode() if scheme == "standard" else None
    except (Rejected, UnicodeDecodeError):
        event_id = None
    return Signed(event_id if event_id and is_id(event_id) else None, now_ns // NS_PER_S)


def is_id(text: str) -> bool:
    """Whether a text may name an event: short, printable, without spaces, and unambiguous when it is signed.

    `{id}.{timestamp}.{body}` can be cut in one way only if no part of the id behind a full stop is a number.
    """
    return (
        0 < len(text) <= ID_CHARS_MAX
        and text.isascii()
        and text.isprintable()
        and " " not in text
        and not any(part.isdigit() for part in text.split(".")[1:])
    )


def _standard(keys: Sequence[Key], headers: Headers, body: bytes) -> Signed:
    event_id = _one_of(headers, b"webhook-id", b"svix-id")
    timestamp = _one_of(headers, b"webhook-timestamp", b"svix-timestamp")
    listed = _one_of(headers, b"webhook-signature", b"svix-signature").split(b" ")
    text = event_id.decode("latin-1")
    if not is_id(text):
        raise Rejected("malformed_header", f"webhook-id: expected a short id without spaces, was {text[:80]!r}")
    signed_s = _seconds(timestamp)
    offered = [(version, signature) for version, comma, signature in (one.partition(b",") for one in listed) if comma]
    content = b"%b.%b.%b" % (event_id, timestamp, body)
    hmac_keys = [key for key in keys if isinstance(key, bytes)]
    public_keys = [key for key in keys if not isinstance(key, bytes)]
    v1 = _bounded([signature for version, signature in offered if version == b"v1" and hmac_keys])
    v1a = _bounded([signature for version, signature in offered if version == b"v1a" and public_keys])
    if not v1 and not v1a:
        raise Rejected("no_known_signature", f"expected v1 or v1a, were {[bytes(v) for v, _ in offered[:4]]!r}")
    wanted = [base64.b64encode(hmac.digest(key, content, hashlib.sha256)) for key in hmac_keys]
    right = _any_equal(wanted, v1)
    right |= sum(_ed25519(key, signature, content) for key in public_keys for signature in v1a) > 0
    if not right:
        raise Rejected("wrong_signature", f"none of {len(v1) + len(v1a)} signatures under any of {len(keys)} keys")
    return Signed(text, signed_s)


def _stripe(keys: Sequence[Key], headers: Headers, body: bytes) -> Signed:
    header = _one_of(headers, b"stripe-signature")
    parts = [(name.strip(), value) for name, _, value in (part.partition(b"=") for part in header.split(b","))]
    times = {value for name, value in parts if name == b"t"}
    if len(times) != 1:
        raise Rejected("malformed_header", f"stripe-signature: expected one t=, were {len(times)}")
    timestamp = times.pop()
    signed_s = _seconds(timestamp)
    v1 = _bounded([value for name, value in parts if name == b"v1"])
    if not v1:
        raise Rejected("no_known_signature", "stripe-signature: expected v1=, was none")
    content = b"%b.%b" % (timestamp, body)
    wanted = [hmac.digest(key, content, hashlib.sha256).hex().encode() for key in keys if isinstance(key, bytes)]
    if not _any_equal(wanted, v1):
        raise Rejected("wrong_signature", f"none of {len(v1)} signatures under any of {len(keys)} keys")
    return Signed(None, signed_s)


def _any_equal(wanted: Sequence[bytes], offered: Sequence[bytes]) -> bool:
    """Whether any two are equal; all pairs are compared, so that the time tells nothing of which."""
    return sum(hmac.compare_digest(one, other) for one in wanted for other in offered) > 0


def _ed25519(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(_decoded(signature.decode("ascii", "replace")), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _bounded(signatures: list[bytes]) -> list[bytes]:
    if len(signatures) > SIGNATURES_MAX:
        raise Rejected("malformed_header", f"expected at most {SIGNATURES_MAX} signatures, were {len(signatures)}")
    return signatures


def _one_of(headers: Headers, *names: bytes) -> bytes:
    """The one value under the first of the names that is there."""
    found: Mapping[bytes, list[bytes]] = _grouped(headers, names)
    for name in names:
        if values := found.get(name):
            if len(values) > 1:
                raise Rejected("malformed_header", f"{name.decode()}: expected once, stands {len(values)} times")
            return values[0]
    raise Rejected("missing_header", f"expected {names[0].decode()}")


def _grouped(headers: Headers, names: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {name: [] for name in names}
    for name, value in headers:
        if name in found:
            found[name].append(value)
    return found


def _seconds(text: bytes) -> int:
    if not text.isdigit() or len(text) > _TIMESTAMP_DIGITS_MAX:
        raise Rejected("malformed_header", f"timestamp: expected seconds since the epoch, was {text[:40]!r}")
    return int(text)
