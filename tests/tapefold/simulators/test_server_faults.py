"""The simulator's faults over loopback: what a client sees agrees with what was counted."""

# the expected value stands on the left, by the rule of this repo

import asyncio
import json
from collections import Counter
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, InvalidStatus

from producers.kalshi.auth import Signer
from tapefold.simulators.kalshi import pump
from tapefold.simulators.kalshi.faults import Faults
from tapefold.simulators.kalshi.running import Running, running
from tapefold.simulators.kalshi.world import EVENT, STRIKES, made_up_lines

NOW_MS = 1_785_901_540_025
PATH = "/trade-api/ws/v2"
MARKETS = [f"{EVENT}-{strike}" for strike in STRIKES]
ALL = {"channels": ["orderbook_delta", "trade", "ticker", "market_lifecycle_v2"], "market_tickers": MARKETS}


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder for a throw-away key."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """The made-up recording of 2,000 frames."""
    path = tmp_path / "made-up.ndjson"
    path.write_bytes(b"\n".join(made_up_lines()) + b"\n")
    return path


def simulated(
    tape: Path, keys: Path, faults: Faults | None = None, **more: Any
) -> AbstractAsyncContextManager[Running]:
    """A simulator whose clock stands still."""
    return running([tape], state_folder=keys, clock_ms=lambda: NOW_MS, faults=faults, **more)


def client(simulator: Running, **headers: str) -> connect:
    """A signed connection; `headers` replace its own."""
    signer = Signer(simulator.key_id, simulator.private_key_path.read_bytes())
    signed = signer.headers("GET", PATH, NOW_MS) | headers
    return connect(simulator.url, additional_headers=signed, compression=None, ping_interval=None, max_size=None)


def recorded(tape: Path) -> list[dict[str, Any]]:
    """The frames of the made-up recording."""
    return [json.loads(line)["event"] for line in tape.read_bytes().splitlines()]


async def subscribe(socket: ClientConnection, **params: Any) -> None:
    """Send `subscribe`; replies come with the frames."""
    await socket.send(json.dumps({"id": 1, "cmd": "subscribe", "params": params or ALL}))


async def rest(socket: ClientConnection) -> tuple[list[dict[str, Any]], ConnectionClosed]:
    """All frames until the connection ends, and how it ended."""
    frames: list[dict[str, Any]] = []
    while True:
        try:
            frames.append(json.loads(await asyncio.wait_for(socket.recv(), 15)))
        except ConnectionClosed as end:
            return frames, end


def data(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The frames that are no replies."""
    return [frame for frame in frames if frame["type"] not in {"subscribed", "ok", "error", "unsubscribed"}]


async def sessions(simulator: Running) -> list[list[dict[str, Any]]]:
    """A client that reconnects whenever it is cut or refused; each session's data frames until the clean end."""
    seen: list[list[dict[str, Any]]] = []
    refusals: set[int] = set()
    while True:
        try:
            async with client(simulator) as socket:
                await subscribe(socket)
                frames, end = await rest(socket)
        except InvalidStatus as refused:
            refusals.add(refused.response.status_code)
            await asyncio.sleep(0.01)
            continue
        seen.append(data(frames))
        if isinstance(end, ConnectionClosedOK):
            assert refusals <= {503}
            return seen


def test_a_cut_comes_without_close_frame_and_the_outage_is_lost(tape: Path, keys: Path) -> None:
    """Each session but the last gets exactly N data frames; sent and lost add up to the whole recording."""

    async def run() -> None:
        faults = Faults(disconnect_every_frames=300, outage_s=60.0)
        async with simulated(tape, keys, faults) as simulator:
            async with client(simulator) as socket:
                await subscribe(socket)
                frames, end = await rest(socket)
                assert isinstance(end, ConnectionClosedError)
                assert None is end.rcvd
                first = data(frames)
            later = await sessions(simulator)
            counters = simulator.counters
            assert {300} == {len(frames) for frames in [first, *later[:-1]]}
            assert counters.cuts == len(later)
            assert 2_000 == counters.passed.total()
            snapshots = sum(frame["type"] == "orderbook_snapshot" for part in later for frame in part)
            assert 0 < snapshots
            assert 0 < counters.lost.total()
            assert 2_000 + snapshots == counters.sent.total() + counters.lost.total()

    asyncio.run(run())


