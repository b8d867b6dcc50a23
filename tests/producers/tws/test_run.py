"""The producer against the simulator over TCP: each fault of TWS is met, named, and mended or left as owed."""

import asyncio
import json

import pytest
from loops import in_loop
from tws_service import DAY, Recorded, S, one_shot, settings, simulator, start

from producers.tws.client import TwsUnavailable
from producers.tws.keep import Keep
from producers.tws.pacing import Limits
from tapefold.simulators.tws.faults import Faults
from tapefold.simulators.tws.world import made_up
from topics.catalog import H_KIND, H_REQUEST
from topics.tws import TwsBar, TwsError, TwsOutage, TwsUnit

MONDAY, TUESDAY, SUNDAY = "2025-01-13", "2025-01-14", "2025-01-12"


def owed(folder):
    """The plan of a backfill."""
    return [(one.unit.date, one.unit.symbol, one.reason) for one in Keep(folder / "ledger.json", "UTC").ledger.owed()]


@in_loop
async def test_days_of_symbols_are_fetched(tmp_path):
    """Two symbols, two days: every minute that was made is a finished bar, observed, with its exact values."""
    recorded = await one_shot(tmp_path, [MONDAY, TUESDAY])
    world = made_up(["AAPL", "MSFT"], DAY, 5, seed=1)
    bars = recorded.facts(TwsBar)
    made = {
        (name, bar.start_s * S, bar.close, int(bar.trades))
        for name, one in world.contracts.items()
        for bar in one.bars[:780]
    }
    told = {(bar.symbol, bar.event_ns, f"{bar.close_e6 / 10**6:.2f}", bar.count) for bar in bars}
    assert {(name, at, f"{float(close):.2f}", trades) for name, at, close, trades in made} == told
    assert {("complete", None, 390)} == {(one.status, one.reason, one.bars) for one in recorded.results.values()}
    assert {(True, "observed", True)} == {(bar.finished, bar.known_by, bar.known_ns == bar.received_ns) for bar in bars}
    assert 4 == len(recorded.facts(TwsUnit))
    assert [] == owed(tmp_path)


@in_loop
async def test_messages_are_recorded_as_they_came(tmp_path):
    """NUL-ended fields, the request beside them; beats on every partition; nothing of accounts."""
    recorded = await one_shot(tmp_path, [MONDAY], symbols=("AAPL",))
    records = recorded.records()
    frames = [record for record in records if dict(record.headers)[H_KIND] == b"frame"]
    (answer,) = [record for record in frames if record.value.startswith(b"17\0")]
    request = json.loads(dict(answer.headers)[H_REQUEST])
    assert (b"AAPL", "AAPL", "1 min", "20250114 05:00:00 UTC", "1 D") == (
        answer.key, request["symbol"], request["bar_size"], request["end"], request["duration"],
    )  # fmt: skip
    assert {b"4", b"17"} == {record.value.partition(b"\0")[0] for record in frames}
    assert not any(b"DU0000001" in record.value for record in records)
    beats = [record for record in records if dict(record.headers)[H_KIND] == b"beat"]
    assert {0, 1} == {record.partition for record in beats}
    assert json.loads(beats[-1].value)["bye"]


@pytest.mark.parametrize(
    ("faults", "metric", "codes"),
    [
        (Faults(pacing_every=2), "tws.pacing", {162}),
        (Faults(empty_every=2), "tws.retry", set()),
        (Faults(silent_every=2), "tws.retry", {162}),
        (Faults(late_every=2, late_s=1.5), "tws.retry", {162}),
    ],
    ids=["pacing", "empty", "silent", "late"],
)
@in_loop
async def test_a_fault_that_passes_is_named_and_asked_again(tmp_path, faults, metric, codes):
    """The empty list that ib_async would give is never taken for an answer."""
    recorded = await one_shot(tmp_path, [MONDAY], faults, timeout_s=0.7, parallel_max=1, attempts_max=5)
    assert ["complete", "complete"] == [one.status for one in recorded.results.values()]
    assert {390} == {one.bars for one in recorded.results.values()}
    assert recorded.named(metric)
    assert codes <= {error.code for error in recorded.facts(TwsError)}


@in_loop
async def test_an_answer_that_comes_too_late_is_recorded_all_the_same(tmp_path):
    """With the request that nobody waits for any more."""
    recorded = await one_shot(
        tmp_path, [MONDAY], Faults(late_every=2, late_s=1.0), timeout_s=0.7, parallel_max=1, attempts_max=5
    )
    answers = [record for record in recorded.records() if record.value.startswith(b"17\0")]
    assert all(H_REQUEST in dict(record.headers) for record in answers)
    assert 2 <= len(answers)


