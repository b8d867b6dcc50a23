"""The typed events of the log: notices (what a producer says), facts (what a parser read), rows (what a fold derived).

Times are nanoseconds since the epoch, UTC. `event_ns` is theirs, `received_ns` ours, `known_ns` the first moment at
which a decision may use the fact, `known_by` how we know that. Prices are millionths of a dollar (`_e6`), sizes
ten-thousandths of a contract (`_e4`). `None` means that the source did not say; no other value stands for missing.
"""

from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]  # what the store's columns and our arithmetic can hold
KnownBy = Literal["observed", "modelled", "assumed"]
Side = Literal["yes", "no"]
Channel = Literal["orderbook_delta", "trade", "ticker", "market_lifecycle_v2"]
# What a gap or an interval of coverage is about: a channel of the socket; what REST lists of a series, or the candles of a
# market; what a sender pushes.
Recorded = Channel | Literal["listing", "candles", "webhook"]
GapKind = Literal[
    "seq_hole",  # sequence numbers are missing on a subscription that stands
    "disconnect",  # the connection ended without our asking
    "stall",  # nothing came for longer than the heartbeat deadline; we left
    "crash",  # the recorder died without a word; its successor found that out when it started
    "overflow",  # the exchange closed the subscription because we were slow (error 25)
    "channel_error",  # the exchange closed the subscription (error 10)
    "over_limit",  # more books of one market are open than the fold keeps; this one was let go
    "incomplete",  # REST lists less of a final market than its volume says, or its answer cannot be read
]


class Cause(Struct, frozen=True, array_like=True, gc=False):
    """Where a fact comes from: the raw record, and the index of the fact within it."""

    topic: str
    partition: int
    offset: int
    index: int = 0


# --- notices: what producers say of themselves on a raw topic -------------------------------------------------------


class BeatNotice(Struct, frozen=True, kw_only=True, gc=False):
    """The producer's clock has reached `clock_ns`, and all it received before that stands before this record.

    lease_ns: after this much silence of `conn` while others beat, nobody needs to wait for it.
    data_ns: the latest exchange time seen, None before the first. bye: this connection is gone for good.
    """

    source: str
    conn: str
    clock_ns: int
    lease_ns: int
    data_ns: int | None = None
    bye: bool = False


class GapNotice(Struct, frozen=True, kw_only=True, gc=False):
    """Frames of `sid` were lost; for each of its markets one notice stands before the frame that revealed it.

    from_seq..to_seq: the missing numbers, both included; to_seq None: the subscription ended, how many is unknown.
    """

    source: str
    conn: str
    sid: int
    channel: Recorded
    kind: GapKind
    market_ticker: str
    from_seq: int | None
    to_seq: int | None
    clock_ns: int


class CoverageNotice(Struct, frozen=True, kw_only=True, gc=False):
    """From `started_ns` on (until `ended_ns`) this connection records `channel` of `market_ticker`.

    sid 0: of a source without subscriptions. market_ticker: of a `listing` the series, of a `webhook` the sender.
    """

    source: str
    conn: str
    sid: int
    channel: Recorded
    market_ticker: str
    started_ns: int
    ended_ns: int | None = None
    ended_by: Literal["stop", "gap"] | None = None


# --- facts: what a parser read in a raw record -----------------------------------------------------------------------


