"""The socket loop against real WebSocket servers: a small one that follows a script, and the simulator."""

import asyncio
import json
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from socket_bench import (
    OPENING,
    A,
    Bench,
    a_trade_and_a_cut,
    a_trade_and_silence,
    now_ns,
    subscribe,
    trade,
    two_trades_and_a_close,
)
from websockets.asyncio.server import ServerConnection

from producers.beat import TapeClock
from producers.kalshi.auth import Signer
from producers.kalshi.socket import SocketSettings, run
from tapefold.simulators.kalshi.faults import Counters, Faults
from tapefold.simulators.kalshi.keys import ensure_keypair
from tapefold.simulators.kalshi.server import serve as simulate
from topics.catalog import RAW_KALSHI_WS
from topics.errors import Refused, Undelivered
from topics.log import MemoryAppender, MemoryLog
from topics.units import NS_PER_MS


def test_a_signed_handshake_and_a_clean_close() -> None:
    """Every frame stands on the log in order; coverage stops and the connection says good-bye."""
    bench = Bench(two_trades_and_a_close)
    bench.run()

    assert [*OPENING, "trade 2", "coverage stop", "bye"] == bench.story()
    assert [] == bench.refusals


def test_a_cut_is_a_gap_before_the_first_frame_of_the_next_connection(tmp_path: Path) -> None:
    """Signed anew, with jitter before; nothing is left for a successor to tell."""
    path = tmp_path / "ws.json"
    bench = Bench(a_trade_and_a_cut, a_trade_and_a_cut, two_trades_and_a_close, journal_path=path)
    bench.run()

    lost = ["gap disconnect from 2", "coverage gap", "bye"]
    assert [*OPENING, *lost, *OPENING, *lost, *OPENING, "trade 2", "coverage stop", "bye"] == bench.story()
    reconnects = [fields for name, fields in bench.metrics if name == "ws.reconnect"]
    assert [("disconnect", 1), ("disconnect", 2)] == [(each["reason"], each["failures"]) for each in reconnects]
    assert not path.exists()


def test_silence_is_a_stall() -> None:
    """Neither frame nor Ping within the deadline: we leave, and say so."""
    bench = Bench(a_trade_and_silence, two_trades_and_a_close, heartbeat_s=0.2)
    bench.run()

    assert [*OPENING, "gap stall from 2", "coverage gap", "bye", *OPENING] == bench.story()[:9]


def test_pings_keep_a_quiet_connection() -> None:
    """A market may sleep; the exchange's heartbeat is enough."""

    async def quiet(ws: ServerConnection) -> None:
        await subscribe(ws)
        await trade(ws, 1)
        for _ in range(8):
            await asyncio.sleep(0.05)
            await ws.ping(b"heartbeat")
        await ws.close(1000)

    bench = Bench(quiet, heartbeat_s=0.2)
    bench.run()

    assert [*OPENING, "coverage stop", "bye"] == bench.story()


def test_a_clean_close_is_a_disconnect_for_a_recorder_that_should_go_on() -> None:
    """On the wall, without `until_closed`, only the stop event ends the run."""
    bench = Bench(two_trades_and_a_close, a_trade_and_silence)
    bench.stop_after_s = 0.5
    bench.run(until_closed=False)

    lost = ["gap disconnect from 3", "coverage gap", "bye"]
    assert [*OPENING, "trade 2", *lost, *OPENING, "coverage stop", "bye"] == bench.story()


def test_going_away_is_no_clean_close() -> None:
    """Code 1001 is a server that restarts: the end of a connection, not of the recording."""

    async def leaving(ws: ServerConnection) -> None:
        await subscribe(ws)
        await trade(ws, 1)
        await ws.close(1001)

    bench = Bench(leaving, two_trades_and_a_close, clock=TapeClock())
    bench.run()

    lost = ["gap disconnect from 2", "coverage gap", "bye"]
    assert [*OPENING, *lost, *OPENING, "trade 2", "coverage stop", "bye"] == bench.story()


def test_a_clean_close_ends_a_tape_in_any_case() -> None:
    """A recording is over when it is over."""
    bench = Bench(two_trades_and_a_close, clock=TapeClock())
    bench.run(until_closed=False)

    assert [*OPENING, "trade 2", "coverage stop", "bye"] == bench.story()


def test_a_refused_signature_is_named_and_not_repeated() -> None:
    """HTTP 401: one attempt, and the words say what to check."""
    bench = Bench()
    bench.pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(Refused, match="HTTP 401; check KALSHI_API_KEY_ID, its private key, and this machine's clock"):
        bench.run()

    assert (1, []) == (len(bench.refusals), bench.story())


