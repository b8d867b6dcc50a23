"""The numbers and times of TWS: text -> integers, exactly.

TWS prints doubles as Java does (`4708.26`, `1.0E-5`), sizes as decimals, and times in four ways that depend on the
request (IB "TWS API: Historical Data", section "Date format"; ib_async 2.1 `util.parseIBDatetime`, read 2026-11).
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from stream_processors.local_time import moment_in
from topics import units
from topics.errors import BadRecord

_PLAIN = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,4}0*)?")
_CHARS_MAX = 64  # of a number or a time; the longest that TWS prints has 39
_DIGITS_LIMIT = 10**18  # of Decimal(18, n) in the store
_SECONDS_MAX = 4_102_444_800  # the year 2100
# What TWS sends where it has no value: nothing, -1, and the largest double, int, long and decimal.
_UNSET = frozenset({"", "-1", "-1.0", "1.7976931348623157E308", "2147483647", "9223372036854775807", str(2**127 - 1)})
_NOISE = Decimal("1e-9")  # a double's tail, such as 1.1229750000000001: relative to the price
_DATE = re.compile(r"[0-9]{8}")
_IB_TIME = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?: {1,2}|-)([0-9]{2}:[0-9]{2}:[0-9]{2})(?: ([A-Za-z][\w/+-]*))?")
_ISO_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.0+)?(Z|[+-][0-9]{2}:[0-9]{2})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def price_e6(text: str, name: str) -> int:
    """A price -> millionths; the tail of a double is rounded off, any other digit past the sixth is refused."""
    return units.price_e6(text) if _PLAIN.fullmatch(text) else _exact(text, units.PRICE_PLACES, name, tail=True)


def average_e6(text: str, name: str) -> int | None:
    """A mean -> millionths, rounded half to even: a quotient has no last digit. None: TWS has none."""
    if text in _UNSET:
        return None
    value = _decimal(text, name)
    return _fitting(round(value.scaleb(units.PRICE_PLACES)), text, name)


def size_e4(text: str, name: str) -> int | None:
    """A size -> ten-thousandths; None: TWS has none."""
    if text in _UNSET:
        return None
    value = _exact(text, units.SIZE_PLACES, name, tail=False)
    if value < 0:
        raise BadRecord("bad_value", f"{name}: expected no less than 0, was {text!r}")
    return value


def count(text: str, name: str) -> int | None:
    """A count; None: TWS has none."""
    if text in _UNSET:
        return None
    value = _exact(text, 0, name, tail=False)
    if value < 0:
        raise BadRecord("bad_value", f"{name}: expected no less than 0, was {text!r}")
    return value


def whole(text: str, name: str) -> int:
    """A number of the protocol itself: an id, a code, a length."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):  # noqa: PLR2004  # int64
        raise BadRecord("bad_value", f"{name}: expected a whole number, was {text[:_CHARS_MAX]!r}")
    return int(text)


def start_ns(text: str, zone: str | None) -> int:
    """The start of a bar. zone: of times that name none; without it they are refused, never taken for UTC."""
    if text.isascii() and text.isdigit() and len(text) > 8:  # noqa: PLR2004  # 8 digits are a date
        seconds = int(text) if len(text) <= 12 else _SECONDS_MAX  # noqa: PLR2004  # out of range either way
    elif _DATE.fullmatch(text):
        raise BadRecord(
            "bad_value", f"date: expected a moment, was the day {text!r}; bars of a day have no start in UTC"
        )
    else:
        seconds = _local_seconds(text[:_CHARS_MAX], zone)
    if not 0 < seconds < _SECONDS_MAX:
        raise BadRecord("bad_value", f"date: expected a time between 1970 and 2099, was {text[:_CHARS_MAX]!r}")
    return seconds * units.NS_PER_S


def _local_seconds(text: str, zone: str | None) -> int:
    if match := _IB_TIME.fullmatch(text):
        year, month, day, clock, named = match.groups()
        naive = f"{year}-{month}-{day}T{clock}"
    elif match := _ISO_TIME.fullmatch(text):
        day, clock, _, named = match.groups()
        naive = f"{day}T{clock}"
    else:
        raise BadRecord(
            "bad_value",
            f"date: expected seconds since 1970 or a time such as '20260402 09:30:00 US/Eastern', was {text!r}",
        )
    try:
        moment = datetime.fromisoformat(naive)
        if named is not None and not named[0].isalpha():
            return (datetime.fromisoformat(naive + named) - _EPOCH) // timedelta(seconds=1)
    except ValueError as error:
        raise BadRecord("bad_value", f"date: expected a date of the calendar, was {text!r}") from error
    local = moment_in(moment, "UTC" if named == "Z" else named or zone, text)
    return (local - _EPOCH) // timedelta(seconds=1)


def _decimal(text: str, name: str) -> Decimal:
    try:
        value = Decimal(text[: _CHARS_MAX + 1] if text.isascii() else "?")
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or len(text) > _CHARS_MAX or "_" in text or value.adjusted() >= 18:  # noqa: PLR2004
        raise BadRecord("bad_value", f"{name}: expected a number, was {text[:_CHARS_MAX]!r}")
    return value


def _exact(text: str, places: int, name: str, *, tail: bool) -> int:
    value = _decimal(text, name)
    scaled = value.scaleb(places)
    nearest = round(scaled)
    if nearest != scaled and not (tail and abs(scaled - nearest) <= abs(scaled) * _NOISE):
        raise BadRecord("bad_value", f"{name}: expected at most {places} decimal places, was {text!r}")
    return _fitting(nearest, text, name)


def _fitting(value: int, text: str, name: str) -> int:
    if abs(value) >= _DIGITS_LIMIT:
        raise BadRecord("bad_value", f"{name}: expected at most 18 digits, was {text!r}")
    return value