def test_after_a_cut_the_client_goes_on_from_true_books(tape: Path, keys: Path) -> None:
    """Folding the second session from its snapshots gives the same books as folding the whole recording."""

    def fold(frames: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, int]]:
        books: dict[tuple[str, str], dict[str, int]] = {}
        for frame in frames:
            msg = frame["msg"]
            if frame["type"] == "orderbook_snapshot":
                for side in ("yes", "no"):
                    levels = msg.get(f"{side}_dollars_fp", [])
                    books[msg["market_ticker"], side] = {price: int(size.replace(".", "")) for price, size in levels}
            elif frame["type"] == "orderbook_delta":
                book = books[msg["market_ticker"], msg["side"]]
                size = book.pop(msg["price_dollars"], 0) + int(msg["delta_fp"].replace(".", ""))
                if size:
                    book[msg["price_dollars"]] = size
        return books

    async def run() -> None:
        async with simulated(tape, keys, Faults(disconnect_every_frames=1_200, outage_s=600.0)) as simulator:
            seen = await sessions(simulator)
            assert 2 == len(seen)
            assert fold(recorded(tape)) == fold(seen[1])

    asyncio.run(run())


def test_dropped_and_duplicated_frames_are_those_that_are_counted(
    tape: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a client misses and gets twice agrees with the counters. It asks for no book; the wait for that is cut short."""
    monkeypatch.setattr(pump, "MEND_S_MAX", 0.5)

    async def run() -> None:
        async with simulated(tape, keys, Faults(drop_seq=5, duplicate_probability=0.1)) as simulator:
            (frames,) = await sessions(simulator)
            counters = simulator.counters
            assert Counter(orderbook_delta=1, trade=1, market_lifecycle_v2=1) == counters.dropped
            assert 5 not in {frame.get("seq") for frame in frames}
            repeated = sum(first == second for first, second in pairwise(frames))
            assert counters.duplicated.total() == repeated
            assert 1_997 == counters.sent.total() == len(frames) - repeated

    asyncio.run(run())


def test_a_hole_is_mended_in_mid_recording_however_far_the_client_is_behind(tape: Path, keys: Path) -> None:
    """The whole recording fits a socket's buffer; still it goes on only when the books have been asked for."""

    async def run() -> None:
        async with simulated(tape, keys, Faults(drop_seq=20)) as simulator, client(simulator) as socket:
            await subscribe(socket)
            await asyncio.sleep(0.5)
            books: list[dict[str, Any]] = []
            async for text in socket:
                frame = json.loads(text)
                if frame["type"] in {"orderbook_delta", "orderbook_snapshot"}:
                    books.append(frame)
                if frame["type"] == "orderbook_delta" and frame["seq"] == 21:
                    ask = {"action": "get_snapshot", "sids": [frame["sid"]], "market_tickers": MARKETS}
                    await socket.send(json.dumps({"id": 9, "cmd": "update_subscription", "params": ask}))
            mended = next(n for n, frame in enumerate(books) if frame["type"] == "orderbook_snapshot" and n >= 19)
            assert 21 + 256 > mended
            assert len(books) - mended > 500

    asyncio.run(run())


def test_a_stall_delivers_late_to_those_who_wait(tape: Path, keys: Path) -> None:
    """Nothing comes for S seconds, not even a pong; then all of it, without a hole."""

    async def run() -> None:
        faults = Faults(stall_s=0.5, stall_after_frames=500)
        async with simulated(tape, keys, faults, heartbeat_s=0.05) as simulator, client(simulator) as socket:
            await subscribe(socket)
            frames = [json.loads(await socket.recv()) for _ in range(4 + 500)]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.2)
            pong = await socket.ping()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(pong), 0.1)
            await asyncio.wait_for(pong, 5)
            late, end = await rest(socket)
            assert isinstance(end, ConnectionClosedOK)
            assert [frame["msg"] for frame in recorded(tape)] == [frame["msg"] for frame in data(frames + late)]
            assert 1 == simulator.counters.stalls

    asyncio.run(run())


