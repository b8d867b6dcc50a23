"""A throw-away API key for the simulator. Never a key of Kalshi's."""

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_ID = "5137a70f-0000-4000-8000-000000000000"
"""Key id of the simulator: no secret, and no id that Kalshi would give out."""

KEY_FILE = "simulator-kalshi.pem"
KEY_BITS = 2048


class BadKeyFile(Exception):
    """The key file in the state folder is not the RSA key that `ensure_keypair` writes; remove it to get a new one."""


def ensure_keypair(folder: Path) -> tuple[str, Path, rsa.RSAPublicKey]:
    """Key id, path of the private key (PEM, PKCS#8, mode 0600) and public key; made on the first call, then kept.

    The folder is made when missing. Raises `BadKeyFile`, and OSError when the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / KEY_FILE
    if not path.exists():
        _write_new(path)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise BadKeyFile(
            f"{path}: expected an RSA key in PEM, it cannot be read; remove it to get a new one"
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise BadKeyFile(f"{path}: expected an RSA key, was {type(key).__name__}; remove it to get a new one")
    return KEY_ID, path, key.public_key()


def _write_new(path: Path) -> None:
    """Write a new key so that two processes end up with one: the second finds the file of the first."""
    pem = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
