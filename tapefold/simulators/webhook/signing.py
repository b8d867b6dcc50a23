"""Signatures as a sender makes them. Written from the schemes' texts, apart from the receiver that verifies them."""

import base64
import hashlib
import hmac
from typing import Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Scheme = Literal["standard", "stripe"]
Headers = dict[str, str]


def signed(scheme: Scheme, secret: str, event_id: str, body: bytes, at_s: int) -> Headers:
    """The headers of one delivery; `whsk_` secrets sign with ed25519 (v1a), all others with HMAC-SHA256."""
    if scheme == "stripe":
        mac = hmac.new(secret.encode(), str(at_s).encode() + b"." + body, hashlib.sha256)
        return {"stripe-signature": f"t={at_s},v1={mac.hexdigest()}"}
    content = f"{event_id}.{at_s}.".encode() + body
    if secret.startswith("whsk_"):
        key = Ed25519PrivateKey.from_private_bytes(_base64(secret.removeprefix("whsk_"))[:32])
        signature = "v1a," + base64.b64encode(key.sign(content)).decode()
    else:
        mac = hmac.new(_base64(secret.removeprefix("whsec_")), content, hashlib.sha256)
        signature = "v1," + base64.b64encode(mac.digest()).decode()
    return {"webhook-id": event_id, "webhook-timestamp": str(at_s), "webhook-signature": signature}


def public_key(secret: str) -> str:
    """The `whpk_` key that belongs to a `whsk_` one."""
    key = Ed25519PrivateKey.from_private_bytes(_base64(secret.removeprefix("whsk_"))[:32]).public_key()
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return "whpk_" + base64.b64encode(raw).decode()


def _base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))
