"""When each fact is known, and how we know: the rule of every source, circumstance and type, held to the golden records.

A new type of fact without a rule fails here, and so does a rule that no golden record shows.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest

from stream_processors.ingest import ingest
from topics import catalog, iem
from topics.annotations import Annotation
from topics.codec import decode_fact
from topics.events import Beat, BookDelta, BookSnapshot, Coverage, Gap, Market, Tick, Trade
from topics.facts import AnyFact
from topics.kalshi_rest import BookPoll, Candle, Document, Event, MarketPoll, MarketTerms, Series, Settlement
from topics.log import Record
from topics.policies import Policy
from topics.rag import MarketPrediction, PredictionRun
from topics.tws import TwsBar, TwsError, TwsOutage, TwsUnit
from topics.units import NS_PER_MINUTE, NS_PER_S
from topics.weather import Climate, ClimateYear, Forecast, ForecastRun
from topics.webhook import Webhook

EXAMPLES = Path(__file__).resolve().parents[2] / "topics" / "examples"
LAG_NS = 5_400 * NS_PER_S
Known = tuple[int, str]


class Said(NamedTuple):
    """A fact, the receive stamp of its record, and all facts of that record."""

    fact: Any
    stamp_ns: int
    beside: list[Any]

    def other(self, kind: type) -> Any:
        """The fact of that type that the same record tells first."""
        return next(one for one in self.beside if isinstance(one, kind))


Rule = Callable[[Said], Known]

# --- the rules, in words --------------------------------------------------------------------------------------------------


def when_it_was_received(said: Said) -> Known:
    """A live recorder stamped it."""
    return said.stamp_ns, "observed"


def when_its_tape_reached_it(said: Said) -> Known:
    """A recording, or a simulator's clock: a stated rule, not a stamp of the wall."""
    return said.stamp_ns, "assumed"


def when_we_noticed(said: Said) -> Known:
    """A producer's own word: by its clock at that moment."""
    return said.fact.event_ns, "observed"


def when_it_was_told(said: Said) -> Known:
    """An interval that ended may come to light later than its end."""
    return max(said.stamp_ns, said.fact.event_ns), "observed"


def at_its_own_time(said: Said) -> Known:
    """A trade of a file without stamps."""
    return said.fact.event_ns, "assumed"


def at_the_opening(said: Said) -> Known:
    """Contracts stand when their market opens."""
    return said.fact.open_ns, "assumed"


def at_the_latest_expiration(said: Said) -> Known:
    """What moves in a market has stopped moving then."""
    return said.other(MarketTerms).latest_expiration_ns, "assumed"


def at_settlement(said: Said) -> Known:
    """The exchange's own time of it, else the latest expiration."""
    settled_ns = said.fact.settled_ns
    return settled_ns if settled_ns is not None else said.other(MarketTerms).latest_expiration_ns, "assumed"


def a_minute_after_its_end(said: Said) -> Known:
    """The exchange is given that long to draw a candle."""
    return said.fact.event_ns + NS_PER_MINUTE, "assumed"


def since_we_hold_it(said: Said) -> Known:
    """The file shows no time at which it stood: it is ours since it was loaded."""
    return said.stamp_ns, "observed"


def by_the_shipped_lag(said: Said) -> Known:
    """A run's nominal time and the table's lag; never later than we hold it."""
    return min(said.stamp_ns, said.fact.run_ns + iem.RUN_LAGS[said.fact.model].lag_ns), "assumed"


def by_the_measured_lag(said: Said) -> Known:
    """The same with the lag that the producer stamped."""
    return min(said.stamp_ns, said.fact.run_ns + LAG_NS), "modelled"


def whole_or_not(of_whole: Rule, by: str = "observed") -> Rule:
    """A whole run as its values; that something was lacking is known when the answer came."""
    return lambda said: of_whole(said) if said.fact.reason is None else (said.stamp_ns, by)


def after_its_header(said: Said) -> Known:
    """A climate report's nominal time and the stated lag; never later than we hold it."""
    return min(said.stamp_ns, said.fact.issued_ns + iem.REPORT_LAG_NS), "assumed"


def finished(by: str) -> Rule:
    """A bar: when it was received, a finished one not before its end."""
    return lambda said: (max(said.stamp_ns, said.fact.end_ns) if said.fact.finished else said.stamp_ns, by)


def at_its_end(said: Said) -> Known:
    """A bar of a file without a time of receipt."""
    return said.fact.end_ns, "assumed"


SOCKET = (Trade, Tick, BookSnapshot, BookDelta, Market)
REST = (Trade, MarketTerms, MarketPoll, Settlement, Event, Series, Candle, BookPoll, Document)
NOTICES: dict[type, Rule] = {Gap: when_we_noticed, Coverage: when_it_was_told}