def test_an_error_of_ours_ends_the_run_by_name_and_leaves_a_gap() -> None:
    """The frame stands on the log, what was covered is a gap from there on, and the run fails."""

    async def refusing(ws: ServerConnection) -> None:
        await subscribe(ws)
        await ws.send(json.dumps({"type": "error", "msg": {"code": 5, "msg": "Unknown command"}}))
        await ws.wait_closed()

    bench = Bench(refusing)
    with pytest.raises(Refused, match=r"error 5 \(Unknown command\)"):
        bench.run()

    expected = ["subscribed", "coverage begins", "error", "gap disconnect from None", "coverage gap", "bye"]
    assert expected == bench.story()


class Unconfirmed(MemoryAppender):
    """A log whose deliveries fail."""

    def poll(self) -> None:
        """Fail."""
        raise Undelivered(1, "no broker")


def test_a_failed_delivery_ends_the_run_and_keeps_the_journal(tmp_path: Path) -> None:
    """Nothing can be said on the log any more: the successor tells of it."""
    path = tmp_path / "ws.json"
    bench = Bench(a_trade_and_silence, journal_path=path)
    bench.appender = Unconfirmed(bench.log)
    with pytest.raises(Undelivered, match="no broker"):
        bench.run()

    assert path.exists()
    again = Bench(two_trades_and_a_close, journal_path=path)
    again.run()
    assert ["gap crash from None", "coverage gap", "bye", *OPENING] == again.story()[:6]


def test_many_failures_in_a_row_wait_for_the_cooldown() -> None:
    """No server at all: the delays reach the cooldown, and the stop event ends the wait."""
    bench = Bench(url="ws://127.0.0.1:1/x", failure_threshold=3, failure_cooldown_s=60.0)
    bench.stop_after_s = 0.4
    bench.run()

    delays = [fields["delay_s"] for name, fields in bench.metrics if name == "ws.reconnect"]
    assert (3, 60.0) == (len(delays), delays[-1])


def test_the_simulator_s_losses_are_exactly_the_gaps_on_the_log(tmp_path: Path) -> None:
    """A dropped number and two cuts of a recording: each frame sent stands once, each loss is told."""
    folder = tmp_path / "recording"
    folder.mkdir()
    lines = [
        {
            "recv_ms": 1_786_406_485_000 + 10 * index,
            "event": {
                "type": "trade",
                "sid": 1,
                "seq": index,
                "msg": {"market_ticker": A, "trade_id": f"t{index}", "ts_ms": 1_786_406_485_000 + 10 * index},
            },
        }
        for index in range(1, 1_001)
    ]
    (folder / "2026-08-11.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    key_id, pem, public_key = ensure_keypair(tmp_path)
    log = MemoryLog()
    log.create({RAW_KALSHI_WS: {}}, 2)
    metrics: list[tuple[str, object]] = []

    async def record() -> Counters:
        stop = asyncio.Event()
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        simulator = asyncio.create_task(
            simulate(
                [folder],
                public_key=public_key,
                key_id=key_id,
                speed=None,
                faults=Faults(drop_seq=7, disconnect_every_frames=400, outage_s=0.1),
                on_ready=ready.set_result,
                clock_ms=lambda: now_ns() // NS_PER_MS,
                stop=stop,
            )
        )
        async with asyncio.timeout(20):
            await run(
                SocketSettings(url=await ready, partitions=2, tickers=(A,), backoff_base_s=0.01, failure_threshold=0),
                signer=Signer(key_id, pem.read_bytes()),
                appender=log.appender(),
                clock=TapeClock(),
                now_ns=now_ns,
                rng=random.Random(1),
                stop=asyncio.Event(),
                on_metric=lambda name, **fields: metrics.append((name, fields)),
            )
        stop.set()
        return await simulator

    counters = asyncio.run(record())
    records = log.reader({(RAW_KALSHI_WS, number): 0 for number in range(2)}).read(100_000, 0)
    kinds = [(dict(record.headers)["kind"], json.loads(record.value)) for record in records]
    trades = [value["seq"] for kind, value in kinds if kind == b"frame" and value["type"] == "trade"]
    gaps = [(v["kind"], v["from_seq"], v["to_seq"]) for kind, v in kinds if kind == b"gap" and v["channel"] == "trade"]

    assert counters.sent["trade"] == len(trades)
    assert [("seq_hole", 7, 7), ("disconnect", 402, None), ("disconnect", 401, None)] == gaps
    assert (2, 1) == (counters.cuts, counters.dropped["trade"])
