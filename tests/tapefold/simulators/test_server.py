"""The simulator over loopback, met by a real WebSocket client."""

# the expected value stands on the left, by the rule of this repo

import asyncio
import json
import urllib.error
import urllib.request
from collections import Counter
from contextlib import AbstractAsyncContextManager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus

from producers.kalshi.auth import Signer
from tapefold.simulators.kalshi.faults import Faults
from tapefold.simulators.kalshi.recording import BadRecording
from tapefold.simulators.kalshi.running import Running, running
from tapefold.simulators.kalshi.world import EVENT, STRIKES, made_up_lines

NOW_MS = 1_785_901_540_025
PATH = "/trade-api/ws/v2"
MARKETS = [f"{EVENT}-{strike}" for strike in STRIKES]
ALL = {"channels": ["orderbook_delta", "trade", "ticker", "market_lifecycle_v2"], "market_tickers": MARKETS}
GOLD = Path(__file__).parents[3] / "../shared/data/kalshi-ws/gold15m"


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


async def get(simulator: Running, path: str) -> tuple[int, Any]:
    """Status and JSON body of a plain HTTP GET."""

    def fetch() -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(simulator.http_url + path) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    return await asyncio.to_thread(fetch)


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


def test_an_undisturbed_run_delivers_the_recording_and_closes_cleanly(tape: Path, keys: Path) -> None:
    """Every recorded `msg` arrives once, in order, numbered without a hole; the end is a close 1000 that says so."""

    async def run() -> None:
        async with simulated(tape, keys) as simulator, client(simulator) as socket:
            await subscribe(socket)
            frames, end = await rest(socket)
            assert isinstance(end, ConnectionClosedOK)
            assert (1000, "end of recording") == (socket.close_code, socket.close_reason)
            assert 4 == sum(frame["type"] == "subscribed" for frame in frames)
            assert [frame["msg"] for frame in recorded(tape)] == [frame["msg"] for frame in data(frames)]
            for sid in {frame["sid"] for frame in data(frames)}:
                numbers = [frame["seq"] for frame in data(frames) if frame["sid"] == sid and "seq" in frame]
                assert list(range(1, len(numbers) + 1)) == numbers
            assert 2_000 == simulator.counters.sent.total()
            assert 0 == simulator.counters.lost.total()

            async with client(simulator) as late:
                await subscribe(late)
                frames, end = await rest(late)
            assert ["subscribed"] * 4 == [frame["type"] for frame in frames]
            assert "end of recording" == late.close_reason

    asyncio.run(run())


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"KALSHI-ACCESS-SIGNATURE": "AAAA"}, b"signature wrong"),
        ({"KALSHI-ACCESS-TIMESTAMP": str(NOW_MS - 60_000)}, b"timestamp skewed"),
        ({"KALSHI-ACCESS-KEY": "somebody else"}, b"key unknown"),
    ],
)
def test_a_bad_signature_is_answered_401_with_the_reason(
    tape: Path, keys: Path, headers: dict[str, str], words: bytes
) -> None:
    """The handshake is refused before any command, and the refusal counted."""

    async def run() -> None:
        async with simulated(tape, keys) as simulator:
            with pytest.raises(InvalidStatus) as refused:
                await client(simulator, **headers)
            assert 401 == refused.value.response.status_code
            assert words in (refused.value.response.body or b"")
            assert 1 == simulator.counters.refused

    asyncio.run(run())


def test_commands_are_answered_and_errors_leave_the_connection_standing(tape: Path, keys: Path) -> None:
    """A refused command is an `error` frame; the next command works."""

    async def run() -> None:
        async with simulated(tape, keys, speed=1.0) as simulator, client(simulator) as socket:
            await subscribe(socket, channels=["ticker_v2"])
            assert 8 == json.loads(await socket.recv())["msg"]["code"]
            await subscribe(socket, channels=["fill"])
            assert {"channel": "fill", "sid": 1} == json.loads(await socket.recv())["msg"]
            await socket.send('{"id":2,"cmd":"list_subscriptions"}')
            assert [{"channel": "fill", "sid": 1}] == json.loads(await socket.recv())["msg"]

    asyncio.run(run())


