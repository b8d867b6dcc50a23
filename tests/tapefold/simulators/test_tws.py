"""The real ib_async against the simulator over TCP: it connects unmodified, and meets every way in which TWS fails."""

import asyncio
import contextlib
from datetime import UTC, date, datetime

import pytest
from faults import always, written
from ib_async import IB, StartupFetchNONE, Stock
from loops import in_loop

from tapefold.simulators.tws.faults import Counters, Faults
from tapefold.simulators.tws.server import serve
from tapefold.simulators.tws.world import NoBars, con_id_of, made_up

DAY = date(2025, 1, 13)
CLOSE = datetime(2025, 1, 13, 21, tzinfo=UTC)


@contextlib.asynccontextmanager
async def simulated(faults=None, **over):
    """A simulator of two symbols and a week; its port and counters."""
    counters, ready, stop = Counters(), asyncio.get_running_loop().create_future(), asyncio.Event()
    world = over.pop("world", None) or made_up(["AAPL", "MSFT"], DAY, 5, seed=1)
    task = asyncio.create_task(
        serve(
            world,
            faults=faults or Faults(),
            on_ready=lambda _, port: ready.set_result(port),
            stop=stop,
            counters=counters,
            **over,
        )
    )
    try:
        yield await ready, counters
    finally:
        stop.set()
        await task


@contextlib.asynccontextmanager
async def connected(port, client_id=7, **over):
    """The real client, read-only, and the errors it hears."""
    ib, errors = IB(), []
    ib.errorEvent += lambda req_id, code, text, _: errors.append((req_id, code, text))
    await ib.connectAsync(
        "127.0.0.1", port, clientId=client_id, timeout=5, readonly=True, fetchFields=StartupFetchNONE, **over
    )
    try:
        yield ib, errors
    finally:
        ib.disconnect()


async def history(ib, symbol="AAPL", end=CLOSE, duration="1 D", **over):
    """Minutes of a day."""
    said = {"whatToShow": "TRADES", "useRTH": True, "formatDate": 2, "timeout": 5} | over
    bars = await ib.reqHistoricalDataAsync(Stock(symbol, "SMART", "USD"), end, duration, "1 min", **said)
    return bars if said.get("keepUpToDate") else list(bars)


@in_loop
async def test_the_unmodified_client_connects_and_qualifies():
    """Handshake, accounts, ids, positions; contract details as servers from 164 on send them."""
    async with simulated() as (port, counters), connected(port) as (ib, errors):
        (found,) = await ib.qualifyContractsAsync(Stock("AAPL", "SMART", "USD"))
        assert (178, con_id_of("AAPL")) == (ib.client.serverVersion(), found.conId)
        assert ["DU0000001"] == ib.managedAccounts()
        assert {2104, 2106, 2158} == {code for _, code, _ in errors}
        assert [None] == await ib.qualifyContractsAsync(Stock("NOPE", "SMART", "USD"))
        assert 200 == errors[-1][1]
    assert (1, 2) == (counters.connections, counters.requests[9])


@in_loop
async def test_a_full_connect_is_answered_too():
    """A client that asks for orders, accounts and executions is not kept waiting."""
    async with simulated() as (port, _):
        ib = IB()
        await ib.connectAsync("127.0.0.1", port, clientId=3, timeout=5, raiseSyncErrors=True)
        assert ib.isConnected()
        ib.disconnect()


@pytest.mark.parametrize("form", [1, 2])
@in_loop
async def test_a_day_of_minutes_comes_as_it_was_made(form):
    """All 390 minutes, exact numbers, aware times in both forms of date."""
    world = made_up(["AAPL"], DAY, 1, seed=1)
    async with simulated(world=world) as (port, counters), connected(port) as (ib, _):
        bars = await history(ib, formatDate=form)
    expected = world.contracts["AAPL"].bars
    assert [bar.start_s for bar in expected] == [int(bar.date.timestamp()) for bar in bars]
    assert [(float(bar.open), float(bar.close), int(bar.trades)) for bar in expected] == [
        (bar.open, bar.close, bar.barCount) for bar in bars
    ]
    assert (390, 390) == (len(bars), counters.bars)


