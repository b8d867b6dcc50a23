"""Fields that say in an older form what another says: kept where they say something else. Pure."""

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from stream_processors.fields import rfc3339_ns
from topics.errors import BadRecord
from topics.units import E4_PER_CONTRACT, E6_PER_CENT, NS_PER_MS, NS_PER_S

NOTHING = Raw(b"{}")
Extra = dict[str, Any]
_encode = msgspec.json.encode


def others(extra: Extra, **restated: tuple[int | None, int | None]) -> Raw:
    """`extra` as JSON. restated: fields of an older form with what the newer one says; kept where they differ."""
    for name, (said, newer) in restated.items():
        if said is not None and said != newer:
            extra[name] = said
    return Raw(_encode(extra)) if extra else NOTHING


def cents_of(value_e6: int) -> int | None:
    """The cents that a price is; None for a fraction of one."""
    cents, rest = divmod(value_e6, E6_PER_CENT)
    return None if rest else cents


def whole_of(value_e4: int) -> int | None:
    """The contracts that a size is; None for a fraction of one."""
    contracts, rest = divmod(value_e4, E4_PER_CONTRACT)
    return None if rest else contracts


def beyond_ns_of(ts: str, ts_ms: int) -> int | None:
    """Nanoseconds that `ts` has beyond `ts_ms`; None where it speaks of another millisecond, or of no time."""
    fraction = ts[20:-1]
    try:
        second = _second(ts[:19] + ts[-1:])
    except BadRecord:
        return None
    if ts[19:20] != "." or not (fraction.isascii() and fraction.isdigit() and len(fraction) <= 9):  # noqa: PLR2004
        return None
    beyond = second * NS_PER_S + int(fraction.ljust(9, "0")) - ts_ms * NS_PER_MS
    return beyond if 0 <= beyond < NS_PER_MS else None


@lru_cache(maxsize=4_096)  # deltas of a second share it
def _second(text: str) -> int:
    return rfc3339_ns(text) // NS_PER_S


def same_second(text: str, event_ns: int) -> bool:
    """Whether a time says no more than `event_ns` does, and nothing else."""
    try:
        time_ns = rfc3339_ns(text)
    except (BadRecord, ValueError):
        return False
    return time_ns in {event_ns, event_ns // NS_PER_S * NS_PER_S}