class Told(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", omit_defaults=True):
    """What a fact of any source carries. conn: the producer's run or connection, or the recorder that a file names.

    Facts that begin with their key (`Fact`, the weather's, webhooks) name the same six fields behind it: the order of the
    fields is the order of the bytes on the log.
    """

    event_ns: Int64
    received_ns: Int64
    known_ns: Int64
    known_by: KnownBy
    cause: Cause
    conn: str


class Fact(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", omit_defaults=True):
    """What every fact of Kalshi's socket carries. `conn` and `sid` name its session, `seq` its number there."""

    market_ticker: str
    event_ns: Int64
    received_ns: Int64
    known_ns: Int64
    known_by: KnownBy
    cause: Cause
    conn: str
    sid: Int64
    seq: Int64 | None = None


class Trade(Fact, frozen=True, kw_only=True, gc=False, tag="trade"):
    """One trade. Identity: `trade_id`. Material fields: ticker, id, time in ms, prices, size.

    sid 0: told by REST, which has no subscriptions. extra: fields that no other names, as sent; and those that repeat
    another in an older form (cents, seconds) where they do not say the same.
    """

    trade_id: str
    yes_price_e6: Int64
    no_price_e6: Int64
    size_e4: Int64
    taker_outcome_side: Side | None = None
    taker_book_side: Literal["bid", "ask"] | None = None
    is_block_trade: bool | None = None
    extra: Raw = Raw(b"{}")


class Tick(Fact, frozen=True, kw_only=True, gc=False, tag="tick"):
    """One ticker frame. It has no sequence number: a lost one cannot be noticed. extra: as in Trade."""

    price_e6: Int64
    yes_bid_e6: Int64
    yes_ask_e6: Int64
    volume_e4: Int64
    open_interest_e4: Int64
    yes_bid_size_e4: Int64 | None = None
    yes_ask_size_e4: Int64 | None = None
    last_trade_size_e4: Int64 | None = None
    dollar_volume: Int64 | None = None
    dollar_open_interest: Int64 | None = None
    market_id: str | None = None
    extra: Raw = Raw(b"{}")


class BookSnapshot(Fact, frozen=True, kw_only=True, gc=False, tag="snapshot"):
    """All resting bids of a market: (price_e6, size_e4) per side. Has no exchange time of its own.

    event_by: `sid`, the latest exchange time of its subscription; `received` when there was none yet. extra: as in Trade.
    """

    yes: tuple[tuple[Int64, Int64], ...] = ()
    no: tuple[tuple[Int64, Int64], ...] = ()
    event_by: Literal["sid", "received"]
    market_id: str | None = None
    extra: Raw = Raw(b"{}")


class BookDelta(Fact, frozen=True, kw_only=True, gc=False, tag="delta"):
    """`delta_e4` is added to the resting size at (`side`, `price_e6`); a level at 0 is gone.

    beyond_ns: what the frame's finer time says beyond `event_ns`, below a millisecond. extra: as in Trade.
    """

    side: Side
    price_e6: Int64
    delta_e4: Int64
    event_by: Literal["exchange", "received"] = "exchange"
    market_id: str | None = None
    beyond_ns: Int64 = 0
    extra: Raw = Raw(b"{}")


class Market(Fact, frozen=True, kw_only=True, gc=False, tag="market"):
    """One lifecycle announcement. Times in seconds as sent; `terms` holds the whole message, as sent. extra: as in Trade."""

    event_type: str
    open_ts: Int64 | None = None
    close_ts: Int64 | None = None
    determination_ts: Int64 | None = None
    settled_ts: Int64 | None = None
    result: str | None = None
    settlement_value_e6: Int64 | None = None
    terms: Raw = Raw(b"{}")
    extra: Raw = Raw(b"{}")


class Gap(Fact, frozen=True, kw_only=True, gc=False, tag="gap"):
    """A GapNotice as a fact. `seq` is the last number before the hole."""

    source: str
    channel: Recorded
    kind: GapKind
    from_seq: Int64 | None
    to_seq: Int64 | None


class Coverage(Fact, frozen=True, kw_only=True, gc=False, tag="coverage"):
    """A CoverageNotice as a fact. known_ns: when it was said, which for an end may be later than the end."""

    source: str
    channel: Recorded
    started_ns: Int64
    ended_ns: Int64 | None = None
    ended_by: Literal["stop", "gap"] | None = None


class Beat(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="beat", omit_defaults=True):
    """A BeatNotice of raw partition `raw_partition`, passed on behind all facts that stood before it there."""

    source: str
    conn: str
    raw_partition: Int64
    clock_ns: Int64
    lease_ns: Int64
    bye: bool = False


AnyKalshi = Trade | Tick | BookSnapshot | BookDelta | Market | Gap | Coverage

# --- rows: what the fold derives --------------------------------------------------------------------------------------


class Bar(Struct, frozen=True, kw_only=True, gc=False):
    """One minute of one market. Prices are yes prices; None: no trade, or no trusted quote at the minute's end."""

    row_id: str
    rev: int
    market_ticker: str
    minute_ns: int
    open_e6: int | None
    high_e6: int | None
    low_e6: int | None
    close_e6: int | None
    volume_e4: int
    trades: int
    yes_bid_e6: int | None
    yes_ask_e6: int | None
    closed: bool
    known_ns: int
    known_by: KnownBy


class BookTop(Struct, frozen=True, kw_only=True, gc=False):
    """Best levels of one market after one change in one session; the change itself stands beside them.

    side, price_e6, delta_e4 are None for a snapshot. Levels are None when the side is empty or the book not trusted.
    event_by: whose time event_ns is, as in the fact; None in rows of before it was told.
    """

    row_id: str
    market_ticker: str
    conn: str
    sid: int
    seq: int
    kind: Literal["snapshot", "delta", "gap"]
    side: Side | None
    price_e6: int | None
    delta_e4: int | None
    trusted: bool
    yes_bid_e6: int | None
    yes_bid_size_e4: int | None
    yes_ask_e6: int | None
    yes_ask_size_e4: int | None
    event_ns: int
    received_ns: int
    known_ns: int
    known_by: KnownBy
    cause: Cause
    event_by: Literal["exchange", "sid", "received"] | None = None


class GapRow(Struct, frozen=True, kw_only=True, gc=False):
    """A gap and, once a snapshot mended it, when. rev 1: open, 2: repaired."""

    row_id: str
    rev: int
    source: str
    market_ticker: str
    conn: str
    sid: int
    channel: Recorded
    kind: GapKind
    from_seq: int | None
    to_seq: int | None
    noticed_ns: int
    repaired_ns: int | None
    cause: Cause


class Dead(Struct, frozen=True, kw_only=True, gc=False):
    """A refused record: why, by which code, and where it stands on the log. `value_text`: its first 4 KiB, escaped."""

    reason: str
    detail: str
    stage: Literal["ingest", "fold", "sink"]
    code_version: str
    cause: Cause
    received_ns: int | None
    value_text: str