@in_loop
async def test_a_range_without_bars_is_said_so():
    """Code 162 with TWS's own words, and an empty list that alone would say nothing."""
    async with simulated() as (port, _), connected(port) as (ib, errors):
        assert [] == await history(ib, end=datetime(2024, 1, 1, tzinfo=UTC))
        assert (162, True) == (errors[-1][1], "returned no data" in errors[-1][2])


@pytest.mark.parametrize(
    ("faults", "code", "named"),
    [
        (Faults(pacing_every=1), 162, "pacing"),
        (Faults(empty_every=1), None, "empty"),
        (Faults(silent_every=1), 162, "silent"),
        (Faults(scenario=always("pacing", "tws")), 162, "pacing"),
        (Faults(scenario=always("empty", "tws")), None, "empty"),
        (Faults(scenario=always("silent", "tws")), 162, "silent"),
    ],
)
@in_loop
async def test_an_empty_list_hides_a_fault(faults, code, named):
    """The client gives the same `[]` for a pacing violation, an empty answer and none at all."""
    async with simulated(faults) as (port, counters), connected(port) as (ib, errors):
        heard = len(errors)
        assert [] == await history(ib, timeout=0.2)
        await asyncio.sleep(0.1)
        assert ([code] if code else []) == [code for _, code, _ in errors[heard:]]
    assert {named: 1} == dict(counters.faults)


@pytest.mark.parametrize("faults", [Faults(disconnect_every=1), Faults(scenario=always("disconnect", "tws"))])
@in_loop
async def test_the_socket_closes_in_the_middle_of_an_answer(faults):
    """Half a frame, then nothing: the client's request fails."""
    async with simulated(faults) as (port, counters), connected(port) as (ib, _):
        with pytest.raises(ConnectionError):
            await history(ib)
    assert {"disconnect": 1} == dict(counters.faults)


@pytest.mark.parametrize(
    "faults", [Faults(late_every=1, late_s=0.4), Faults(scenario=always("late", "tws", seconds=0.4))]
)
@in_loop
async def test_an_answer_comes_late(faults):
    """After the client has given up."""
    async with simulated(faults) as (port, counters), connected(port) as (ib, _):
        assert [] == await history(ib, timeout=0.1)
        assert 390 == len(await history(ib, timeout=5))
    assert 2 == counters.faults["late"]


@pytest.mark.parametrize("restored", [1101, 1102])
@in_loop
async def test_the_line_is_lost_and_restored(restored):
    """Code 1100 to all; nothing is answered meanwhile; 1101 or 1102 afterwards."""
    faults = Faults(lose_after=1, outage_s=0.3, restored=restored)
    async with simulated(faults) as (port, counters), connected(port) as (ib, errors):
        assert 390 == len(await history(ib))
        assert [] == await history(ib, timeout=0.1)
        await asyncio.sleep(0.5)
        assert [1100, restored] == [code for _, code, _ in errors if 1000 < code < 2000]
        assert 390 == len(await history(ib))
    assert {"1100": 1, str(restored): 1} == dict(counters.faults)


@pytest.mark.parametrize("kind", ["1101", "1102"])
@in_loop
async def test_the_scenario_loses_the_line_for_a_span(kind, tmp_path):
    """1100 at its beginning, the other code at its end, by the simulated time; once."""
    text = f"[[fault]]\nof = 'tws'\nkind = '{kind}'\nfrom = 2025-01-13T21:01:00Z\nto = 2025-01-13T21:02:00Z"
    faults = Faults(scenario=written(tmp_path / "s.toml", text, "tws"))
    async with (
        simulated(faults, at_s=CLOSE.timestamp(), speed=120) as (port, counters),
        connected(port) as (ib, errors),
    ):
        await asyncio.sleep(1.5)
        assert [1100, int(kind)] == [code for _, code, _ in errors if 1000 < code < 2000]
        assert 390 == len(await history(ib))
    assert {"1100": 1, kind: 1} == dict(counters.faults)


