"""What a webhook says of itself: its id, the object it is about, and a digest of its material content. Pure.

Two deliveries of one event are equal if their JSON is, in whatever order and spacing a sender writes it. Stripe counts
in `pending_webhooks` the deliveries that are still to be made: it may differ between two of them, so it is no content.
"""

import hashlib
import json
from typing import Any, NamedTuple

from producers.webhook.schemes import Scheme, is_id

DIGEST_BYTES = 16
_IMMATERIAL: dict[Scheme, frozenset[str]] = {"stripe": frozenset({"pending_webhooks"}), "standard": frozenset()}


class Content(NamedTuple):
    """event_id, object_id: None where the body names none. digest: of what is material. readable: a JSON object."""

    event_id: str | None
    object_id: str | None
    digest: bytes
    readable: bool


def content_of(scheme: Scheme, body: bytes) -> Content:
    """Look into a body that was verified. Whatever it holds, there is a digest."""
    try:
        value = json.loads(body, parse_float=_exact, parse_constant=_refuse)
    except (ValueError, RecursionError):  # of these are UnicodeDecodeError and JSONDecodeError
        value = None
    if not isinstance(value, dict):
        return Content(None, None, _digest(body), readable=False)
    material = {name: part for name, part in value.items() if name not in _IMMATERIAL[scheme]}
    try:
        digest = _digest(json.dumps(material, sort_keys=True, separators=(",", ":")).encode())
    except (ValueError, RecursionError):  # an integer of more digits than Python writes
        digest = _digest(body)
    data = value.get("data")
    told = data.get("object") if scheme == "stripe" and isinstance(data, dict) else data
    return Content(
        _id(value.get("id")) if scheme == "stripe" else None,
        _id(told.get("id")) if isinstance(told, dict) else None,
        digest,
        readable=True,
    )


def id_of_content(digest: bytes) -> str:
    """The id of an event that brings none: its own content, so that a repeat is still found."""
    return f"content:{digest.hex()}"


def _id(value: Any) -> str | None:
    return value if isinstance(value, str) and is_id(value) else None


def _exact(text: str) -> dict[str, str]:
    return {"\0number": text}  # not a float: 0.1 and 0.10000000000000000001 differ


def _refuse(text: str) -> Any:
    raise ValueError(f"expected JSON, was {text}")


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:DIGEST_BYTES]
