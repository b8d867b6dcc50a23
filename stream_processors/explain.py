"""Why a row says what it says: its inputs, what was known and not chosen, what came too late, and the row made again. Pure.

A market's rows depend on the market's own records and on the beats alone, so these are enough to make them again.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct, structs

from stream_processors import minutes
from stream_processors.ingest import BEATS_TO
from stream_processors.refold import Told as ToldFact
from stream_processors.refold import refolded
from stream_processors.replay import Part
from topics.asof import AsofForecast, SettlementLabel
from topics.catalog import BARS_1M, BOOKS, FACT_GAP, FOLD_TOPICS, GAPS, RAW_KALSHI_WS
from topics.codec import decode_bar, decode_book_top, decode_fact, decode_gap_row
from topics.domains import domain_of
from topics.events import (
    Bar,
    Beat,
    BookDelta,
    BookSnapshot,
    BookTop,
    Cause,
    Fact,
    Gap,
    GapRow,
    KnownBy,
    Market,
    Told,
    Trade,
)
from topics.kalshi_rest import MarketTerms
from topics.log import Record, TopicPartition, partition_of
from topics.tws import TwsMinute
from topics.units import NS_PER_MINUTE, NS_PER_MS, minute_of
from topics.weather import WeatherFact

Row = Bar | BookTop | GapRow
_DECODE: dict[str, Callable[[bytes], Row]] = {BARS_1M: decode_bar, BOOKS: decode_book_top, GAPS: decode_gap_row}
_BOOK = "orderbook_delta"
SAME = "the row is the same without it"
Role = Literal[
    "trade", "quote", "snapshot", "deltas", "frame", "gap", "repair", "forecast", "report", "outcome", "bar", "normal", "close",
]  # fmt: skip


class Input(Struct, frozen=True, kw_only=True):
    """One fact: what it is, where it stands, its times, and how long before the row it was known (lead_ns).

    why: what it does in the row, or why it does nothing there. to_offset: of a run of deltas, where it ends.
    """

    role: Role
    name: str
    topic: str
    partition: int
    offset: int
    index: int
    event_ns: int
    received_ns: int
    known_ns: int
    known_by: KnownBy
    lead_ns: int
    why: str
    to_offset: int | None = None


class Explanation(Struct, frozen=True, kw_only=True):
    """row: made again from the inputs, None when they do not give it; of features the columns by name."""

    row_id: str
    row: Row | AsofForecast | SettlementLabel | TwsMinute | dict[str, Any] | None
    inputs: list[Input]
    not_chosen: list[Input]
    too_late: list[Input]


class Tellings:
    """All that the log holds of one market, folded: its facts in order, its terms as announced, its rows by identity.

    records: of each raw partition, in order; those of other markets do no harm.
    """

    def __init__(self, market_ticker: str, partitions: int, records: Mapping[TopicPartition, Sequence[Record]]) -> None:
        self.market_ticker = market_ticker
        self.facts: list[Fact] = []
        self.terms: list[Market | MarketTerms] = []
        self.rows: dict[str, Row] = {}
        self._clocks: dict[str, dict[int, int]] = {}
        self._partitions = partitions
        self._number = partition_of(domain_of(market_ticker).encode(), partitions)
        self._told: list[ToldFact] = []
        part = Part([self._number], partitions)
        for (topic, number), batch in records.items():
            for record in part.raw(topic, number, batch):
                self._take(record)

    def without(self, gone: Collection[Cause]) -> "Tellings":
        """The market as it would be if the facts of these causes had never been told, folded again."""
        left = Tellings(self.market_ticker, self._partitions, {})
        for record in refolded(Part([self._number], self._partitions), self._number, self._told, gone):
            left._take(record)
        return left

    def _take(self, record: Record) -> None:
        if (decode := _DECODE.get(record.topic)) is not None:
            row: Row = decode(record.value)
            if row.market_ticker == self.market_ticker:
                self.rows[row.row_id] = row
        elif record.topic in {*FOLD_TOPICS, FACT_GAP}:
            fact = decode_fact(record.value)
            self._told.append(ToldFact(record, getattr(fact, "cause", None)))
            if isinstance(fact, Beat):
                if record.topic == BEATS_TO[RAW_KALSHI_WS][0]:
                    clocks = self._clocks.setdefault(fact.conn, {})
                    clocks[fact.raw_partition] = max(clocks.get(fact.raw_partition, -1), fact.clock_ns)
            elif getattr(fact, "market_ticker", None) == self.market_ticker:
                if isinstance(fact, Market | MarketTerms):
                    self.terms.append(fact)
                elif isinstance(fact, Fact):
                    self.facts.append(fact)

    def heard_ns(self, conn: str) -> int:
        """How far a connection has surely told, -1 when it never did."""
        clocks = self._clocks.get(conn, {})
        return min(clocks.values()) if len(clocks) == self._partitions else -1


def explain(tellings: Tellings, row_id: str) -> Explanation:
    """The explanation of one row of the market; a row that the facts do not give has no inputs."""
    row = tellings.rows.get(row_id)
    match row:
        case Bar():
            return _bar(tellings, row)
        case BookTop():
            used, others = _book(tellings, row)
            return Explanation(row_id=row_id, row=row, inputs=used, not_chosen=others, too_late=[])
        case GapRow():
            used, others = _gap(tellings, row)
            return Explanation(row_id=row_id, row=row, inputs=used, not_chosen=others, too_late=[])
        case None:
            return Explanation(row_id=row_id, row=None, inputs=[], not_chosen=[], too_late=[])


def input_of(
    fact: Fact | Told | WeatherFact, role: Role, name: str, by_ns: int, why: str, *, to_offset: int | None = None
) -> Input:
    """One fact as an input of a row; by_ns: when the row was known."""
    cause = fact.cause
    return Input(
        role=role,
        name=name,
        topic=cause.topic,
        partition=cause.partition,
        offset=cause.offset,
        index=cause.index,
        event_ns=fact.event_ns,
        received_ns=fact.received_ns,
        known_ns=fact.known_ns,
        known_by=fact.known_by,
        lead_ns=by_ns - fact.known_ns,
        why=why,
        to_offset=to_offset,
    )


def _input(role: Role, fact: Fact, row_known_ns: int, why: str, *, name: str = "", to: Cause | None = None) -> Input:
    number = "" if fact.seq is None else f" seq {fact.seq}"
    to_offset = None if to is None else to.offset
    return input_of(fact, role, name or f"{fact.conn}/{fact.sid}{number}", row_known_ns, why, to_offset=to_offset)


def _bar(tellings: Tellings, bar: Bar) -> Explanation:
    minute = bar.minute_ns // NS_PER_MINUTE
    end_ns = bar.minute_ns + NS_PER_MINUTE
    by_id: dict[str, list[Trade]] = {}
    for fact in tellings.facts:
        if isinstance(fact, Trade) and minute_of(fact.event_ns) == minute:
            by_id.setdefault(fact.trade_id, []).append(fact)
    chosen = {trade_id: min(told, key=minutes.telling_order) for trade_id, told in by_id.items()}
    order = sorted(chosen.values(), key=lambda trade: (trade.event_ns // NS_PER_MS, trade.trade_id))
    inputs = [_input("trade", trade, bar.known_ns, _trade_role(trade, order), name=trade.trade_id) for trade in order]
    not_chosen = [
        _input("trade", told, bar.known_ns, _again(told, chosen[told.trade_id]), name=told.trade_id)
        for tellings_of_one in by_id.values()
        for told in sorted(tellings_of_one, key=minutes.telling_order)[1:]
        if told.cause != chosen[told.trade_id].cause
    ]
    too_late = [
        _input(
            "trade", trade, bar.known_ns,
            f"known {(trade.known_ns - end_ns) / 1e9:.3f} s after the minute's end: a decision there could not use it",
            name=trade.trade_id,
        )
        for trade in order
        if trade.known_ns > end_ns
    ]  # fmt: skip
    quoted, others = _quote(tellings, bar, end_ns)
    return Explanation(
        row_id=bar.row_id, row=bar, inputs=inputs + quoted, not_chosen=not_chosen + others, too_late=too_late
    )


def _trade_role(trade: Trade, order: Sequence[Trade]) -> str:
    prices = [each.yes_price_e6 for each in order]
    roles = ["volume"]
    if trade is order[0]:
        roles.append("open")
    if trade is order[-1]:
        roles.append("close")
    if trade.yes_price_e6 == max(prices):
        roles.append("high")
    if trade.yes_price_e6 == min(prices):
        roles.append("low")
    return ", ".join(roles)


def _again(told: Trade, winner: Trade) -> str:
    material = (told.event_ns // NS_PER_MS, told.yes_price_e6, told.no_price_e6, told.size_e4)
    if material != (winner.event_ns // NS_PER_MS, winner.yes_price_e6, winner.no_price_e6, winner.size_e4):
        if told.known_ns == winner.known_ns:
            return "the same id with other content, known at the same time: a conflict, of which one holds in any order"
        return "the same id with other content: a conflict, and the other one was known first"
    if told.known_ns == winner.known_ns:
        return "the same trade told again at the same time, further back on the log"
    return f"the same trade told again, {(told.known_ns - winner.known_ns) / 1e9:.6f} s later"


class _Session(Struct):
    """One session's book of the market up to a minute: its order, its last change, what that rests on."""

    conn: str
    order: tuple[int, int]
    last: BookDelta | BookSnapshot | Gap
    base: BookSnapshot | None = None
    run: list[BookDelta] = []
    told_again: list[BookDelta | BookSnapshot] = []
    seq: int = -1
    minute: int = 0


