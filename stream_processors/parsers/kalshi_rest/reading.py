"""One JSON object of an answer, field by field: typed values out, and what nobody asked for kept as it was sent."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw

from stream_processors.envelope import Envelope, Origin
from stream_processors.fields import natural, price, rfc3339_ns, size
from topics.errors import BadRecord
from topics.events import Cause, KnownBy
from topics.units import E4_PER_CONTRACT, E6_PER_CENT, E6_PER_DOLLAR, NS_PER_S, price_e6

# The year 2262: markets close in 2099 and later. An int64 of nanoseconds reaches a day further, for what is added to it.
SECONDS_MAX = 9_223_200_000
_COUNT_MAX = 10**14  # integer cents and contracts, times 10^4, must have 18 digits at most
_NUMBER_CHARS_MAX = 32
_TEXT_CHARS_MAX = 100_000
_OBSERVED: KnownBy = "observed"
_ASSUMED: KnownBy = "assumed"
_ZERO_TIME = "0001-01-01T00:00:00Z"  # Go's zero time: the exchange's word for "none"

_values = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
_raws = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder(order="sorted").encode


class Context:
    """What stands around all facts of one answer; gives each fact its cause, counted from 0."""

    def __init__(self, envelope: Envelope, cause: Cause) -> None:
        self.envelope = envelope
        self._cause = cause
        self._index = 0

    def next_cause(self) -> Cause:
        """The cause of the next fact or refusal."""
        cause = self._cause
        self._index += 1
        return Cause(cause.topic, cause.partition, cause.offset, self._index - 1)

    def origin(self, assumed_ns: int | None) -> Origin:
        """What the next fact of this answer does not take from its payload; takes the next cause.

        assumed_ns: when it was known by its own rule, for payloads whose recorder left no stamp. Where the rule finds no
        time either, the fact is known from the moment at which we hold it.
        """
        envelope = self.envelope
        known_ns, known_by = envelope.received_ns, envelope.known_by
        if not envelope.stamped:
            known_ns, known_by = (envelope.received_ns, _OBSERVED) if assumed_ns is None else (assumed_ns, _ASSUMED)
        cause = self.next_cause()
        return Origin(
            received_ns=envelope.received_ns, known_ns=known_ns, known_by=known_by, cause=cause, conn=envelope.conn
        )


class Fields:
    """One object. Each method returns the value of a field, None when it is absent or null, and raises BadRecord.

    `others` is what no method was asked for.
    """

    def __init__(self, raw: Raw | bytes) -> None:
        self._raw = bytes(raw)
        self._raw.decode()  # what a decoder skips it does not check; the log holds UTF-8 only
        self._values = _values(self._raw)
        self._asked: set[str] = set()

    def text(self, name: str) -> str | None:
        """Text; "" is text."""
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > _TEXT_CHARS_MAX:
            raise _bad(name, f"text of at most {_TEXT_CHARS_MAX} characters", value)
        return value

    def filled(self, name: str) -> str | None:
        """Text, None for ""."""
        return self.text(name) or None

    def required(self, name: str) -> str:
        """A ticker or an id: 1 to 256 characters."""
        value = self.filled(name)
        if value is None:
            raise BadRecord("missing_field", f"expected `{name}`, was absent or empty")
        if len(value) > 256:  # noqa: PLR2004  # as in the WebSocket's frames
            raise _bad(name, "at most 256 characters", value)
        return value

    def flag(self, name: str) -> bool | None:
        """Truth."""
        value = self._take(name)
        if value is not None and not isinstance(value, bool):
            raise _bad(name, "true or false", value)
        return value

    def whole(self, name: str) -> int | None:
        """A whole number that an int64 holds."""
        value = self._take(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**63):
            raise _bad(name, "a whole number", value)
        return value

    def number_e6(self, name: str) -> int | None:
        """A JSON number, or a number as text, in millionths; more than six decimal places are refused."""
        value = self._take(name)
        if value is None:
            return None
        return _e6(name, value)

    def price_e6(self, name: str) -> int | None:
        """Dollars of `<name>_dollars`, else cents of `name`."""
        text, cents = self._take(f"{name}_dollars"), self._take(name)
        if text is None and cents is None:
            return None
        if text is None:
            return _count(name, cents) * E6_PER_CENT
        return price(_decimal_text(f"{name}_dollars", text), None, name)

    def historical_price_e6(self, name: str) -> int | None:
        """As `price_e6`, but text under the plain name is dollars: the shape of the historical endpoints."""
        if isinstance(self._values.get(name), str):
            return price(_decimal_text(name, self._take(name)), None, name)
        return self.price_e6(name)

    def size_e4(self, name: str) -> int | None:
        """Contracts of `<name>_fp`, else whole ones of `name`; text under the plain name is contracts too."""
        text, count = self._take(f"{name}_fp"), self._take(name)
        if text is None and isinstance(count, str):
            text = count
        if text is None:
            return None if count is None else _count(name, count) * E4_PER_CONTRACT
        return size(_decimal_text(f"{name}_fp", text), None, name)

    def time_ns(self, name: str) -> int | None:
        """RFC 3339; the zero time is none."""
        value = self.filled(name)
        if value is None or value == _ZERO_TIME:
            return None
        return rfc3339_ns(value, SECONDS_MAX)

    def seconds_ns(self, name: str) -> int | None:
        """Whole seconds since the epoch."""
        value = self.whole(name)
        if value is None:
            return None
        if not 0 < value <= SECONDS_MAX:
            raise _bad(name, "seconds between 1970 and 2262", value)
        return value * NS_PER_S

    def raw(self, name: str, empty: Raw) -> Raw:
        """The field's JSON text as it was sent; `empty` when it is absent or null."""
        if self._take(name) is None:
            return empty
        return Raw(bytes(_raws(self._raw)[name]))

    def skip(self, *names: str) -> None:
        """Fields that another type holds."""
        self._asked.update(names)

    def others(self, more: Mapping[str, Raw] | None = None) -> Raw:
        """All fields that nobody asked for, as an object, each as it was sent; `more`: those of inner objects."""
        left = self._values.keys() - self._asked
        if not left and not more:
            return Raw(b"{}")
        raws = _raws(self._raw)
        return Raw(_encode({name: raws[name] for name in left} | dict(more or {})))

    def _take(self, name: str) -> Any:
        self._asked.add(name)
        return self._values.get(name)


