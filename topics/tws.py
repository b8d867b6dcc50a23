"""The language of TWS bars: what a request asked for, the bars that came, and what did not come.

Sources: Interactive Brokers "TWS API: Historical Data" and "Historical Data Limitations", and the field order of messages
17 and 90 in ib_async 2.1 (`decoder.py`, read 2026-11). Units are those of `topics.events`: prices `_e6`, sizes `_e4`
(shares, contracts, lots or units of currency), times in nanoseconds since the epoch, UTC.
"""

from typing import Literal

from msgspec import Raw, Struct

from topics.events import Cause, Int64, KnownBy, Told
from topics.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_S

# Bar sizes below a day, as TWS spells them; a day's bar has no start that UTC could name.
BAR_SIZES_NS: dict[str, int] = {
    "1 secs": NS_PER_S,
    **{f"{count} secs": count * NS_PER_S for count in (5, 10, 15, 30)},
    "1 min": NS_PER_MINUTE,
    **{f"{count} mins": count * NS_PER_MINUTE for count in (2, 3, 5, 10, 15, 20, 30)},
    "1 hour": NS_PER_HOUR,
    **{f"{count} hours": count * NS_PER_HOUR for count in (2, 3, 4, 8)},
}
MINUTE = "1 min"
WhatToShow = Literal["TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST"]

TwsReason = Literal[
    "pacing",  # 162 with a pacing text, 420, 100: we asked too fast
    "no_data",  # 162 "HMDS query returned no data": TWS itself says that there is none
    "empty",  # an answer without bars and without a word why: never taken for "no data"
    "no_permission",  # 162 or 354, 10089, 10090: this account may not have them
    "unknown_contract",  # 200: no such security
    "bad_request",  # 321 and its kin: the request itself is wrong
    "cancelled",  # 162 "query cancelled", 366: the request was taken back
    "timeout",  # no answer, or a message (165) and then none
    "disconnected",  # the socket closed while the request was open, or none could be opened
    "connectivity",  # 1100, 2110: TWS has lost Interactive Brokers
    "farm",  # 2103, 2105, 2157: the data farm is broken
    "competing_session",  # 10197: another login has the data
    "client_id_taken",  # 326: another client uses our client id
    "unknown_code",  # a code that is not in our list: treated as a failure that may pass
]


class TwsRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the request asked for to which a message answers; stands in the header `request` of raw records.

    symbol: the name under which the user knows the contract. con_id: Interactive Brokers' id of it; None: not told.
    end: endDateTime as sent, empty for now. duration: durationStr as sent. zone: an IANA name, for recorded files whose
    times name no zone; None: such times are refused. use_rth: regular hours only; None: not told.
    """

    symbol: str
    what_to_show: WhatToShow
    bar_size: str
    use_rth: bool | None = None
    con_id: Int64 | None = None
    sec_type: str | None = None
    exchange: str | None = None
    currency: str | None = None
    end: str | None = None
    duration: str | None = None
    keep_up_to_date: bool = False
    zone: str | None = None


class TwsUnitNotice(Struct, frozen=True, kw_only=True):
    """How the fetch of one unit of the plan (a symbol's day) ended: the account of what came and what did not.

    status: `complete` needs bars, or TWS's own word that there are none (reason `no_data`). from_ns..to_ns: the interval
    asked for, half open. bars: how many finished ones came. code, text: TWS's last error for the request, None: none.
    """

    request: TwsRequest
    date: str
    from_ns: Int64
    to_ns: Int64
    status: Literal["complete", "failed"]
    reason: TwsReason | None
    code: Int64 | None
    text: str | None
    bars: Int64
    attempts: Int64
    clock_ns: Int64


class TwsOutageNotice(Struct, frozen=True, kw_only=True):
    """Bars may be missing from `started_ns` on: the line to TWS, or its line to Interactive Brokers, is gone.

    ended_ns None: it still is; the same outage is told again with its end. data_lost: what the restoring code said
    (1101 True, 1102 False), None: the line came back without one.
    """

    outage_id: str
    reason: TwsReason
    started_ns: Int64
    ended_ns: Int64 | None
    code: Int64 | None
    text: str | None
    data_lost: bool | None
    symbols: tuple[str, ...]
    clock_ns: Int64


class TwsBar(Told, frozen=True, kw_only=True, gc=False, tag="tws_bar"):
    """One telling of one bar. Identity: symbol, con_id, what_to_show, bar_size, use_rth, event_ns; the rest may be revised.

    event_ns: the bar's start. end_ns: its start and its size; the true end is never later (a session's first hour is
    shorter). known_ns: the later of end_ns and the time of receipt, for a finished bar; the time of receipt, for one that
    was still growing; end_ns by assumption, for a recorded file without a time of receipt. finished: nothing more is
    added to it; a later answer may still correct it. average: volume-weighted price. count: trades in it. None: TWS has no such value
    (MIDPOINT, BID and ASK have no volume). told_by: `answer` to a request (17), `update` of a live one (90), a
    `realtime` bar of 5 s (50), or a recorded `file`. terms: what else the file says of the bar.
    """

    symbol: str
    what_to_show: str
    bar_size: str
    end_ns: Int64
    open_e6: Int64
    high_e6: Int64
    low_e6: Int64
    close_e6: Int64
    finished: bool
    told_by: Literal["answer", "update", "realtime", "file"]
    volume_e4: Int64 | None = None
    average_e6: Int64 | None = None
    count: Int64 | None = None
    use_rth: bool | None = None
    con_id: Int64 | None = None
    terms: Raw = Raw(b"{}")


class TwsUnit(Told, frozen=True, kw_only=True, gc=False, tag="tws_unit"):
    """A TwsUnitNotice as a fact. event_ns: the start of the interval."""

    symbol: str
    what_to_show: str
    bar_size: str
    date: str
    to_ns: Int64
    status: Literal["complete", "failed"]
    bars: Int64
    attempts: Int64
    reason: TwsReason | None = None
    code: Int64 | None = None
    text: str | None = None
    use_rth: bool | None = None
    con_id: Int64 | None = None


class TwsOutage(Told, frozen=True, kw_only=True, gc=False, tag="tws_outage"):
    """A TwsOutageNotice as a fact. event_ns: its beginning."""

    outage_id: str
    reason: TwsReason
    ended_ns: Int64 | None = None
    code: Int64 | None = None
    text: str | None = None
    data_lost: bool | None = None
    symbols: tuple[str, ...] = ()


class TwsError(Told, frozen=True, kw_only=True, gc=False, tag="tws_error"):
    """Message 4: what TWS said with a code. req_id None: of no request. symbol: of the request, None: of none."""

    code: Int64
    text: str
    req_id: Int64 | None = None
    symbol: str | None = None
    reason: TwsReason | None = None


class TwsMinute(Struct, frozen=True, kw_only=True, gc=False):
    """One minute of TWS as it now holds; the tellings stand on `fact.bar`.

    rev: finished tellings folded in. contents: distinct ones among them; above 1 it was corrected. known_ns: of the first
    telling of this content after the last one of another. cause: of that telling.
    """

    row_id: str
    rev: int
    symbol: str
    con_id: int | None
    what_to_show: str
    use_rth: bool | None
    minute_ns: int
    open_e6: int
    high_e6: int
    low_e6: int
    close_e6: int
    volume_e4: int | None
    average_e6: int | None
    count: int | None
    contents: int
    known_ns: int
    known_by: KnownBy
    cause: Cause


def is_finished_minute(bar: TwsBar) -> bool:
    """Whether the telling is one of those that a curated minute is made of."""
    return bar.finished and bar.bar_size == MINUTE


AnyTwsFact = TwsBar | TwsUnit | TwsOutage | TwsError
