"""Which markets of a series the socket's recorder watches: listed at the start and again, whatever REST says."""

import asyncio
import json

import pytest
from socket_bench import A, Bench, subscribe
from websockets.asyncio.server import ServerConnection

from topics.errors import Refused, SettingsError, Unavailable


def test_series_are_listed_until_they_are_there_and_listed_again() -> None:
    """A list that fails is tried again; markets that appear later are added to the subscription."""
    lists: list[list[str] | None] = [None, [A], [A, "KXHIGHNY-26AUG10-B87.5"]]
    added = []

    async def discover(series: str) -> list[str]:
        tickers = lists.pop(0) if lists else [series]
        if tickers is None:
            raise Unavailable("Kalshi REST", "HTTP 429")
        return tickers

    async def watching(ws: ServerConnection) -> None:
        await subscribe(ws)
        added.append(json.loads(await ws.recv())["params"])
        await ws.close(1000)

    bench = Bench(watching, tickers=(), series=("KXHIGHNY",), discovery_s=0.05)
    bench.discover = discover
    bench.run()

    assert [{"sids": [1], "market_tickers": ["KXHIGHNY-26AUG10-B87.5"], "action": "add_markets"}] == added
    assert "ws.discovery" in [name for name, _ in bench.metrics]
    with pytest.raises(SettingsError, match="expected a way to list the markets of series"):
        Bench(series=("KXHIGHNY",)).run()


def test_a_listing_that_is_refused_ends_the_start_and_not_a_recording() -> None:
    """A key that is not taken is said at once; later what is subscribed goes on, and the refusal is a line."""

    async def refusing(series: str) -> list[str]:
        raise Refused(f"{series}: HTTP 401")

    bench = Bench(tickers=(), series=("KXHIGHNY",))
    bench.discover = refusing
    with pytest.raises(Refused, match="KXHIGHNY: HTTP 401"):
        bench.run()

    lists = [[A]]

    async def later(series: str) -> list[str]:
        return lists.pop() if lists else await refusing(series)

    async def recorded(ws: ServerConnection) -> None:
        await subscribe(ws)
        await asyncio.sleep(0.2)
        await ws.close(1000)

    bench = Bench(recorded, tickers=(), series=("KXHIGHNY",), discovery_s=0.05)
    bench.discover = later
    bench.run()
    assert "KXHIGHNY: HTTP 401" in [fields["failed"] for name, fields in bench.metrics if name == "ws.discovery"]


def test_a_listing_on_its_way_does_not_hold_up_the_stop() -> None:
    """A breaker that is open, a server that hangs: SIGTERM is heard all the same."""

    async def hangs(series: str) -> list[str]:
        await asyncio.sleep(60)
        return [series]

    bench = Bench(tickers=(), series=("KXHIGHNY",))
    bench.discover = hangs
    bench.stop_after_s = 0.1
    bench.run()
    assert [] == bench.story()