@in_loop
async def test_a_pacing_violation_stops_all_requests_for_a_window(tmp_path):
    """Whoever goes on asking is thrown out."""
    recorded = await one_shot(
        tmp_path, [MONDAY], Faults(pacing_every=1), symbols=("AAPL",), attempts_max=2, limits=Limits(S, 60, S // 5)
    )
    ((unit, fetched),) = recorded.results.items()
    assert ("failed", "pacing", 2, 162) == (fetched.status, fetched.reason, fetched.attempts, fetched.code)
    assert 0.8 < max(fields["wait_s"] for fields in recorded.named("tws.paced")) <= 1
    assert [(MONDAY, "AAPL", "pacing")] == owed(tmp_path)
    (told,) = recorded.facts(TwsUnit)
    assert ("failed", "pacing", unit.date) == (told.status, told.reason, told.date)


@in_loop
async def test_the_pacing_memory_outlives_the_process(tmp_path):
    """What was asked before a restart counts after it."""
    limits = Limits(600 * S, 2)
    await one_shot(tmp_path, [MONDAY], limits=limits)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(one_shot(tmp_path, [TUESDAY], limits=limits), 1.5)


@in_loop
async def test_the_simulator_s_own_rules_are_kept(tmp_path):
    """Strict pacing, many units, no violation; never more open requests than allowed."""
    recorded = await one_shot(
        tmp_path,
        [MONDAY, TUESDAY, "2025-01-15"],
        simulated={"strict_pacing": True},
        limits=Limits(600 * S, 60),
        parallel_max=2,
    )
    assert 0 == recorded.counters.violations
    assert 2 >= recorded.counters.open_max
    assert 6 == recorded.counters.requests[20]


@in_loop
async def test_a_day_without_bars_is_complete_only_by_tws_s_own_word(tmp_path):
    """Its words are evidence; bars of another day are not."""
    recorded = await one_shot(tmp_path, [SUNDAY], symbols=("AAPL",))
    (fetched,) = recorded.results.values()
    assert ("complete", "no_data", 0, 162) == (fetched.status, fetched.reason, fetched.bars, fetched.code)


@in_loop
async def test_an_unknown_symbol_is_given_up_at_once(tmp_path):
    """Asking again cannot help; the others go on."""
    world = made_up(["AAPL"], DAY, 2, seed=1)
    recorded = await one_shot(tmp_path, [MONDAY], simulated={"world": world})
    by_symbol = {unit.symbol: fetched for unit, fetched in recorded.results.items()}
    assert ("failed", "unknown_contract", 1, 200) == (
        by_symbol["MSFT"].status, by_symbol["MSFT"].reason, by_symbol["MSFT"].attempts, by_symbol["MSFT"].code,
    )  # fmt: skip
    assert "complete" == by_symbol["AAPL"].status
    assert [(MONDAY, "MSFT", "unknown_contract")] == owed(tmp_path)


@in_loop
async def test_a_socket_that_closes_in_the_middle_is_an_outage(tmp_path):
    """Its beginning and its end are told; what was fetched before is not fetched again."""
    recorded = await one_shot(tmp_path, [MONDAY, TUESDAY], Faults(disconnect_every=3), parallel_max=1)
    assert {"complete"} == {one.status for one in recorded.results.values()}
    outages = recorded.facts(TwsOutage)
    assert [("disconnected", False), ("disconnected", True)] == [
        (one.reason, one.ended_ns is not None) for one in outages[:2]
    ]
    assert 1 == len({one.outage_id for one in outages[:2]})
    assert recorded.counters.requests[20] <= 6


@pytest.mark.parametrize(("restored", "data_lost"), [(1101, True), (1102, False)])
@in_loop
async def test_a_lost_line_holds_requests_until_it_is_back(tmp_path, restored, data_lost):
    """Codes 1100 and 1101 or 1102: an outage with its end, and what became of the data."""
    faults = Faults(lose_after=1, outage_s=0.4, restored=restored)
    recorded = await one_shot(tmp_path, [MONDAY, TUESDAY], faults, parallel_max=1, timeout_s=1.0)
    assert {"complete"} == {one.status for one in recorded.results.values()}
    began, ended = recorded.facts(TwsOutage)
    assert ("connectivity", 1100, None) == (began.reason, began.code, began.data_lost)
    assert (data_lost, True) == (ended.data_lost, ended.ended_ns - ended.event_ns >= 0.3 * S)


@in_loop
async def test_nobody_there_is_said_and_not_waited_for_in_vain(tmp_path):
    """A one-shot gives up after some attempts, with what to look at; the outage is in the ledger."""
    recorded = Recorded()
    configured = settings(1, tmp_path, connects_max=2)
    with pytest.raises(TwsUnavailable, match="is it running and logged in"):
        await start(configured, recorded, units=configured.units(MONDAY))
    assert 1 == len(recorded.named("tws.outage"))
    assert 1 == recorded.by_name()["tws.reconnect"]


@in_loop
async def test_a_client_id_that_is_taken_is_named(tmp_path):
    """TWS's own words, not a timeout."""
    recorded = Recorded()
    async with simulator(Faults(), recorded.counters) as port:
        other, stop = Recorded(), asyncio.Event()
        task = asyncio.create_task(start(settings(port, tmp_path / "a", live=True), other, stop=stop))
        await other.heard("tws.connected")
        configured = settings(port, tmp_path / "b", connects_max=1, connect_timeout_s=1.0)
        with pytest.raises(TwsUnavailable, match="326"):
            await start(configured, recorded, units=configured.units(MONDAY))
        stop.set()
        await task