class Case(NamedTuple):
    """Records of one topic under one circumstance. over: headers in place of the example's; fits: of which examples."""

    topic: str
    over: dict[str, str]
    rules: dict[type, Rule]
    fits: Callable[[dict[str, str]], bool] = lambda _: True


def wire(headers: dict[str, str]) -> bool:
    """A message or a notice of a session, not a line of a file."""
    return headers.get("format", "wire") == "wire"


CASES: dict[str, Case] = {
    "kalshi.ws, live": Case(
        catalog.RAW_KALSHI_WS, {"clock": "wall"}, dict.fromkeys(SOCKET, when_it_was_received) | NOTICES
    ),
    "kalshi.ws, a recording on its tape": Case(
        catalog.RAW_KALSHI_WS, {"clock": "tape", "kind": "frame"}, dict.fromkeys(SOCKET, when_its_tape_reached_it)
    ),
    "kalshi.rest, live and historical paths": Case(
        catalog.RAW_KALSHI_REST, {"clock": "wall"}, dict.fromkeys(REST, when_it_was_received) | NOTICES
    ),
    "kalshi.rest, a simulator's tape": Case(
        catalog.RAW_KALSHI_REST,
        {"clock": "tape"},
        dict.fromkeys(REST, when_its_tape_reached_it),
        lambda headers: headers["kind"] == "frame",
    ),
    "kalshi.rest, a file without stamps": Case(
        catalog.RAW_KALSHI_REST,
        {"clock": "rule"},
        {
            Trade: at_its_own_time,
            MarketTerms: at_the_opening,
            MarketPoll: at_the_latest_expiration,
            Settlement: at_settlement,
            Candle: a_minute_after_its_end,
            Event: since_we_hold_it,
            Series: since_we_hold_it,
            BookPoll: since_we_hold_it,
            Document: since_we_hold_it,
        },
        lambda headers: headers["kind"] == "frame",
    ),
    "iem.mos, not there and then there": Case(
        catalog.RAW_IEM_MOS,
        {"seen": "first"},
        {Forecast: when_it_was_received, ForecastRun: whole_or_not(when_it_was_received)},
    ),
    "iem.mos, there when we first asked": Case(
        catalog.RAW_IEM_MOS,
        {"seen": "pre_existing", "lag_ns": ""},
        {Forecast: by_the_shipped_lag, ForecastRun: whole_or_not(by_the_shipped_lag)},
    ),
    "iem.mos, history": Case(
        catalog.RAW_IEM_MOS,
        {"seen": "archive", "lag_ns": ""},
        {Forecast: by_the_shipped_lag, ForecastRun: whole_or_not(by_the_shipped_lag)},
    ),
    "iem.mos, history after the lag was measured": Case(
        catalog.RAW_IEM_MOS,
        {"seen": "archive", "lag_ns": str(LAG_NS)},
        {Forecast: by_the_measured_lag, ForecastRun: whole_or_not(by_the_measured_lag)},
    ),
    "iem.mos, a simulator's tape": Case(
        catalog.RAW_IEM_MOS,
        {"seen": "first", "clock": "tape"},
        {Forecast: when_its_tape_reached_it, ForecastRun: whole_or_not(when_its_tape_reached_it, "assumed")},
    ),
    "iem.cli, issuance seen to come": Case(
        catalog.RAW_IEM_CLI, {"seen": "first"}, {Climate: when_it_was_received, ClimateYear: when_it_was_received}
    ),
    "iem.cli, issuance there when we first asked": Case(
        catalog.RAW_IEM_CLI, {"seen": "pre_existing"}, {Climate: after_its_header, ClimateYear: when_it_was_received}
    ),
    "iem.cli, daily rows of the archive": Case(
        catalog.RAW_IEM_CLI, {"seen": "archive"}, {Climate: after_its_header, ClimateYear: when_it_was_received}
    ),
    "tws, live and historical answers": Case(
        catalog.RAW_TWS,
        {"clock": "wall"},
        {
            TwsBar: finished("observed"),
            TwsError: when_it_was_received,
            TwsUnit: lambda said: (said.fact.received_ns, "observed"),
            TwsOutage: lambda said: (said.fact.received_ns, "observed"),
        },
        wire,
    ),
    "tws, a simulator's tape": Case(
        catalog.RAW_TWS,
        {"clock": "tape"},
        {TwsBar: finished("assumed"), TwsError: when_its_tape_reached_it},
        lambda headers: wire(headers) and headers["kind"] == "frame",
    ),
    "tws, a file without a time of receipt": Case(
        catalog.RAW_TWS, {"clock": "tape"}, {TwsBar: at_its_end}, lambda headers: not wire(headers)
    ),
    "webhook, received": Case(
        catalog.RAW_WEBHOOK, {"clock": "wall"}, {Webhook: when_it_was_received, Coverage: when_it_was_told}
    ),
    "webhook, a file without stamps: not before it was signed": Case(
        catalog.RAW_WEBHOOK,
        {"clock": "tape"},
        {Webhook: when_its_tape_reached_it},
        lambda headers: headers["kind"] == "frame",
    ),
    "rag, live": Case(
        catalog.RAW_RAG, {"clock": "wall"}, dict.fromkeys((PredictionRun, MarketPrediction), when_it_was_received)
    ),
    "rag, a simulator's tape": Case(
        catalog.RAW_RAG, {"clock": "tape"}, dict.fromkeys((PredictionRun, MarketPrediction), when_its_tape_reached_it)
    ),
}
NOT_LEARNED: dict[type, str] = {
    Beat: "what a producer says of its clock: no row is derived of what it tells",
    Policy: "how to ask, not what is so: in force for all days, whenever it was written",
    Annotation: "what a person decided: known when it was written, as its own field says",
}


