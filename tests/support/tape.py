"""A made-up tape: what recorders would have put on the raw log in some minutes of some markets, faults included.

Seeded: the same arguments give the same records. The order within a partition is that of receipt, as on a real log.
"""

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from stream_processors.replay import Part
from topics.catalog import RAW_KALSHI_WS
from topics.codec import decode_bar, decode_book_top, decode_gap_row, encode
from topics.events import BeatNotice, GapNotice
from topics.log import Record, partition_of
from topics.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_S

START_NS = 29_384_640 * NS_PER_MINUTE
BOOK_SID, TRADE_SID, MARKET_SID = 1, 2, 3
LEASE_NS = 30 * NS_PER_S


def markets(count: int, series: int = 2) -> list[str]:
    """Made-up tickers of a few series."""
    return [f"KXTAPE{number % series}-25NOV21-B{number}" for number in range(count)]


@dataclass
class Tape:
    """Records by raw partition."""

    partitions: int = 2
    clock: bytes = b"wall"
    logs: list[list[Record]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.logs = [[] for _ in range(self.partitions)]

    def put(self, conn: str, kind: bytes, value: bytes, received_ns: int, key: str | None, **place: int) -> None:
        """Append one record, by key or to a named partition."""
        encoded = None if key is None else key.encode()
        number = place.get("partition", partition_of(encoded, self.partitions))
        headers = (
            ("source", b"kalshi.ws"),
            ("kind", kind),
            ("received_ns", b"%d" % received_ns),
            ("clock", self.clock),
            ("conn", conn.encode()),
            ("schema", b"1"),
        )
        log = self.logs[number]
        log.append(Record(RAW_KALSHI_WS, number, len(log), received_ns // NS_PER_MS, encoded, headers, value))

    def frame(self, conn: str, received_ns: int, msg: dict[str, Any], **envelope: Any) -> None:
        """A frame of the exchange; the envelope is its type, sid and seq."""
        text = json.dumps({**envelope, "msg": msg})
        self.put(conn, b"frame", text.encode(), received_ns, msg["market_ticker"])

    def beat(self, conn: str, clock_ns: int, *, bye: bool = False) -> None:
        """A beat on every partition."""
        notice = BeatNotice(source="kalshi.ws", conn=conn, clock_ns=clock_ns, lease_ns=LEASE_NS, bye=bye)
        for partition in range(self.partitions):
            self.put(conn, b"beat", encode(notice), clock_ns, None, partition=partition)

    def gap(self, conn: str, clock_ns: int, ticker: str, from_seq: int | None, to_seq: int | None, **over: Any) -> None:
        """A gap notice of the book's subscription."""
        values: dict[str, Any] = {
            "source": "kalshi.ws", "conn": conn, "sid": BOOK_SID, "channel": "orderbook_delta", "kind": "seq_hole",
            "market_ticker": ticker, "from_seq": from_seq, "to_seq": to_seq, "clock_ns": clock_ns,
        }  # fmt: skip
        self.put(conn, b"gap", encode(GapNotice(**(values | over))), clock_ns, ticker)

    def known_at(self, known_ns: int) -> "Tape":
        """The tape of what had been received by then; offsets are those of the shorter log."""
        cut = Tape(self.partitions, self.clock)
        for number, log in enumerate(self.logs):
            kept = [record for record in log if int(dict(record.headers)["received_ns"]) <= known_ns]
            cut.logs[number] = [record._replace(offset=offset) for offset, record in enumerate(kept)]
        return cut

    def placed(self, first_offset: int, suffix: str) -> "Tape":
        """The tape further on a log, its connections under other names: so that many can stand on one."""
        moved = Tape(self.partitions, self.clock)
        for number, log in enumerate(self.logs):
            moved.logs[number] = [_renamed(record, record.offset + first_offset, suffix) for record in log]
        return moved

    def without(self, *causes: tuple[int, int]) -> "Tape":
        """The tape without the records at these (partition, offset); the others keep their offsets."""
        cut = Tape(self.partitions, self.clock)
        gone = set(causes)
        cut.logs = [[record for record in log if (record.partition, record.offset) not in gone] for log in self.logs]
        return cut

    def records(self) -> list[Record]:
        """All, partition after partition."""
        return [record for log in self.logs for record in log]


def _renamed(record: Record, offset: int, suffix: str) -> Record:
    headers = tuple((name, value + suffix.encode() if name == "conn" else value) for name, value in record.headers)
    value = record.value
    if dict(headers)["kind"] != b"frame":
        notice = json.loads(value)
        value = json.dumps({**notice, "conn": notice["conn"] + suffix}).encode()
    return record._replace(offset=offset, headers=headers, value=value)


class _Recorder:
    """One connection: numbers its subscriptions, loses frames, says so."""

    def __init__(self, tape: Tape, conn: str, tickers: list[str]) -> None:
        self.tape, self.conn, self.tickers = tape, conn, tickers
        self.seq = dict.fromkeys((BOOK_SID, TRADE_SID, MARKET_SID), 0)

    def next(self, sid: int) -> int:
        self.seq[sid] += 1
        return self.seq[sid]

    def frame(self, received_ns: int, kind: str, sid: int, msg: dict[str, Any]) -> None:
        self.tape.frame(self.conn, received_ns, msg, type=kind, sid=sid, seq=self.next(sid))

    def hole(self, received_ns: int) -> None:
        """The next number of the book's subscription is lost; all its markets hear of it."""
        lost = self.next(BOOK_SID)
        for ticker in self.tickers:
            self.tape.gap(self.conn, received_ns, ticker, lost, lost)

    def lost(self, received_ns: int) -> None:
        """The connection is gone."""
        for ticker in self.tickers:
            self.tape.gap(self.conn, received_ns, ticker, self.seq[BOOK_SID] + 1, None, kind="disconnect")

    def snapshot(self, received_ns: int, ticker: str, book: dict[str, dict[int, int]]) -> None:
        sides = {
            f"{side}_dollars_fp": [[f"{cents / 100:.4f}", f"{size}.00"] for cents, size in levels.items()]
            for side, levels in book.items()
        }
        self.frame(received_ns, "orderbook_snapshot", BOOK_SID, {"market_ticker": ticker, **sides})

    def delta(self, received_ns: int, said: tuple[int, str, str, int, int]) -> None:
        event_ms, ticker, side, cents, size = said
        msg = {
            "market_ticker": ticker, "side": side, "price_dollars": f"{cents / 100:.4f}", "delta_fp": f"{size}.00",
            "ts_ms": event_ms,
        }  # fmt: skip
        self.frame(received_ns, "orderbook_delta", BOOK_SID, msg)

    def trade(self, received_ns: int, said: tuple[int, str, str, int, int]) -> None:
        event_ms, ticker, trade_id, cents, size = said
        msg = {
            "market_ticker": ticker, "trade_id": trade_id, "yes_price_dollars": f"{cents / 100:.4f}",
            "no_price_dollars": f"{1 - cents / 100:.4f}", "count_fp": f"{size}.00", "taker_outcome_side": "yes",
            "ts_ms": event_ms,
        }  # fmt: skip
        self.frame(received_ns, "trade", TRADE_SID, msg)


class _World:
    """Books and trades of some markets, and the recorders that hear of them."""

    def __init__(self, seed: int, made: Tape, names: list[str], conns: int) -> None:
        self.rng, self.made, self.names, self.seed = random.Random(seed), made, names, seed
        self.books: dict[str, dict[str, dict[int, int]]] = {
            name: {"yes": {40: 10, 30: 5}, "no": {50: 10, 45: 5}} for name in names
        }
        self.recorders = [_Recorder(made, f"{chr(97 + number)}1", names) for number in range(conns)]
        self.late: list[tuple[int, tuple[int, str, str, int, int]]] = []  # the step at which it is told, and what
        self.now_ns = self.beaten_ns = 0

    def begin(self, now_ns: int, close_ns: int) -> None:
        self.now_ns = now_ns
        close = {"market_ticker": self.names[0], "event_type": "created", "close_ts": close_ns // NS_PER_S}
        self.made.frame("a1", now_ns, close, type="market_lifecycle_v2", sid=MARKET_SID, seq=1)
        self.subscribe(self.recorders, now_ns)

    def subscribe(self, recorders: Iterable[_Recorder], received_ns: int) -> None:
        for recorder in recorders:
            for name in self.names:
                recorder.snapshot(received_ns, name, self.books[name])

    def step(self, number: int, steps: int, step_ns: int, *, faults: bool) -> None:
        rng = self.rng
        self.now_ns += rng.randrange(2 * step_ns)
        received_ns = self.now_ns + rng.randrange(1, 40) * NS_PER_MS + rng.randrange(NS_PER_MS)
        if self.now_ns - self.beaten_ns >= NS_PER_S:
            self.beaten_ns = self.now_ns
            for recorder in self.recorders:
                self.made.beat(recorder.conn, self.now_ns)
        if rng.random() < 0.4:
            self.trade(number, steps, received_ns, faults=faults)
        else:
            self.change(received_ns, faults=faults)
        if faults and number == steps // 2:
            self.reconnect(received_ns)
        for due in [due for due in self.late if due[0] <= number]:
            self.late.remove(due)
            self.recorders[0].trade(received_ns, due[1])
        self.now_ns = received_ns + NS_PER_MS

    def trade(self, number: int, steps: int, received_ns: int, *, faults: bool) -> None:
        rng = self.rng
        name, trade_id = rng.choice(self.names), f"t{self.seed}-{number}"
        said = (self.now_ns // NS_PER_MS, name, trade_id, rng.randrange(1, 100), rng.randrange(1, 50))
        if faults and rng.random() < 0.05:
            self.late.append((number + rng.randrange(max(1, steps // 4)), said))
            return
        for recorder in self.recorders:
            recorder.trade(received_ns + rng.randrange(NS_PER_MS), said)

    def change(self, received_ns: int, *, faults: bool) -> None:
        rng = self.rng
        name, side, cents = rng.choice(self.names), rng.choice(("yes", "no")), rng.randrange(20, 48)
        levels = self.books[name][side]
        size = levels.get(cents, 0)
        change = -size if size and rng.random() < 0.4 else rng.randrange(1, 20)
        levels[cents] = size + change
        if not levels[cents]:
            del levels[cents]
        for recorder in self.recorders:
            if faults and rng.random() < 0.02:
                recorder.hole(received_ns)
                continue
            recorder.delta(received_ns, (self.now_ns // NS_PER_MS, name, side, cents, change))
            if faults and rng.random() < 0.08:
                recorder.snapshot(received_ns, name, self.books[name])

    def reconnect(self, received_ns: int) -> None:
        before = self.recorders[0]
        before.lost(received_ns)
        self.made.beat(before.conn, received_ns, bye=True)
        self.recorders[0] = _Recorder(self.made, "a2", self.names)
        self.subscribe(self.recorders[:1], received_ns)


def tape(
    seed: int,
    *,
    minutes: int = 5,
    tickers: Iterable[str] = (),
    partitions: int = 2,
    steps: int = 300,
    faults: bool = True,
    clock: bytes = b"wall",
    conns: int = 2,
    start_ns: int = START_NS,
) -> Tape:
    """`steps` events over `minutes` minutes, heard by `conns` recorders, the first of which reconnects half way."""
    made = Tape(partitions, clock)
    world = _World(seed, made, list(tickers) or markets(3), conns)
    world.begin(start_ns + 5 * NS_PER_S, start_ns + (minutes + 1) * NS_PER_MINUTE)
    for number in range(steps):
        world.step(number, steps, minutes * NS_PER_MINUTE // steps, faults=faults)
    end_ns = (world.now_ns // NS_PER_MINUTE + 1) * NS_PER_MINUTE + 10 * NS_PER_S
    for recorder in world.recorders:
        made.beat(recorder.conn, end_ns, bye=True)
    return made


def fold(made: Tape, *, batch: int = 10_000) -> dict[str, dict[str, Any]]:
    """All rows by topic and identity, the last revision of each: one part does the whole."""
    part = Part(range(made.partitions), made.partitions)
    outputs: list[Record] = []
    for start in range(0, max(map(len, made.logs)), batch):
        for number, log in enumerate(made.logs):
            if records := log[start : start + batch]:
                outputs += part.raw(RAW_KALSHI_WS, number, records)
    return rows(outputs)


DECODERS = {"bars.1m": decode_bar, "books": decode_book_top, "gaps": decode_gap_row}


def rows(records: Iterable[Record], *, killed: bool = False) -> dict[str, dict[str, Any]]:
    """Final rows of the derived topics: the highest revision of each; equal ones must be equal, none may fall.

    killed: a worker died behind its rows, so that the next one may at first know less; the highest revision is of all
    facts, and must be one.
    """
    final: dict[str, dict[str, Any]] = {topic: {} for topic in DECODERS}
    ties: dict[str, list[Any]] = {}
    for record in records:
        if record.topic not in DECODERS:
            continue
        row = DECODERS[record.topic](record.value)
        before = final[record.topic].get(row.row_id)
        if before is not None and hasattr(row, "rev"):
            assert killed or row.rev >= before.rev, f"the revision of {row.row_id} fell"
            if row.rev < before.rev:
                continue
            if row.rev == before.rev:
                ties[row.row_id].append(row)
                continue
        ties[row.row_id] = []
        final[record.topic][row.row_id] = row
    for by_id in final.values():
        for row_id, row in by_id.items():
            assert all(row == other for other in ties[row_id]), f"equal revisions differ: {row} {ties[row_id]}"
    return final
