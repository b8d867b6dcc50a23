"""The handshake signature, as signed by producers and checked by the simulator."""

# the expected value stands on the left, by the rule of this repo

import base64

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from producers.kalshi.auth import KeyUnusable, SignatureRefused, Signer, verify

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PATH = "/trade-api/ws/v2"
NOW_MS = 1_785_901_540_025


def pem(
    key: PrivateKeyTypes,
    form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
    encryption: serialization.KeySerializationEncryption | None = None,
) -> bytes:
    """The key as PEM bytes."""
    return key.private_bytes(serialization.Encoding.PEM, form, encryption or serialization.NoEncryption())


def signed(path: str = PATH, method: str = "GET", timestamp_ms: int = NOW_MS) -> dict[str, str]:
    """Headers signed by the test key."""
    return Signer("key-1", pem(KEY)).headers(method, path, timestamp_ms)


def test_the_signed_text_is_timestamp_method_path_with_a_salt_of_32_bytes() -> None:
    """An independent check with the vendor's parameters accepts the signature."""
    headers = signed()
    KEY.public_key().verify(
        base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"]),
        b"1785901540025GET/trade-api/ws/v2",
        padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32),
        hashes.SHA256(),
    )
    assert "key-1" == headers["KALSHI-ACCESS-KEY"]
    assert "1785901540025" == headers["KALSHI-ACCESS-TIMESTAMP"]
    assert 344 == len(headers["KALSHI-ACCESS-SIGNATURE"])


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_both_pem_forms_sign(form: serialization.PrivateFormat) -> None:
    """PKCS#1 and PKCS#8 files of one key make signatures that its public half accepts."""
    headers = Signer("key-1", pem(KEY, form)).headers("GET", PATH, NOW_MS)
    verify(KEY.public_key(), headers, "GET", PATH, NOW_MS, 0)


def test_two_signatures_of_one_request_differ_and_both_hold() -> None:
    """PSS is randomised, so a checker must verify and never compare."""
    first, second = signed(), signed()
    assert first != second
    for headers in (first, second):
        verify(KEY.public_key(), headers, "GET", PATH, NOW_MS, 0)


def test_the_query_string_is_not_signed() -> None:
    """A signature over a path with a query holds for the path without one."""
    verify(KEY.public_key(), signed(PATH + "?a=1"), "GET", PATH, NOW_MS, 0)


def test_header_names_are_matched_without_regard_to_case() -> None:
    """Proxies and HTTP libraries rewrite the case of header names."""
    lower = {name.lower(): value for name, value in signed().items()}
    verify(KEY.public_key(), lower, "get", PATH, NOW_MS, 0)


@pytest.mark.parametrize(
    ("headers", "now_ms", "reason", "words"),
    [
        ({}, NOW_MS, "header missing", "expected KALSHI-ACCESS-KEY"),
        (signed() | {"KALSHI-ACCESS-TIMESTAMP": "soon"}, NOW_MS, "timestamp unreadable", "'soon'"),
        (signed(), NOW_MS + 5_001, "timestamp skewed", "-5001 ms off"),
        (signed(), NOW_MS - 5_001, "timestamp skewed", "+5001 ms off"),
        (signed() | {"KALSHI-ACCESS-SIGNATURE": "%%%"}, NOW_MS, "signature unreadable", "base64"),
        (signed("/trade-api/v2/markets"), NOW_MS, "signature wrong", "GET /trade-api/ws/v2"),
        (signed(method="POST"), NOW_MS, "signature wrong", "salt 32"),
        (signed() | {"KALSHI-ACCESS-TIMESTAMP": str(NOW_MS + 1)}, NOW_MS, "signature wrong", "1785901540026"),
    ],
)
def test_a_refusal_names_its_reason(headers: dict[str, str], now_ms: int, reason: str, words: str) -> None:
    """Each way to fail has a reason from the closed list and says what was expected."""
    with pytest.raises(SignatureRefused) as refusal:
        verify(KEY.public_key(), headers, "GET", PATH, now_ms, 5_000)
    assert reason == refusal.value.reason
    assert words in str(refusal.value)


def test_a_foreign_key_is_refused() -> None:
    """A signature of another key does not hold."""
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with pytest.raises(SignatureRefused, match="signature wrong"):
        verify(other.public_key(), signed(), "GET", PATH, NOW_MS, 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read"),
        (b"-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n", "cannot be read"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "no RSA key but Ed25519PrivateKey"),
        (pem(KEY, encryption=serialization.BestAvailableEncryption(b"pw")), "encrypted"),
    ],
)
def test_an_unusable_key_says_what_is_wrong_without_showing_the_key(content: bytes, words: str) -> None:
    """The error names the problem and the remedy, and no byte of the key."""
    with pytest.raises(KeyUnusable, match=words) as problem:
        Signer("key-1", content)
    assert "expected an unencrypted RSA key in PEM" in str(problem.value)
    assert "c2VjcmV0" not in str(problem.value)
