"""Health as cards, one for each thing that may be well or not. Only `look` asks anybody; the rest is pure.

A card is RED where something that the settings ask for is silent, behind without moving, or has findings; IDLE where nobody
asked for it. The views are in `tapefold_api`, how far the stages are is asked of the log.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from sinks.tables import StatementRefused, StoreUnavailable, Tables
from tapefold import audits, progress, stores, wiring
from tapefold.settings import Settings
from topics.catalog import RAW_KALSHI_REST
from topics.errors import Unavailable
from topics.units import NS_PER_S

Status = Literal["GREEN", "RED", "IDLE"]
_SHOWN_MAX = 3  # findings that a card names
_LEASES = 2  # a producer is silent after this many of the leases that its own beats tell

_BEATS = "SELECT source, max((toUnixTimestamp64Nano(clock_at), bye, lease_ns)) FROM tapefold_api.beats GROUP BY source"
# Of sources that no fold waits for, so `beats` has none of them. When they were told: the clock of one that is busy stands still.
_BESIDES = """
SELECT source, max((toUnixTimestamp64Nano(known_at), bye, lease_ns, conn)) FROM tapefold.beat_log
WHERE _topic IN ('raw.tws', 'raw.webhook') GROUP BY source
"""
_OUTAGE = """
SELECT toUnixTimestamp64Nano(event_at), reason, ended_at IS NULL FROM tapefold_api.tws_outages ORDER BY event_at DESC LIMIT 1
"""
_SENDERS = """
SELECT count() FROM tapefold_api.coverage WHERE source = 'webhook' AND conn = {conn:String} AND ended_at IS NULL
"""
_POSITIONS = """
SELECT topic, toUnixTimestamp64Nano(min(first_at)), toUnixTimestamp64Nano(max(last_at))
FROM tapefold_api.sink_positions GROUP BY topic
"""
_PREDICTED = "SELECT toUnixTimestamp64Nano(max(known_at)) FROM tapefold_api.prediction_runs"
_AUDITS = "SELECT audit, toUnixTimestamp64Nano(last_at), checked, findings, detail FROM tapefold_api.audits"


class Card(NamedTuple):
    """One thing, how it is, and why we say so."""

    name: str
    status: Status
    text: str


class Audit(NamedTuple):
    """The last run of an audit. detail: its first findings, JSON."""

    last_ns: int
    checked: int
    findings: int
    detail: str


class Moves:
    """When each stage was last seen to take records: a portal that nobody asks knows nothing, and does not look."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}

    def card(self, stage: str, taken: int, left: int, now_ns: int, stale_s: float) -> Card:
        """taken: records that the stage has taken since ever; left: those that wait."""
        before, moved_ns = self._seen.get(stage, (None, now_ns))
        if before != taken or not left:
            moved_ns = now_ns
        self._seen[stage] = (taken, moved_ns)
        still_s = (now_ns - moved_ns) / NS_PER_S
        if still_s > stale_s:
            return Card(stage, "RED", f"{left:,} records wait, and none was taken for {still_s:,.0f} s")
        return Card(stage, "GREEN", f"{left:,} records wait")


def producer(source: str, expected: bool, last: tuple[int, bool] | None, now_ns: int, stale_s: float) -> Card:
    """A producer. expected: the settings ask for it. last: when it told something, and whether that was good-bye."""
    bad: Status = "RED" if expected else "IDLE"
    if last is None:
        return Card(source, bad, "has told nothing yet")
    last_ns, bye = last
    if bye:
        return Card(source, bad, f"said good-bye at {_time(last_ns)}")
    silent_s = (now_ns - last_ns) / NS_PER_S
    if silent_s > stale_s:
        return Card(source, bad, f"silent since {_time(last_ns)}, more than {stale_s:,.0f} s")
    return Card(source, "GREEN", f"heard at {_time(last_ns)}")


def audit_card(name: str, last: Audit | None, since_ns: int | None, now_ns: int, every_s: float | None) -> Card:
    """An audit. since_ns: when the store took its first rows, None while it has none. every_s: None: run by hand."""
    title = f"audit {name}"
    if last is None:
        if every_s is None or since_ns is None or now_ns - since_ns <= 2 * every_s * NS_PER_S:
            return Card(title, "IDLE", "has not run yet")
        return Card(title, "RED", f"has never run, though rows are stored since {_time(since_ns)}")
    if last.findings:
        said = [", ".join(map(str, each)) for each in _findings(last.detail)]
        return Card(title, "RED", f"{last.findings} findings at {_time(last.last_ns)}: {'; '.join(said[:_SHOWN_MAX])}")
    if every_s is not None and now_ns - last.last_ns > 2 * every_s * NS_PER_S:
        return Card(title, "RED", f"has not run since {_time(last.last_ns)}, expected every {every_s:,.0f} s")
    return Card(title, "GREEN", f"nothing found at {_time(last.last_ns)}, {last.checked:,} looked at")


def status_of(cards: Iterable[Card]) -> Status:
    """RED as soon as one card is."""
    return "RED" if any(card.status == "RED" for card in cards) else "GREEN"


