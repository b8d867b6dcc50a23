"""What `tapefold run rest` does."""

import asyncio
import secrets
from pathlib import Path
from typing import NamedTuple

from producers.kalshi.rest.door import Door
from producers.kalshi.rest.recorder import LEASE_NS, SOURCE, Recorder, Span
from producers.publish import Publisher
from tapefold import manifests, mock, tape, wiring
from tapefold.manifests import Run
from tapefold.services import own
from tapefold.services_ws import asker_of, signer_of
from tapefold.settings import Settings
from topics.catalog import RAW_KALSHI_REST
from topics.errors import SettingsError
from topics.failpoint import with_failpoints
from topics.log import Appender


class Asked(NamedTuple):
    """What a run is to do. span: of the past to fetch as well. until_done: end when all that is known is fetched.

    leave_out: go on without what the registry does not resolve.
    """

    span: Span | None
    until_done: bool
    leave_out: bool


def run_rest(settings: Settings, state_dir: Path, asked: Asked) -> None:
    """Ask until SIGTERM, or until it is done."""
    if not settings.series():
        raise SettingsError("KALSHI_SERIES: expected at least one series such as KXHIGHNY, was empty")
    folder = state_dir / "rest"
    own(folder)
    mock.look_for(settings.kalshi_rest_url, "tapefold simulate kalshi")
    log = wiring.open_log(settings, state_dir)
    appender = with_failpoints(log.appender(), "rest", wiring.failpoints(settings))
    log_id = wiring.log_id(log, [RAW_KALSHI_REST])
    inputs = {"url": settings.kalshi_rest_url, "log": log_id, "series": settings.kalshi_series}
    run = Run("rest", inputs | {name: str(value) for name, value in asked._asdict().items()})
    with manifests.kept(run, state_dir, ends=asked.until_done, now_ns=wiring.now_ns):
        parts = Parts(run.counting(appender), wiring.partitions_of(log), log_id)
        asyncio.run(_record(settings, folder, parts, asked, run))


class Parts(NamedTuple):
    """What is written to. log_id: see `wiring.log_id`."""

    appender: Appender
    partitions: int
    log_id: str


async def _record(settings: Settings, folder: Path, parts: Parts, asked: Asked, run: Run) -> None:
    stop = wiring.stop_of_loop()
    on_metric = run.hearing(wiring.metrics_to_log("rest"))
    signer = signer_of(settings)  # unsigned calls are enough for market data
    clock = tape.clock_of(settings.rest_tape, "REST_TAPE")
    door = Door(settings.kalshi_rest_url, now_ns=clock.now_ns, sign_ns=wiring.now_ns, signer=signer)
    asker = asker_of(settings, door, "rest", on_metric, signed=signer is not None)
    publisher = Publisher(
        parts.appender,
        topic=RAW_KALSHI_REST,
        partitions=parts.partitions,
        source=SOURCE,
        conn=secrets.token_hex(3),
        clock=clock.name,
    )
    recorder = Recorder(
        asker,
        publisher,
        parts.appender,
        settings.series(),
        path=folder / "checkpoint.json",
        log_id=parts.log_id,
        now_ns=clock.now_ns,
        on_metric=on_metric,
        span=asked.span,
        page_limit=settings.max_page_size,
        lease_ns=int(LEASE_NS * clock.speed),  # beats go by the wall, and a tape may be faster
        leave_out=asked.leave_out,
    )
    try:
        await recorder.run(
            stop,
            discovery_s=settings.discovery_seconds,
            backfill_s=settings.backfill_seconds,
            until_done=asked.until_done,
        )
    finally:
        await door.aclose()
    parts.appender.close()
    run.stopped = stop.is_set()
