"""Explain for minutes of TWS and for features: made again from the raw log, and none of the listed inputs is idle."""

import contextlib
import random
from pathlib import Path

import msgspec
import pytest
import tape
from left_out import checked
from recorded_weather import PARTITIONS, START_NS, recorded
from stored import empty, insert
from tws_messages import answer, headers

from sinks.migrate import migrate
from sinks.tables import Tables
from stream_processors.explain_tws import SymbolTellings, explain
from stream_processors.replay import Part
from tapefold import stations
from tapefold.explain import Explainer, as_json, as_text, partitions_of
from tapefold.records import raw_records
from topics.catalog import RAW_KALSHI_WS, RAW_TWS
from topics.errors import Refused
from topics.log import Record
from topics.stations import SymbolStation
from topics.tws import TwsRequest
from topics.units import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_S

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"
FIRST_NS = START_NS + 40 * NS_PER_HOUR  # a Sunday
MARKETS = ("KXHIGHMIA-26MAR08-B80.5", "KXHIGHNY-26MAR09-B50.5")


def minutes(symbol, count, seed):
    """Raw answers of one bar each: holes, one long silence, corrections, some taken back, some told late."""
    rng = random.Random(seed)
    asked = TwsRequest(symbol=symbol, what_to_show="TRADES", bar_size="1 min", use_rth=False, con_id=7)
    told = []
    for number in range(count):
        if rng.random() < 0.1 or count // 2 < number < count // 2 + 55:
            continue
        start_ns = FIRST_NS + number * NS_PER_MINUTE
        known_ns, cents, volume = start_ns + 62 * NS_PER_S, rng.randrange(9_900, 10_100), rng.randrange(1, 900)
        while True:
            prices = ("100.0", "102.0", "98.0", f"{cents / 100}")
            bar = (start_ns // NS_PER_S, *prices, volume, "100.25", 42)
            told.append((known_ns, asked, bar))
            if rng.random() < 0.7:
                break
            known_ns += rng.randrange(1, 7_200) * NS_PER_S
            cents += rng.choice([0, 0, 1])
    return told


def tws_records(*told):
    """As they stand on the log, in the order of receipt."""
    logs = {(RAW_TWS, number): [] for number in range(PARTITIONS)}
    for place, (known_ns, asked, bar) in enumerate(sorted(told, key=lambda each: each[0])):
        log = logs[RAW_TWS, place % PARTITIONS]
        said = tuple(headers(asked, received_ns=known_ns).items())
        log.append(Record(RAW_TWS, place % PARTITIONS, len(log), 0, asked.symbol.encode(), said, answer(bar)))
    return logs


def opened(store_url, folder, markets, *symbols):
    """A store that holds three days of weather, some minutes of markets and of symbols; WX is about Miami, SPY about nothing."""
    tables = Tables(store_url)
    migrate(tables, MIGRATIONS, lambda: 0)
    empty(tables)
    stations.publish(tables)
    stations.publish_symbols(tables, [SymbolStation("WX", "KMIA", "high", 1)], 1)
    raw = recorded(folder, 3) | {(RAW_KALSHI_WS, number): log for number, log in enumerate(markets.logs)}
    raw |= tws_records(*(told for symbol in symbols for told in minutes(*symbol)))
    part = Part(range(PARTITIONS), PARTITIONS)
    outputs = [record for (topic, number), batch in raw.items() for record in part.raw(topic, number, batch)]
    insert(tables, [record for batch in raw.values() for record in batch] + outputs)
    return tables


@pytest.fixture(scope="module")
def made():
    """Markets of two stations, with copies, holes and late trades."""
    return tape.tape(23, minutes=6, steps=300, tickers=MARKETS, partitions=PARTITIONS, start_ns=FIRST_NS)


@pytest.fixture(scope="module")
def filled(store_url, tmp_path_factory, made):
    """Some hours of two symbols and some minutes of two markets."""
    tables = opened(store_url, tmp_path_factory.mktemp("weather"), made, ("WX", 260, 1), ("SPY", 150, 2))
    yield tables
    empty(tables)
    tables.close()


@pytest.fixture(scope="module")
def explainer(filled):
    """One that keeps what it has read."""
    return Explainer(filled, partitions_of(filled))


def ids(tables, table, count, seed=3):
    """A sample of the rows of a table or view."""
    rows = [row for (row,) in tables.query_rows(f"SELECT row_id FROM tapefold_api.{table} ORDER BY 1").rows]
    return random.Random(seed).sample(rows, min(count, len(rows)))


KINDS = {"curated_tws_1m_bars": 120, "features_price_1m_v1": 60, "features_weather": 30}


@pytest.mark.parametrize("table", KINDS)
def test_rows_are_made_again_from_their_inputs(filled, explainer, table):
    """Every column, to the letter; floats to nine digits. Each row has inputs, at places of the raw log."""
    rows = ids(filled, table, KINDS[table])
    assert len(rows) >= 10
    for row_id in rows:
        told = explainer.explain(row_id)
        assert told.identical, (row_id, told.differs)
        assert told.inputs
        assert table == told.table


def test_features_name_all_that_they_lean_on(filled, explainer):
    """Bars, runs, the report and the normal of a symbol of a station; the trades and the close of a market."""
    roles, reasons = {}, {}
    for table in ("features_price_1m_v1", "features_weather"):
        told = [explainer.explain(row_id) for row_id in ids(filled, table, 25)]
        roles[table] = {each.role for answer in told for each in answer.inputs}
        reasons[table] = {each.why for answer in told for each in [*answer.inputs, *answer.not_chosen]}
        assert any(answer.too_late for answer in told)
    assert {"bar", "forecast"} <= roles["features_price_1m_v1"] <= {"bar", "forecast", "report", "normal"}
    assert {"trade", "forecast", "normal"} <= roles["features_weather"]
    assert any("the row is the same without it" in why for why in reasons["features_price_1m_v1"])
    assert {"the minute itself", "the newest known run"} <= reasons["features_price_1m_v1"]
    assert any("an older run" in why for why in reasons["features_weather"])


@contextlib.contextmanager
def gone(tables, table, where):
    """While it lasts, some rows of a table are not there."""
    tables.command(f"CREATE TABLE tapefold.lost AS tapefold.{table}")
    tables.command(f"INSERT INTO tapefold.lost SELECT * FROM tapefold.{table} WHERE {where}")
    tables.command(f"DELETE FROM tapefold.{table} WHERE {where}")
    try:
        yield
    finally:
        tables.command(f"INSERT INTO tapefold.{table} SELECT * FROM tapefold.lost")
        tables.command("DROP TABLE tapefold.lost SYNC")


def stored(explainer, row_id):
    """The row as its view says it, None when it says none."""
    try:
        return explainer.explain(row_id).stored
    except Refused:
        return None


TABLE_BY_ROLE = {
    "bar": "curated_tws_1m_bars", "forecast": "forecasts", "report": "climate", "normal": "climate", "close": "market_events",
}  # fmt: skip


@pytest.mark.parametrize("table", ["features_price_1m_v1", "features_weather"])
def test_features_owe_something_to_each_of_their_inputs(filled, explainer, made, table):
    """The view itself says another row, or none, once the input is not in the store, or was never on the tape."""
    rng = random.Random(4)
    for row_id in ids(filled, table, 4, seed=9):
        told = explainer.explain(row_id)
        for each in rng.sample(told.inputs, min(6, len(told.inputs))):
            if each.role in TABLE_BY_ROLE:
                place = (
                    f"cause_topic = '{each.topic}' AND cause_partition = {each.partition} AND cause_offset = {each.offset}"
                    f" AND cause_index = {each.index}"
                )
                where = f"row_id = '{each.name}'" if each.role == "bar" else place
                with gone(filled, TABLE_BY_ROLE[each.role], where):
                    assert told.stored != stored(explainer, row_id), (row_id, each)
                continue
            copies = [copy for copy in told.not_chosen if copy.name == each.name and copy.role == each.role]
            left = made.without(*((copy.partition, copy.offset) for copy in [each, *copies]))
            bar = tape.fold(left)["bars.1m"].get(row_id.replace("weather:", "bar:"))
            without = bar and (bar.close_e6, bar.closed, bar.known_ns, bar.known_by)
            assert without != tuple(told.stored[name] for name in ("close", "bar_closed", "known_at", "known_by"))


def test_a_minute_says_what_held_and_what_did_not(filled, explainer):
    """Of a corrected minute the other content is named; without its input the minute is another one."""
    places = "SELECT _topic, _partition, _offset FROM tapefold_api.raw_records WHERE _key = {symbol:String}"
    rows = filled.query_rows("SELECT row_id FROM tapefold_api.curated_tws_1m_bars WHERE rev > 1 ORDER BY 1").rows
    assert rows
    reasons = set()
    for (row_id,) in rows[:40]:
        told = explainer.explain(row_id)
        (held,) = told.inputs
        reasons |= {each.why.partition(":")[0] for each in told.not_chosen}
        assert len(told.inputs) + len(told.not_chosen) == told.stored["rev"] == len(told.too_late)
        records = raw_records(filled, places, {"symbol": told.stored["symbol"]}, beats_of=RAW_TWS)
        left = {
            place: [r for r in batch if (r.partition, r.offset) != (held.partition, held.offset)]
            for place, batch in records.items()
        }
        before, after = (explain(SymbolTellings(told.stored["symbol"], each), row_id).row for each in (records, left))
        assert before.rev == told.stored["rev"]
        assert before != after
    assert {"other content, known earlier", "the same content told again"} <= reasons


def test_an_explanation_is_read_by_people_and_by_programs(filled, explainer):
    """As text and as JSON; a row that is not there is refused."""
    told = explainer.explain(ids(filled, "features_weather", 1)[0])
    assert as_text(told, str).endswith("made again: identical")
    assert {"features_weather", True} == {msgspec.json.decode(as_json(told))[name] for name in ("table", "identical")}
    for row_id in ("price:" + "0" * 32, "weather:KXHIGHMIA-26MAR08-B80.5:1", "weather:x:y", "0" * 32):
        with pytest.raises(Refused, match="no such row"):
            explainer.explain(row_id)


@pytest.mark.parametrize("table", KINDS)
def test_rows_owe_something_to_each_of_their_inputs(filled, explainer, table):
    """Every listed bar, run, report, normal, trade and close left out in turn: the fold says another row, or none."""
    rows = ids(filled, table, {"curated_tws_1m_bars": 60}.get(table, 6), seed=8)
    assert sum(checked(explainer.of(row_id), row_id) for row_id in rows) >= len(rows)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_thousand_random_rows_are_made_again(store_url, tmp_path):
    """Minutes of TWS and rows of both feature sets, of longer tapes: identical, every one."""
    longer = tape.tape(
        29,
        minutes=90,
        steps=2_000,
        tickers=(*MARKETS, "KXHIGHMIA-26MAR09-B84.5"),
        partitions=PARTITIONS,
        start_ns=FIRST_NS,
    )
    tables = opened(store_url, tmp_path, longer, ("WX", 2_000, 5), ("SPY", 1_400, 6))
    explainer = Explainer(tables, partitions_of(tables))
    rows = [row_id for table in KINDS for row_id in ids(tables, table, 1_000)]
    left_out = 0
    for number, row_id in enumerate(random.Random(5).sample(rows, 1_000)):
        told = explainer.explain(row_id)
        assert told.identical, (row_id, told.differs)
        assert told.inputs
        if number % 4 == 0:  # each of these has up to seventy inputs
            left_out += checked(explainer.of(row_id), row_id)
    assert left_out > 1_000
    empty(tables)
    tables.close()