def revision_of(*content: object) -> str:
    """A hash of content: equal content, equal revision."""
    return hashlib.sha256(_encode(content)).hexdigest()[:16]


def levels(raw: Raw | None) -> tuple[tuple[int, int], ...]:
    """`[[price, size], ...]`: both as text, or cents and contracts as whole numbers; a side that is null is empty."""
    if raw is None:
        return ()
    found = []
    for level in msgspec.json.decode(raw, type=list[tuple[Any, Any]] | None) or ():
        at, many = level
        if isinstance(at, str):
            at_e6 = price(_decimal_text("price", at), None, "price")
        else:
            at_e6 = _count("price", at) * E6_PER_CENT
        if isinstance(many, str):
            found.append((at_e6, size(_decimal_text("size", many), None, "size")))
        else:
            found.append((at_e6, _count("size", many) * E4_PER_CONTRACT))
    return tuple(found)


def complement_e6(best_no_e6: int | None) -> int | None:
    """The yes ask that a no bid is."""
    return None if best_no_e6 is None else E6_PER_DOLLAR - best_no_e6


def items(raw: Raw | None) -> list[Raw]:
    """The elements of a list, each as sent; a null list is empty."""
    return [] if raw is None else msgspec.json.decode(raw, type=list[Raw] | None) or []


def parts(value: bytes | Raw) -> dict[str, Raw]:
    """The fields of an object, each as sent. Raises msgspec's errors."""
    bytes(value).decode()
    return _raws(value)


def _decimal_text(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > _NUMBER_CHARS_MAX:
        raise _bad(name, "a decimal number as text", value)
    return value


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value >= _COUNT_MAX:
        raise _bad(name, "a whole number", value)
    return natural(value, str(value))


def _e6(name: str, value: object) -> int:
    if isinstance(value, Decimal) and abs(value.adjusted()) < _NUMBER_CHARS_MAX:
        value = format(value, "f")
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**12:
        value = str(value)
    return price_e6(_decimal_text(name, value))


def _bad(name: str, expected: str, was: object) -> BadRecord:
    return BadRecord("bad_value", f"`{name}`: expected {expected}, was {str(was)[:100]!r}")
