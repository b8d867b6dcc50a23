"""Bars that grow: recorded as they are told, finished by the next one, taken up again after every loss."""

import asyncio
from datetime import UTC, datetime

import pytest
from loops import in_loop
from tws_service import Recorded, S, settings, simulator, start

from producers.beat import WallClock
from producers.iem.clock import Clock
from producers.tws.keep import Keep
from producers.tws.pacing import Limits
from tapefold import wiring
from tapefold.simulators.tws.faults import Faults
from tapefold.simulators.tws.world import con_id_of
from topics.catalog import H_CLOCK
from topics.tws import TwsBar, TwsOutage, TwsUnit

NOON = datetime(2025, 1, 13, 17, 0, 30, tzinfo=UTC).timestamp()
MINUTE = 60 * S
SPEED = 300.0


async def recorded_live(folder, seconds, faults=None, at_s=NOON, **over):
    """Record for some seconds, at five simulated minutes a second; the recorder's clock is the simulated one."""
    recorded, stop, loop = Recorded(), asyncio.Event(), asyncio.get_running_loop()
    begun_s = loop.time()
    clock = WallClock(lambda: int((at_s + (loop.time() - begun_s) * SPEED) * S))
    async with simulator(faults or Faults(), recorded.counters, at_s=at_s, speed=SPEED) as port:
        loop.call_later(seconds, stop.set)
        await start(settings(port, folder, live=True, **over), recorded, stop=stop, clock=clock)
    return recorded


@in_loop
async def test_a_growing_bar_is_told_and_then_finished(tmp_path):
    """Every minute that passed has a finished bar, known when the next one began; growing ones stand before it."""
    recorded = await recorded_live(tmp_path, 2.0)
    updates = [bar for bar in recorded.facts(TwsBar) if bar.told_by == "update" and bar.symbol == "AAPL"]
    finished = [bar.event_ns for bar in updates if bar.finished]
    assert 5 <= len(finished)
    assert list(range(finished[0], finished[-1] + 1, MINUTE)) == finished
    for start_ns in finished[1:]:
        told = [bar for bar in updates if bar.event_ns == start_ns]
        assert [False] * (len(told) - 1) + [True] == [bar.finished for bar in told]
        assert told[-2].close_e6 == told[-1].close_e6


@in_loop
async def test_a_finished_bar_has_the_content_that_history_gives(tmp_path):
    """Live and fetched tell the same minutes."""
    recorded = await recorded_live(tmp_path, 1.5)
    bars = recorded.facts(TwsBar)
    answers = {(bar.symbol, bar.event_ns) for bar in bars if bar.told_by == "answer"}
    assert {"AAPL", "MSFT"} == {symbol for symbol, _ in answers}
    assert {False, True} == {bar.finished for bar in bars if bar.told_by == "update"}
    assert {(one, con_id_of(one)) for one in ("AAPL", "MSFT")} == {(bar.symbol, bar.con_id) for bar in bars}


@pytest.mark.parametrize("restored", [1101, 1102])
@in_loop
async def test_live_bars_go_on_after_a_lost_line(tmp_path, restored):
    """Lost subscriptions are asked for again; the days of the outage are fetched, without anybody asking."""
    faults = Faults(lose_after=2, outage_s=0.4, restored=restored)
    recorded = await recorded_live(tmp_path, 3.0, faults)
    ended = [one for one in recorded.facts(TwsOutage) if one.ended_ns is not None and one.reason == "connectivity"]
    assert [restored == 1101] == [one.data_lost for one in ended]
    after = [bar for bar in recorded.facts(TwsBar) if bar.told_by == "update" and bar.received_ns > ended[0].ended_ns]
    assert {"AAPL", "MSFT"} == {bar.symbol for bar in after}
    assert recorded.named("tws.plan")


@in_loop
async def test_time_in_which_no_recorder_ran_is_an_outage(tmp_path):
    """The next one tells it, from the last sign of life on, and owes its days."""
    keep = Keep(tmp_path / "ledger.json", "America/New_York")
    keep.alive(int(NOON) * S)
    recorded = await recorded_live(tmp_path, 0.5)
    (outage,) = [one for one in recorded.facts(TwsOutage) if one.ended_ns is not None]
    assert (int(NOON) * S, "disconnected") == (outage.event_ns, outage.reason)
    (planned,) = recorded.named("tws.plan")
    assert ("2025-01-10", "2025-01-13") == (planned["first"], planned["last"])  # Friday is the last day that has closed


@in_loop
async def test_the_last_trading_day_is_fetched_after_its_close(tmp_path):
    """When its time comes, without a restart; what was fetched is accounted for."""
    before_close = datetime(2025, 1, 14, 21, 25, tzinfo=UTC).timestamp()
    recorded = await recorded_live(tmp_path, 3.0, at_s=before_close)
    days = sorted((one.date, one.symbol, one.status) for one in recorded.facts(TwsUnit))
    assert [(day, name, "complete") for day in ("2025-01-13", "2025-01-14") for name in ("AAPL", "MSFT")] == days


@in_loop
async def test_days_and_stamps_go_by_the_tape_and_requests_by_the_wall(tmp_path):
    """A made-up day is known on that day; Interactive Brokers counts requests by its own clock, whatever the tape's speed."""
    recorded, begun_ns = Recorded(), wiring.now_ns()
    clock = Clock(wiring.now_ns, tape_ns=int(NOON) * S, wall_ns=begun_ns, speed=SPEED, name="tape")
    async with simulator(Faults(), recorded.counters, at_s=NOON, speed=SPEED) as port:
        configured = settings(port, tmp_path, limits=Limits(2 * S, 3, S // 100))
        units = [unit for day in ("2025-01-10", "2025-01-13") for unit in configured.units(day)]
        await start(configured, recorded, units=units, clock=clock)
    assert wiring.now_ns() - begun_ns >= 2 * S
    bars = recorded.facts(TwsBar)
    assert {("assumed", True)} == {
        (bar.known_by, bar.known_ns == max(bar.received_ns, bar.end_ns)) for bar in bars if bar.finished
    }
    assert all(int(NOON) * S <= bar.known_ns <= clock.now_ns() for bar in bars)
    assert {b"tape"} == {dict(record.headers)[H_CLOCK] for record in recorded.records()}