def _sessions(
    facts: Iterable[Fact], minute_max: int | None = None, until: tuple[str, int] | None = None
) -> dict[str, _Session]:
    """Sessions by `conn/sid`, up to the end of a minute, or up to a number of one of them."""
    sessions: dict[str, _Session] = {}
    for fact in facts:
        if not (isinstance(fact, BookDelta | BookSnapshot) or (isinstance(fact, Gap) and fact.channel == _BOOK)):
            continue
        key = f"{fact.conn}/{fact.sid}"
        session = sessions.get(key)
        if session is None:
            session = sessions[key] = _Session(fact.conn, (fact.event_ns, fact.cause.offset), fact, minute=-1)
        number = fact.from_seq if isinstance(fact, Gap) else fact.seq
        if until is not None and key == until[0] and (number is None or number > until[1]):
            continue
        minute = max(session.minute, minute_of(fact.event_ns))
        if minute_max is None or minute <= minute_max:
            _change(session, fact, minute)
    return {key: session for key, session in sessions.items() if session.minute >= 0}


def _change(session: _Session, fact: BookDelta | BookSnapshot | Gap, minute: int) -> None:
    if isinstance(fact, Gap):
        session.base, session.run = None, []
    elif fact.seq is None or fact.seq <= session.seq:
        session.told_again.append(fact)
        return
    elif isinstance(fact, BookSnapshot):
        session.seq, session.base, session.run = fact.seq, fact, []
    else:
        session.seq, session.run = fact.seq, [*session.run[:1], fact]
    session.minute, session.last = minute, fact


