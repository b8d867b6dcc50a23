"""A webhook's body -> one typed fact. Pure. What the receiver verified stands in the record's headers.

Stripe's events: `id`, `object` (`event`, or `v2.core.event` of the thin ones), `type`, `created`, `data.object.id`.
Standard Webhooks prescribes no payload and recommends `type`, `timestamp` and `data`; each is read where it stands.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from stream_processors.envelope import Envelope, stamp_ns
from topics.errors import BadRecord
from topics.events import Cause
from topics.units import NS_PER_S
from topics.webhook import (
    H_CONFLICT,
    H_CONTENT,
    H_PROVIDER,
    H_REJECTED,
    H_SCHEME,
    H_SIGNED_S,
    H_WEBHOOK_ID,
    Webhook,
)

_INT64_MAX = 2**63 - 1
_TEXT_MAX = 256  # of a type or an object's id: longer ones are no names
_STRIPE_OBJECTS = frozenset({"event", "v2.core.event"})


class _Object(Struct):
    id: Any = None


class _StripeData(Struct):
    object: _Object | None = None


class _Stripe(Struct):
    id: str
    object: str
    type: str | None = None
    created: int | str | None = None
    data: _StripeData | None = None


class _Standard(Struct):
    type: Any = None
    timestamp: Any = None
    data: Any = None


_decode_stripe = msgspec.json.Decoder(_Stripe).decode
_decode_standard = msgspec.json.Decoder(_Standard).decode


class _Read(Struct):
    """What a body says: see Webhook."""

    event_type: str | None
    event_ns: int | None
    object_id: str | None


def parse(value: bytes, envelope: Envelope, headers: Mapping[str, bytes], cause: Cause) -> Webhook:
    """The fact in a webhook's body. Raises BadRecord."""
    provider, scheme, event_id, content = _identity(headers)
    if why := headers.get(H_REJECTED):
        raise BadRecord("bad_signature", f"expected a signature of the recording's secret, was {_text(why)}")
    if place := headers.get(H_CONFLICT):
        raise BadRecord(
            "conflict", f"expected the content of raw.webhook {_text(place)}, which has the same id {event_id!r}"
        )
    try:
        value.decode()
        payload = msgspec.json.format(value, indent=-1)
        read = _stripe(value) if scheme == "stripe" else _standard(value)
    except msgspec.ValidationError as error:
        missing = "missing required field" in str(error)
        raise BadRecord("missing_field" if missing else "bad_value", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord("not_json", f"expected a JSON object: {error}") from error
    signed_ns = _signed_ns(headers)
    event_ns, event_by = _event(read.event_ns, signed_ns, envelope.received_ns)
    return Webhook(
        provider=provider,
        scheme=scheme,
        event_id=event_id,
        event_ns=event_ns,
        event_by=event_by,
        received_ns=envelope.received_ns,
        known_ns=envelope.received_ns,
        known_by=envelope.known_by,
        cause=cause,
        conn=envelope.conn,
        content=content,
        event_type=read.event_type,
        object_id=read.object_id,
        signed_ns=signed_ns,
        payload=Raw(payload),
    )


def key_of(fact: Webhook) -> str:
    """Where the fact meets others of its object: provider and object, or provider and event."""
    return f"{fact.provider}/{fact.object_id or fact.event_id}"


def _identity(headers: Mapping[str, bytes]) -> tuple[str, Literal["standard", "stripe"], str, str]:
    values = [headers.get(name, b"") for name in (H_PROVIDER, H_SCHEME, H_WEBHOOK_ID, H_CONTENT)]
    if not all(values) or not all(map(bytes.isascii, values)) or values[1] not in {b"standard", b"stripe"}:
        raise BadRecord(
            "missing_header",
            f"expected {H_PROVIDER}, {H_SCHEME} (standard or stripe), {H_WEBHOOK_ID} and {H_CONTENT}, were {values!r}",
        )
    provider, _, event_id, content = (value.decode() for value in values)
    return provider, "stripe" if values[1] == b"stripe" else "standard", event_id, content


def _signed_ns(headers: Mapping[str, bytes]) -> int | None:
    if H_SIGNED_S not in headers:
        return None
    seconds = stamp_ns(headers[H_SIGNED_S])
    if seconds is None or seconds > _INT64_MAX // NS_PER_S:
        raise BadRecord("missing_header", f"{H_SIGNED_S}: expected seconds, was {headers[H_SIGNED_S]!r}")
    return seconds * NS_PER_S


def _event(
    payload_ns: int | None, signed_ns: int | None, received_ns: int
) -> tuple[int, Literal["payload", "signed", "received"]]:
    if payload_ns is not None:
        return payload_ns, "payload"
    return (received_ns, "received") if signed_ns is None else (signed_ns, "signed")


def _stripe(value: bytes) -> _Read:
    event = _decode_stripe(value)
    if event.object not in _STRIPE_OBJECTS:
        raise BadRecord("bad_value", f"object: expected {' or '.join(sorted(_STRIPE_OBJECTS))}, was {event.object!r}")
    created_ns = _time_ns(event.created)
    if created_ns is None and event.created is not None:
        raise BadRecord("bad_value", f"created: expected seconds or RFC 3339, was {event.created!r}")
    about = None if event.data is None or event.data.object is None else event.data.object.id
    return _Read(_name(event.type), created_ns, _name(about))


def _standard(value: bytes) -> _Read:
    event = _decode_standard(value)
    about = event.data.get("id") if isinstance(event.data, dict) else None
    when = event.timestamp if isinstance(event.timestamp, str) else None
    return _Read(_name(event.type), _time_ns(when), _name(about))


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _TEXT_MAX else None


def _time_ns(value: int | str | None) -> int | None:
    """Seconds or RFC 3339 with an offset -> nanoseconds; None for anything else. Digits past microseconds are cut."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            return None
        whole = moment.replace(microsecond=0)
        try:
            value_ns = int(whole.timestamp()) * NS_PER_S + moment.microsecond * 1_000
        except OverflowError:  # a year before 1 or after 9999 in UTC
            return None
    elif value is None:
        return None
    else:
        value_ns = value * NS_PER_S
    return value_ns if 0 <= value_ns <= _INT64_MAX else None


def _text(value: bytes) -> str:
    return value.decode("ascii", "backslashreplace")
