"""What `tapefold run ws` does, and who asks Kalshi's REST for it and for others."""

import asyncio
import random
import time
from pathlib import Path
from typing import Any

from producers.backoff import Breaker
from producers.beat import TapeClock, WallClock
from producers.kalshi import socket
from producers.kalshi.auth import Signer
from producers.kalshi.rest.asker import Asker
from producers.kalshi.rest.budget import Budget, Caller
from producers.kalshi.rest.door import Door
from producers.kalshi.rest.markets import Markets
from producers.metrics import OnMetric
from tapefold import wiring
from tapefold.services import own
from tapefold.settings import Settings
from topics.errors import SettingsError
from topics.failpoint import with_failpoints


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
    tier = settings.rest_tier or ("basic" if signed else "unsigned")
    return Asker(
        door,
        Budget(tier, time.monotonic(), caller=caller, shards=settings.ws_shard_count),
        Breaker(settings.rest_failure_threshold, settings.rest_circuit_breaker_seconds),
        rng=wiring.system_random(),
        on_metric=on_metric,
    )


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
