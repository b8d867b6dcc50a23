"""What Kalshi's parsers share: bounds of fields, money and sizes of three eras, times, and the words of a refusal.

Integer cents and contracts until 2026-03-12, with decimal strings (`_dollars`, `_fp`) beside them before; strings alone
since. Where a payload has both, the strings win.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from topics.errors import BadRecord
from topics.units import E4_PER_CONTRACT, E6_PER_CENT, NS_PER_S, price_e6, size_e4

SECONDS_MAX = 4_102_444_799  # the end of the year 2099: past it a time stamp is nonsense, and so is 0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

Natural = Annotated[int, Meta(ge=0, le=2**53)]
Dollars = Annotated[int, Meta(ge=-(2**53), le=2**53)]
# Integer cents and contracts become millionths and ten-thousandths: times 10^4, which must still have 18 digits at most.
Count = Annotated[int, Meta(ge=0, lt=10**14)]
SignedCount = Annotated[int, Meta(gt=-(10**14), lt=10**14)]
Moment = Annotated[int, Meta(ge=0, le=2**33)]
Seconds = Annotated[int, Meta(ge=1, le=SECONDS_MAX)]
Millis = Annotated[int, Meta(ge=1, le=SECONDS_MAX * 1_000 + 999)]
Ticker = Annotated[str, Meta(min_length=1, max_length=256)]
Decimal = Annotated[str, Meta(max_length=32)]  # a number as text; units keep 18 digits of it
Level = tuple[Decimal, Decimal]
DollarLevel = tuple[Decimal, Count]
CentLevel = tuple[Count, Count]


def refusal(error: msgspec.ValidationError) -> BadRecord:
    """The reason and the words for what the decoder said."""
    text = str(error)
    if text.endswith(("at `$.type`", "required field `type`")):
        return BadRecord("unknown_type", f"expected a frame type of the market data channels: {text}")
    if text.startswith("Object missing required field"):
        return BadRecord("missing_field", text)
    return BadRecord("bad_value", text)


def natural(value: int, text: str) -> int:
    """`value`, which was `text`, when it is not negative."""
    if value < 0:
        raise BadRecord("bad_value", f"expected a price or a size >= 0, was {text!r}")
    return value


def price(text: str | None, cents: int | None, field: str) -> int:
    """Millionths of a dollar, from dollars as text or else from cents. field: its name, for the refusal."""
    if text is not None:
        return natural(price_e6(text), text)
    if cents is not None:
        return cents * E6_PER_CENT
    raise BadRecord("missing_field", f"expected `{field}_dollars` or `{field}`, was neither")


def size(text: str | None, count: int | None, field: str, *, signed: bool = False) -> int:
    """Ten-thousandths of a contract, from contracts as text or else as a whole number."""
    if text is not None:
        return size_e4(text) if signed else natural(size_e4(text), text)
    if count is not None:
        return count * E4_PER_CONTRACT
    raise BadRecord("missing_field", f"expected `{field}_fp` or `{field}`, was neither")


def optional_size(text: str | None) -> int | None:
    """Ten-thousandths of a contract; None where nothing was told."""
    return None if text is None else natural(size_e4(text), text)


def rfc3339_ns(text: str, seconds_max: int = SECONDS_MAX) -> int:
    """RFC 3339 text -> nanoseconds since the epoch, by integers: a float would lose what is below a microsecond."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise BadRecord("bad_value", f"expected a time such as '2026-08-27T13:56:23.996443Z', was {text!r}")
    date, time, fraction, zone = match.groups()
    moment = datetime.fromisoformat(f"{date}T{time}{zone.upper()}")
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    if not 0 < seconds <= seconds_max:
        raise BadRecord("bad_value", f"expected a time between 1970 and 2099, was {text!r}")
    return seconds * NS_PER_S + int((fraction or "").ljust(9, "0"))


def levels(
    fixed: tuple[Level, ...] | None, dollars: tuple[DollarLevel, ...] | None, cents: tuple[CentLevel, ...] | None
) -> tuple[tuple[int, int], ...]:
    """An absent side is an empty one."""
    if fixed is not None:
        return tuple((price(dollars_, None, ""), size(count, None, "")) for dollars_, count in fixed)
    if dollars is not None:
        return tuple((price(dollars_, None, ""), count * E4_PER_CONTRACT) for dollars_, count in dollars)
    return tuple((cents_ * E6_PER_CENT, count * E4_PER_CONTRACT) for cents_, count in cents or ())