def test_a_stall_is_lost_to_those_who_leave(tape: Path, keys: Path) -> None:
    """The recording runs on by S seconds of its own time; a client that left in disgust has missed those frames."""
    times = [json.loads(line)["recv_ms"] for line in tape.read_bytes().splitlines()]

    async def run() -> None:
        async with simulated(tape, keys, Faults(stall_s=60.0, stall_after_frames=500, outage_s=900.0)) as simulator:
            socket = await client(simulator)
            await subscribe(socket)
            for _ in range(4 + 500):
                await socket.recv()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.1)
            socket.transport.abort()
            (frames,) = await asyncio.wait_for(sessions(simulator), 10)
            counters = simulator.counters
            missed = sum(times[499] + 60_000 >= at_ms for at_ms in times[500:])
            assert missed == counters.lost.total()
            assert 3 + 2_000 - 500 - missed == len(frames)

    asyncio.run(run())


def test_two_sessions_have_their_own_numbers_and_faults(tape: Path, keys: Path) -> None:
    """A cut of one of two redundant sessions costs the other nothing."""

    async def run() -> None:
        faults = Faults(disconnect_every_frames=1_500)
        async with simulated(tape, keys, faults) as simulator, client(simulator) as first, client(simulator) as second:
            await subscribe(first)
            await subscribe(second, channels=["trade"])
            (some, _), (others, end) = await asyncio.gather(rest(first), rest(second))
            assert 1_500 == len(data(some))
            trades = sum(frame["type"] == "trade" for frame in recorded(tape))
            assert isinstance(end, ConnectionClosedOK)
            assert list(range(1, trades + 1)) == [frame["seq"] for frame in data(others)]

    asyncio.run(run())


async def patient(simulator: Running) -> ClientConnection:
    """A connection as soon as the simulator accepts one."""
    while True:
        try:
            return await client(simulator)
        except InvalidStatus:
            await asyncio.sleep(0.05)


def counting_tape(path: Path, frames: int, padding: str = "") -> Path:
    """A recording of numbered trades, 100 ms apart."""
    msgs = [{"market_ticker": "M", "n": n, "padding": padding} for n in range(frames)]
    events = [{"type": "trade", "sid": 1, "seq": 1, "msg": msg} for msg in msgs]
    lines = [json.dumps({"recv_ms": 5_000 + 100 * n, "event": event}) for n, event in enumerate(events)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_paced_cut_refuses_clients_for_the_outage(tmp_path: Path, keys: Path) -> None:
    """While the outage lasts the handshake is answered 503, and what passes until the client is back is lost."""
    tape = counting_tape(tmp_path / "paced.ndjson", 300)

    async def run() -> None:
        faults = Faults(disconnect_every_frames=10, outage_s=10.0)
        async with simulated(tape, keys, faults, speed=10.0) as simulator:
            async with client(simulator) as socket:
                await subscribe(socket, channels=["trade"])
                assert 10 == len(data((await rest(socket))[0]))
            with pytest.raises(InvalidStatus) as refused:
                await client(simulator)
            assert 503 == refused.value.response.status_code
            async with await patient(simulator) as socket:
                await subscribe(socket, channels=["trade"])
                await socket.recv()
                first = json.loads(await socket.recv())["msg"]["n"]
            assert 10 + 100 <= first
            assert first - 10 == simulator.counters.lost["trade"]

    asyncio.run(run())


def test_a_cut_loses_no_frame_that_counts_as_sent(tmp_path: Path, keys: Path) -> None:
    """A client that reads slowly still gets all N frames before the connection breaks, however many bytes they are."""
    tape = counting_tape(tmp_path / "wide.ndjson", 600, padding="x" * 20_000)

    async def run() -> None:
        async with simulated(tape, keys, Faults(disconnect_every_frames=500)) as simulator:
            async with client(simulator) as socket:
                await subscribe(socket, channels=["trade"])
                await asyncio.sleep(0.5)
                frames, end = await rest(socket)
            assert isinstance(end, ConnectionClosedError)
            assert list(range(500)) == [frame["msg"]["n"] for frame in data(frames)]

    asyncio.run(run())