def _rests_on(session: _Session, row_known_ns: int) -> list[Input]:
    """The snapshot that a book stands on, and the run of deltas since."""
    inputs = []
    if session.base is not None:
        inputs.append(_input("snapshot", session.base, row_known_ns, "all levels of the book"))
    if session.run:
        last = session.run[-1].cause
        inputs.append(
            _input("deltas", session.run[0], row_known_ns, "every change of the session up to `to_offset`", to=last)
        )
    return inputs


def _quote(tellings: Tellings, bar: Bar, end_ns: int) -> tuple[list[Input], list[Input]]:
    sessions = _sessions(tellings.facts, minute_max=bar.minute_ns // NS_PER_MINUTE)
    trusted = {
        key: tellings.rows.get(_book_row_id(session.last, bar.market_ticker)) for key, session in sessions.items()
    }
    chosen: list[Input] = []
    others: list[Input] = []
    for key, session in sorted(sessions.items(), key=lambda item: item[1].order):
        top = trusted[key]
        heard_ns = tellings.heard_ns(session.conn)
        if isinstance(session.last, Gap):
            others.append(_input("gap", session.last, bar.known_ns, "the book was not trusted after this gap"))
        elif not isinstance(top, BookTop) or not top.trusted:
            others.append(_input("quote", session.last, bar.known_ns, "the book was not trusted at the minute's end"))
        elif bar.closed and heard_ns < end_ns:
            why = "its connection was never heard past the minute's end"
            others.append(_input("quote", session.last, bar.known_ns, why))
        elif chosen:
            others.append(_input("quote", session.last, bar.known_ns, "another trusted session had started earlier"))
        else:
            chosen.append(_input("quote", session.last, bar.known_ns, "the last change before the minute's end"))
            chosen += _rests_on(session, bar.known_ns)
            others += _copies(session, {each.name for each in chosen}, bar.known_ns)
    return chosen, others


def _copies(session: _Session, names: Collection[str], row_known_ns: int) -> list[Input]:
    """Frames of these names that came again."""
    again = [_input("frame", fact, row_known_ns, "the same number told again") for fact in session.told_again]
    return [each for each in again if each.name in names]


def _book_row_id(fact: Fact, market_ticker: str) -> str:
    return f"book:{fact.conn}:{fact.sid}:{fact.seq}:{market_ticker}"


def _book(tellings: Tellings, top: BookTop) -> tuple[list[Input], list[Input]]:
    """A snapshot that an earlier one and the changes since make up for is none of the inputs: the row is the same without."""
    key = f"{top.conn}/{top.sid}"
    session = _sessions(tellings.facts, until=(key, top.seq))[key]
    change = next(fact for fact in tellings.facts if fact.cause == top.cause)
    inputs = [_input("frame", change, top.known_ns, "the change itself")]
    copies = _copies(session, {inputs[0].name}, top.known_ns)
    for each in _rests_on(session, top.known_ns):
        again = _copies(session, {each.name}, top.known_ns)
        if each.role == "snapshot" and tellings.without(causes([each, *again])).rows.get(top.row_id) == top:
            copies.append(structs.replace(each, why=f"{each.why}; {SAME}"))
        else:
            inputs.append(each)
    return inputs, copies


def causes(inputs: Iterable[Input]) -> set[Cause]:
    """Where the facts of these inputs stand."""
    return {Cause(each.topic, each.partition, each.offset, each.index) for each in inputs}


def _gap(tellings: Tellings, row: GapRow) -> tuple[list[Input], list[Input]]:
    """The notice, and the snapshot that mended the book; where two came at once, neither is what the row hangs on."""
    known_ns = row.noticed_ns if row.repaired_ns is None else row.repaired_ns
    inputs = [_input("gap", fact, known_ns, "the notice") for fact in tellings.facts if fact.cause == row.cause]
    idle = []
    for fact in tellings.facts:
        if isinstance(fact, BookSnapshot) and fact.known_ns == row.repaired_ns:
            told = _input("repair", fact, known_ns, "the snapshot that mended the book")
            if tellings.without({fact.cause}).rows.get(row.row_id) == row:
                idle.append(structs.replace(told, why=f"a snapshot that came as the book was mended; {SAME}"))
            else:
                inputs.append(told)
    return inputs, idle
