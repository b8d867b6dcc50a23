"""Times that name no zone, in a zone that somebody else says. Pure."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from topics.errors import BadRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE = re.compile(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?", re.ASCII)


@lru_cache(maxsize=64)  # a session has one or two; the bound is for recordings of anything
def zone_of(name: str) -> ZoneInfo:
    """The IANA zone. Raises BadRecord."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # unknown, malformed, or the name of a folder of zones
        raise BadRecord("bad_value", f"date: expected an IANA time zone such as US/Eastern, was {name!r}") from error


def moment_in(moment: datetime, zone: str | None, text: str) -> datetime:
    """A naive time, which was `text`, as one moment. Raises BadRecord without a zone, and where a clock is changed."""
    if zone is None:
        raise BadRecord("bad_value", f"date: {text!r} names no time zone; say which one it is in (--zone)")
    local = moment.replace(tzinfo=zone_of(zone))
    if local.utcoffset() != local.replace(fold=1).utcoffset():
        raise BadRecord("bad_value", f"date: {text!r} is not one moment in {zone}: the clock is changed there")
    return local


def local_ns(text: str, zone: str | None) -> int:
    """`2025-12-09T07:04:02.893378` in a zone, nanoseconds since the epoch. Raises BadRecord."""
    if not _NAIVE.fullmatch(text):
        raise BadRecord(
            "bad_value", f"timestamp: expected a time such as 2025-12-09T07:04:02.893378, was {text[:64]!r}"
        )
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRecord("bad_value", f"timestamp: expected a date of the calendar, was {text!r}") from error
    return (moment_in(moment, zone, text) - _EPOCH) // timedelta(microseconds=1) * 1_000