def records(case: Case) -> Iterator[tuple[int, list[Any]]]:
    """The receive stamp, and the facts, of each golden record under the case's circumstance."""
    for line in (EXAMPLES / f"{case.topic}.jsonl").read_bytes().splitlines():
        said = json.loads(line)
        if case.topic == catalog.RAW_KALSHI_WS:  # its examples are values alone
            kind = (
                "frame" if "type" in said else "beat" if "lease_ns" in said else "gap" if "kind" in said else "coverage"
            )
            stamp_ns = max((number for number in said.values() if isinstance(number, int)), default=0) + NS_PER_S
            headers = {"kind": kind, "received_ns": str(stamp_ns if kind != "frame" else 1_800_000_000 * NS_PER_S)}
            headers |= {"conn": "c", "clock": "wall"}
            value = line
            if "kind" in case.over and kind != case.over["kind"]:
                continue
        else:
            headers, value = said["headers"], said["value"].encode()
        if not case.fits(headers):
            continue
        told = {name: text for name, text in (headers | case.over).items() if text}
        pairs = tuple((name, text.encode()) for name, text in told.items())
        outputs = ingest(case.topic, 0, 1, [Record(case.topic, 0, 0, 0, b"k", pairs, value)])
        facts = [decode_fact(output.value) for output in outputs if output.topic != catalog.DEAD]
        yield int(told["received_ns"]), [fact for fact in facts if not isinstance(fact, Beat)]


@pytest.mark.parametrize("name", CASES)
def test_every_fact_is_known_by_the_rule_of_its_source(name: str) -> None:
    """And each rule is shown by a golden record; a type that the source tells and the table does not name fails."""
    shown = set()
    for stamp_ns, facts in records(CASES[name]):
        for fact in facts:
            assert type(fact) in CASES[name].rules, f"{name}: no rule for {type(fact).__name__}"
            rule = CASES[name].rules[type(fact)]
            assert rule(Said(fact, stamp_ns, facts)) == (fact.known_ns, fact.known_by), (name, fact)
            shown.add(type(fact))
    assert set(CASES[name].rules) == shown


def test_every_type_of_fact_has_a_rule_or_a_reason_to_have_none() -> None:
    """Of all sources: a new type is named in a case of each source that tells it."""
    ruled = {kind for case in CASES.values() for kind in case.rules}
    assert set(get_args(AnyFact)) == ruled | set(NOT_LEARNED)
    assert not ruled & set(NOT_LEARNED)
    assert all({"known_ns", "known_by"} <= set(kind.__struct_fields__) for kind in ruled)


def test_every_raw_topic_has_a_live_case_and_one_that_is_not_observed() -> None:
    """A new source states its rules here."""
    by_topic: dict[str, set[str]] = {}
    for case in CASES.values():
        for stamp_ns, facts in records(case):
            by_topic.setdefault(case.topic, set()).update(fact.known_by for fact in facts if stamp_ns)
    assert set(catalog.RAW_TOPICS) == set(by_topic)
    assert all({"observed", "assumed"} <= kinds for kinds in by_topic.values()), by_topic


@pytest.mark.parametrize("path", ["historical/trades?ticker=A", "historical/markets/A", "markets/trades?ticker=A"])
def test_history_is_known_when_it_was_fetched(path: str) -> None:
    """Whatever path of REST tells it: what was fetched today about the past was known today."""
    name = "market" if path.endswith("/A") else "trades"
    (said,) = [
        json.loads(line)
        for line in (EXAMPLES / f"{catalog.RAW_KALSHI_REST}.jsonl").read_bytes().splitlines()
        if json.loads(line)["value"].startswith(f'{{"{name}"')
    ]
    headers = said["headers"] | {"url": f"/trade-api/v2/{path}"}
    pairs = tuple((key, text.encode()) for key, text in headers.items())
    record = Record(catalog.RAW_KALSHI_REST, 0, 0, 0, b"k", pairs, said["value"].encode())
    facts = [decode_fact(output.value) for output in ingest(record.topic, 0, 1, [record])]
    assert facts
    assert {(int(headers["received_ns"]), "observed")} == {(fact.known_ns, fact.known_by) for fact in facts}
