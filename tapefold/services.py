"""The services, each a process of its own: what `tapefold run NAME` does."""

import asyncio
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import structlog

from producers.backoff import Breaker
from producers.beat import TapeClock, WallClock
from producers.kalshi import socket
from producers.kalshi.auth import Signer
from producers.kalshi.rest.asker import Asker
from producers.kalshi.rest.budget import Budget, Caller
from producers.kalshi.rest.door import Door
from producers.kalshi.rest.markets import Markets
from producers.metrics import OnMetric
from sinks.evolution import Compatible
from sinks.writer import SinkWriter
from stream_processors import app as agents
from tapefold import audits, catch_up, wiring
from tapefold.local.errors import FolderLocked
from tapefold.local.state import FolderLock
from tapefold.settings import Settings
from topics.catalog import CODE_VERSION
from topics.errors import SettingsError
from topics.failpoint import with_failpoints

PARENT_VARIABLE = "TAPEFOLD_PARENT_PID"
_PARENT_POLL_S = 0.5
_LOCK_ATTEMPTS = 40  # 20 s: a recorder whose supervisor was killed still flushes


def follow_parent(parent_pid: int) -> None:
    """End this process, in order, when the one that started it is gone: no stray service holds a folder for ever."""

    def watch() -> None:
        waiting = threading.Event()
        while os.getppid() == parent_pid:
            waiting.wait(_PARENT_POLL_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="follow-parent", daemon=True).start()


def run_ws(settings: Settings, state_dir: Path, *, until_closed: bool) -> None:
    """Record Kalshi's WebSocket until SIGTERM, or until the exchange closes in order."""
    signer = signer_of(settings)
    if signer is None:
        raise SettingsError("KALSHI_API_KEY_ID and KALSHI_PRIVATE_KEY_PATH: expected both, was not set")
    if not settings.markets() and not settings.series():
        raise SettingsError("KALSHI_MARKETS or KALSHI_SERIES: expected at least one ticker, was empty")
    folder = state_dir / "ws" / str(settings.ws_shard_id)
    own(folder)
    log = wiring.open_log(settings, state_dir)
    configuration = socket.SocketSettings(
        url=settings.kalshi_ws_url,
        partitions=wiring.partitions_of(log),
        tickers=settings.markets(),
        series=settings.series(),
        shard_count=settings.ws_shard_count,
        shard_id=settings.ws_shard_id,
        heartbeat_s=settings.ws_heartbeat_seconds,
        discovery_s=settings.discovery_seconds,
        failure_threshold=settings.ws_failure_threshold,
        failure_cooldown_s=settings.ws_failure_cooldown_seconds,
        journal_path=folder / "journal.json",
    )
    appender = with_failpoints(log.appender(), "ws", wiring.failpoints(settings))
    asyncio.run(_record(settings, configuration, signer, appender, until_closed=until_closed))


def signer_of(settings: Settings) -> Signer | None:
    """Signs calls with the key that is set; None without one. Raises SettingsError for a file that cannot be read."""
    if settings.kalshi_api_key_id is None or settings.kalshi_private_key_path is None:
        return None
    try:
        return Signer(settings.kalshi_api_key_id, settings.kalshi_private_key_path.read_bytes())
    except OSError as error:
        raise SettingsError(f"KALSHI_PRIVATE_KEY_PATH: expected a readable PEM file, was {error}") from error


def asker_of(settings: Settings, door: Door, caller: Caller, on_metric: OnMetric, *, signed: bool) -> Asker:
    """Asks Kalshi's REST for one process, within its part of the account's rate."""
    sharers = settings.ws_shard_count if caller == "ws" else 1
    tier = settings.rest_tier or ("basic" if signed else "unsigned")
    return Asker(
        door,
        Budget(tier, time.monotonic(), caller=caller, sharers=sharers),
        Breaker(settings.rest_failure_threshold, settings.rest_circuit_breaker_seconds),
        rng=wiring.system_random(),
        on_metric=on_metric,
    )


def own(folder: Path) -> None:
    """Hold a recorder's folder for the life of the process: two would write and remove one journal."""
    lock = FolderLock(folder)
    waiting = threading.Event()
    for attempt in range(_LOCK_ATTEMPTS):
        try:
            lock.acquire()
        except FolderLocked:
            if attempt + 1 == _LOCK_ATTEMPTS:
                raise
            waiting.wait(_PARENT_POLL_S)
        else:
            return


async def _record(
    settings: Settings,
    configuration: socket.SocketSettings,
    signer: Signer,
    appender: Any,
    *,
    until_closed: bool,
) -> None:
    stop = wiring.stop_of_loop()
    on_metric = wiring.metrics_to_log("ws")
    door = Door(settings.kalshi_rest_url, now_ns=wiring.now_ns, signer=signer)
    asker = asker_of(settings, door, "ws", on_metric, signed=True)
    clock = TapeClock() if settings.ws_clock == "tape" else WallClock(wiring.now_ns)
    rng: random.Random = wiring.system_random()
    try:
        await socket.run(
            configuration,
            signer=signer,
            appender=appender,
            clock=clock,
            now_ns=wiring.now_ns,
            rng=rng,
            stop=stop,
            on_metric=on_metric,
            until_closed=until_closed,
            discover=Markets(asker).open_tickers,
        )
    finally:
        await door.aclose()
    appender.close()


def run_agents(settings: Settings, state_dir: Path, stage: agents.Stage, slot: str) -> None:
    """Run one worker of a stage until SIGTERM."""
    log = wiring.open_log(settings, state_dir)
    worker = agents.WorkerSettings(
        bootstrap=log.bootstrap,
        stage=stage,
        data_dir=state_dir / stage / slot,
        partitions=wiring.partitions_of(log),
        slot=slot,
    )
    agents.run(worker, with_failpoints(log.appender(), stage, wiring.failpoints(settings)))


def run_sink(settings: Settings, state_dir: Path) -> None:
    """Write the log into the tables until SIGTERM."""
    log = wiring.open_log(settings, state_dir)
    tables = wiring.open_tables(settings, state_dir)
    writer = SinkWriter(
        log,
        tables,
        now_ns=wiring.now_ns,
        logger=structlog.get_logger("sink"),
        code_version=CODE_VERSION,
        owner=wiring.own_name(),
        hit=wiring.failpoints(settings),
        compatible=Compatible(settings.schema_validate, settings.schema_compat_min, settings.schema_compat_max),
    )
    wiring.prefer_throughput()
    logger = structlog.get_logger("audit")
    with wiring.stop_on_signals() as stop:
        beside = threading.Thread(
            target=audits.keep_auditing,
            args=(
                lambda: audits.Scene(settings, log, tables, full=False, now_ns=wiring.now_ns()),
                settings.audit_seconds,
                stop,
                logger,
            ),
            name="audit",
            daemon=True,  # an audit of a store that hangs must not hold the process
        )
        beside.start()
        telling = (writer, stop, structlog.get_logger("sink"))
        threading.Thread(target=catch_up.keep_telling, args=telling, name="catch-up", daemon=True).start()
        writer.run(stop)
    tables.close()