def test_markets_are_found_over_plain_http_on_the_same_port(tape: Path, keys: Path) -> None:
    """Series and cursor work without signature; other paths are 404, and an unsigned upgrade path is 401."""

    async def run() -> None:
        async with simulated(tape, keys) as simulator:
            status, page = await get(simulator, "/trade-api/v2/markets?series_ticker=KXHIGHMADEUP&limit=2")
            assert (200, 2) == (status, len(page["markets"]))
            status, last = await get(simulator, f"/trade-api/v2/markets?cursor={page['cursor']}")
            assert sorted(MARKETS) == [market["ticker"] for market in page["markets"] + last["markets"]]
            assert "" == last["cursor"]
            assert 404 == (await get(simulator, "/nothing"))[0]
            assert 401 == (await get(simulator, PATH))[0]

    asyncio.run(run())


def test_heartbeats_are_pings_with_the_vendors_payload(tape: Path, keys: Path) -> None:
    """A quiet subscription still hears pings `heartbeat`, also while a pong is owed."""

    async def run() -> None:
        async with simulated(tape, keys, speed=1.0, heartbeat_s=0.02) as simulator:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(simulator.url.split(":")[2].split("/")[0]))
            signer = Signer(simulator.key_id, simulator.private_key_path.read_bytes())
            headers = signer.headers("GET", PATH, NOW_MS) | {
                "Host": "127.0.0.1",
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            }
            lines = [f"GET {PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
            writer.write("\r\n".join(lines).encode())
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
            assert b"\x89\x09heartbeat" * 2 == await asyncio.wait_for(reader.readexactly(22), 5)
            writer.close()

    asyncio.run(run())


def test_a_paced_run_follows_the_recordings_own_time(tmp_path: Path, keys: Path) -> None:
    """At speed 10, frames 2 s apart in the recording come 0.2 s apart."""
    lines = [
        {"recv_ms": 5_000 + 2_000 * n, "event": {"type": "trade", "sid": 1, "msg": {"market_ticker": "M", "n": n}}}
        for n in range(4)
    ]
    tape = tmp_path / "slow.ndjson"
    tape.write_text("".join(json.dumps(line) + "\n" for line in lines))

    async def run() -> None:
        async with simulated(tape, keys, speed=10.0) as simulator, client(simulator) as socket:
            await subscribe(socket, channels=["trade"])
            await socket.recv()
            times = []
            for _ in range(4):
                await socket.recv()
                times.append(asyncio.get_running_loop().time())
            gaps = [second - first for first, second in pairwise(times)]
            assert 0.55 <= times[-1] - times[0]
            assert all(0.1 < gap < 0.9 for gap in gaps), gaps

    asyncio.run(run())


def test_a_bad_line_in_mid_recording_ends_the_simulator_with_its_place(tmp_path: Path, keys: Path) -> None:
    """What cannot be replayed is said, with file and line, instead of being skipped."""
    tape = tmp_path / "bad.ndjson"
    tape.write_bytes(made_up_lines(frames=60)[0] + b"\nnonsense\n")

    async def run() -> None:
        async with simulated(tape, keys) as simulator:
            with suppress(ConnectionClosed):
                async with client(simulator) as socket:
                    await subscribe(socket)
                    await rest(socket)

    with pytest.raises(BadRecording, match=r"bad\.ndjson, line 2"):
        asyncio.run(run())


@pytest.mark.skipif(not GOLD.is_dir(), reason=f"the gold15m recording is not at {GOLD}")
def test_a_real_market_is_replayed_whole(keys: Path) -> None:
    """All frames of one recorded market of two days arrive, in order and unchanged."""
    folder = GOLD / "events/KXGOLD15M-26AUG102000-00"

    async def run() -> None:
        async with simulated(folder, keys) as simulator, client(simulator) as socket:
            await subscribe(socket, channels=["orderbook_delta", "trade"], market_tickers=["KXGOLD15M-26AUG102000-00"])
            frames, end = await rest(socket)
            assert isinstance(end, ConnectionClosedOK)
            assert simulator.counters.passed == Counter(frame["type"] for frame in data(frames))
            assert 10_000 < simulator.counters.passed.total()

    asyncio.run(run())