@in_loop
async def test_a_bar_that_is_asked_for_again_is_corrected():
    """Every third one."""
    async with simulated(Faults(revise_every=3)) as (port, _), connected(port) as (ib, _):
        first, second = await history(ib), await history(ib)
    assert 130 == sum(one != other for one, other in zip(first, second, strict=True))


@in_loop
async def test_a_client_id_that_is_taken_is_refused():
    """Code 326, then the socket closes."""
    async with simulated() as (port, _), connected(port, client_id=5):
        with pytest.raises((TimeoutError, ConnectionError)):
            async with connected(port, client_id=5, raiseSyncErrors=True):
                pass


@in_loop
async def test_live_bars_grow_and_end():
    """Each is told three times; the next one's first telling ends it."""
    at_s = datetime(2025, 1, 13, 15, 0, 30, tzinfo=UTC).timestamp()
    async with simulated(at_s=at_s, speed=600) as (port, _), connected(port) as (ib, _):
        told, done = [], asyncio.Event()
        bars = await history(ib, end="", duration="3600 S", keepUpToDate=True)

        def heard(live, new):
            told.append((live[-1].date, new))
            if sum(new for _, new in told) == 5:
                done.set()

        bars.updateEvent += heard
        await asyncio.wait_for(done.wait(), 10)
    assert 31 == len(bars) - sum(new for _, new in told)
    assert [when for when, _ in told] == sorted(when for when, _ in told)


@in_loop
async def test_small_bars_are_paced():
    """The seventh request within two seconds breaks the rule, as does an identical one."""
    async with simulated(strict_pacing=True) as (port, counters), connected(port) as (ib, errors):
        assert 390 == len(await history(ib))
        assert [] == await history(ib)
        assert "pacing violation" in errors[-1][2]
    assert 1 == counters.violations


@in_loop
async def test_bytes_that_are_no_client_are_let_go():
    """A browser, a scanner: the socket closes, the simulator stays."""
    async with simulated() as (port, _):
        for noise in (b"GET / HTTP/1.1\r\n\r\n", b"API\0\0\0\0\4nope", b"API\0\xff\xff\xff\xff"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(noise)
            assert b"" == await asyncio.wait_for(reader.read(), 5)
            writer.close()
        async with connected(port) as (ib, _):
            assert 390 == len(await history(ib))


@in_loop
async def test_the_bytes_of_the_handshake_are_those_of_a_gateway():
    """Length, version, time; then accounts and the next id, each field ended by NUL."""
    async with simulated() as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"API\0\0\0\0\x09v157..178")
        assert b"\0\0\0\x1a178\x0020250117 21:00:" == (await reader.readexactly(30))[:23]
        writer.write(b"\0\0\0\x0871\x002\x007\0\0")
        assert b"\0\0\0\x0f15\x001\0DU0000001\0" == await reader.readexactly(19)
        assert b"\0\0\0\x069\x001\x001\0" == await reader.readexactly(10)
        writer.close()


def test_the_made_up_world_is_the_same_for_a_seed():
    """And another one for another."""
    same = [made_up(["X"], DAY, 2, seed=seed).contracts["X"].bars for seed in (1, 1, 2)]
    assert same[0] == same[1] != same[2]
    assert 780 == len(same[0])
    with pytest.raises(NoBars):
        made_up(["X"], date(2025, 1, 18), 2, seed=1)


@pytest.mark.parametrize("wrong", [{"pacing_every": 0}, {"late_s": -1.0}, {"lose_after": -1}])
def test_faults_out_of_range_are_refused(wrong):
    """By name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Faults(**wrong)
