"""Kalshi's request signature: RSA-PSS over timestamp, method and path; signing for producers, checking for the simulator.

The signed text is `timestamp_ms + METHOD + path` without separators, the path with its `/trade-api/...` prefix and
without host or query string. RSA-PSS, SHA-256, MGF1 with SHA-256, salt of 32 bytes (the digest's length), standard
base64. PSS is randomised: two signatures of one text differ, so they are verified, never compared.

Vendor: docs.kalshi.com, "API keys" and "Quick start: WebSockets" (read 2026-11-21). The permitted clock skew is not
documented there; the checker takes it as an argument. Ed25519 keys exist since OpenAPI 3.31, but the form of their
signature is not documented, so they are refused by name.

This module reads no clock and no file. Every (re)connect needs a fresh signature.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

KEY_HEADER = "KALSHI-ACCESS-KEY"
TIMESTAMP_HEADER = "KALSHI-ACCESS-TIMESTAMP"
SIGNATURE_HEADER = "KALSHI-ACCESS-SIGNATURE"

Refusal = Literal[
    "header missing", "timestamp unreadable", "timestamp skewed", "signature unreadable", "signature wrong"
]


class AuthError(Exception):
    """Root of what can go wrong here: `KeyUnusable` (our settings) and `SignatureRefused` (the peer's request)."""


class KeyUnusable(AuthError):
    """The private key cannot sign for Kalshi; `problem` says why. Never carries any part of the key."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)

    def __str__(self) -> str:
        return f"Kalshi private key: {self.problem}; expected an unencrypted RSA key in PEM (PKCS#1 or PKCS#8)"


class SignatureRefused(AuthError):
    """A request whose signature does not hold: `reason` from a closed list, `detail` with expected and actual."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        self.reason: Refusal = reason
        self.detail = detail
        super().__init__(reason, detail)

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class Signer:
    """Signs requests of one API key. Raises `KeyUnusable` for a key that is unreadable, encrypted or not RSA.

    key_id: the id that Kalshi shows beside the key, a UUID; sent as is.
    private_key_pem: the bytes of the PEM file, PKCS#1 (`BEGIN RSA PRIVATE KEY`) or PKCS#8 (`BEGIN PRIVATE KEY`).
    """

    def __init__(self, key_id: str, private_key_pem: bytes) -> None:
        self._key_id = key_id
        self._key = _load(private_key_pem)

    def __repr__(self) -> str:
        return f"Signer(key_id={self._key_id!r})"

    def headers(self, method: str, path: str, timestamp_ms: int) -> dict[str, str]:
        """The three headers of a request. `path` from the root, its query string is ignored; Unix milliseconds."""
        signature = self._key.sign(_signed_text(method, path, str(timestamp_ms)), _pss(), hashes.SHA256())
        return {
            KEY_HEADER: self._key_id,
            TIMESTAMP_HEADER: str(timestamp_ms),
            SIGNATURE_HEADER: base64.b64encode(signature).decode("ascii"),
        }


def verify(  # noqa: PLR0917  (the order is that of the signed text)
    public_key: rsa.RSAPublicKey,
    headers: Mapping[str, str],
    method: str,
    path: str,
    now_ms: int,
    skew_ms_max: int,
) -> None:
    """Raise `SignatureRefused` unless `headers` sign this method and path within `skew_ms_max` of `now_ms`.

    Header names are matched without regard to case. The key id is not looked at: which key is meant is the caller's
    business.
    """
    folded = {name.lower(): value for name, value in headers.items()}
    _header(folded, KEY_HEADER)
    timestamp = _header(folded, TIMESTAMP_HEADER)
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise SignatureRefused("timestamp unreadable", f"expected Unix milliseconds in digits, was {timestamp!r}")
    skew_ms = int(timestamp) - now_ms
    if abs(skew_ms) > skew_ms_max:
        raise SignatureRefused("timestamp skewed", f"expected within {skew_ms_max} ms of ours, was {skew_ms:+d} ms off")
    try:
        signature = base64.b64decode(_header(folded, SIGNATURE_HEADER), validate=True)
    except binascii.Error as error:
        raise SignatureRefused("signature unreadable", f"expected standard base64, was not: {error}") from error
    try:
        public_key.verify(signature, _signed_text(method, path, timestamp), _pss(), hashes.SHA256())
    except InvalidSignature as error:
        wanted = f"{timestamp} {method.upper()} {path.split('?', maxsplit=1)[0]}"
        raise SignatureRefused("signature wrong", f"expected RSA-PSS SHA-256 salt 32 of {wanted!r}") from error


def _load(pem: bytes) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise KeyUnusable("it is encrypted with a passphrase") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnusable("it cannot be read as PEM") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyUnusable(f"it is no RSA key but {type(key).__name__}")
    return key


def _header(folded: Mapping[str, str], name: str) -> str:
    value = folded.get(name.lower())
    if value is None:
        raise SignatureRefused("header missing", f"expected {name}, was absent")
    return value


def _signed_text(method: str, path: str, timestamp: str) -> bytes:
    return f"{timestamp}{method.upper()}{path.split('?', maxsplit=1)[0]}".encode()


def _pss() -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