def look(settings: Settings, state_dir: Path, moves: Moves, now_ns: int) -> list[Card]:
    """All cards, the addresses opened for this look alone: a store that was started anew may stand elsewhere."""
    cards: list[Card] = []
    parts: tuple[Callable[[Tables], list[Card]], ...] = (
        lambda tables: _producers(settings, tables, now_ns),
        lambda tables: besides(settings, tables, now_ns),
        lambda tables: _stages(settings, state_dir, tables, moves, now_ns),
        lambda tables: _audits(settings, tables, now_ns),
    )
    try:
        tables = stores.open_tables(settings, state_dir)
    except Unavailable as error:
        return [Card("store", "RED", str(error))]
    try:
        for part in parts:
            try:
                cards += part(tables)
            except (StoreUnavailable, StatementRefused) as error:
                return [*cards, Card("store", "RED", str(error))]
            except Unavailable as error:
                cards.append(Card("log", "RED", str(error)))
    finally:
        tables.close()
    return cards


def _producers(settings: Settings, tables: Tables, now_ns: int) -> list[Card]:
    """Those that beat by their beats, and REST, which does not, by its last record."""
    kalshi = bool(settings.markets() or settings.series())
    expected: dict[str, bool] = {"kalshi.ws": kalshi, "iem.mos": bool(settings.stations())}
    expected["iem.cli"] = expected["iem.mos"]
    beats = {source: tuple(last) for source, last in tables.query_rows(_BEATS).rows}
    cards = []
    for source in sorted(expected.keys() | beats.keys()):
        clock_ns, bye, lease_ns = beats.get(source, (None, False, 0))
        stale_s = settings.web_portal_ws_stale_seconds if source == "kalshi.ws" else _LEASES * lease_ns / NS_PER_S
        asked = expected.get(source, False)
        if asked or clock_ns is not None:
            cards.append(producer(source, asked, None if clock_ns is None else (clock_ns, bye), now_ns, stale_s))
    told = {topic: last_ns for topic, _, last_ns in tables.query_rows(_POSITIONS).rows}.get(RAW_KALSHI_REST)
    if settings.series() or told is not None:
        last = None if told is None else (told, False)
        cards.append(producer("kalshi.rest", bool(settings.series()), last, now_ns, settings.discovery_stale_s()))
    if settings.prediction_enable:  # by its last run: one that is asked in vain still beats
        ((run_ns,),) = tables.query_rows(_PREDICTED).rows
        last = (run_ns, False) if run_ns else None
        cards.append(producer("rag", True, last, now_ns, settings.rag_stale_s()))
    return cards


def besides(settings: Settings, tables: Tables, now_ns: int) -> list[Card]:
    """TWS and the webhook receiver: by their beats, and while they beat, by whether anybody can be heard.

    Raises StoreUnavailable, StatementRefused.
    """
    heard = {source: tuple(last) for source, last in tables.query_rows(_BESIDES).rows}
    deaf: dict[str, Callable[[str], str | None]] = {
        "tws": lambda _: _outage(tables),
        "webhook": lambda conn: _no_sender(tables, conn),
    }
    cards = []
    for source, why in deaf.items():
        asked = source in settings.sources()
        if source not in heard:
            if asked:
                cards.append(producer(source, asked, None, now_ns, 0))
            continue
        told_ns, bye, lease_ns, conn = heard[source]
        card = producer(source, asked, (told_ns, bye), now_ns, _LEASES * lease_ns / NS_PER_S)
        if card.status == "GREEN" and (reason := why(conn)) is not None:
            card = Card(source, "RED" if asked else "IDLE", reason)
        cards.append(card)
    return cards


def _outage(tables: Tables) -> str | None:
    """The outage of TWS that lasts, in words."""
    for since_ns, reason, lasts in tables.query_rows(_OUTAGE).rows:
        if lasts:
            return f"no line to Interactive Brokers since {_time(since_ns)}: {reason}"
    return None


def _no_sender(tables: Tables, conn: str) -> str | None:
    """That a receiver which lives listens to no sender."""
    ((open_intervals,),) = tables.query_rows(_SENDERS, {"conn": conn}).rows
    return None if open_intervals else "listens to no sender"


def _stages(settings: Settings, state_dir: Path, tables: Tables, moves: Moves, now_ns: int) -> list[Card]:
    lag = progress.lag(wiring.open_log(settings, state_dir), tables)
    taken: Mapping[str, tuple[int, int]] = {
        "ingest": (lag.written - lag.ingest, lag.ingest),
        "fold": (lag.folded, lag.fold),
        "sink": (lag.stored, lag.sink),
    }
    stale_s = settings.health_worker_stale_seconds
    return [moves.card(stage, done, left, now_ns, stale_s) for stage, (done, left) in taken.items()]


def _audits(settings: Settings, tables: Tables, now_ns: int) -> list[Card]:
    last = {name: Audit(*rest) for name, *rest in tables.query_rows(_AUDITS).rows}
    since_ns = min((first_ns for _, first_ns, _ in tables.query_rows(_POSITIONS).rows), default=None)
    return [
        audit_card(name, last.get(name), since_ns, now_ns, settings.audit_seconds if name in audits.AUDITS else None)
        for name in sorted(last.keys() | audits.AUDITS.keys())
    ]


def _findings(detail: str) -> Sequence[Sequence[Any]]:
    return msgspec.json.decode(detail, type=list[list[Any]])


def _time(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
