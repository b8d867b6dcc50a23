"""What `tapefold run rest` does."""

import asyncio
import secrets
from pathlib import Path

from producers.kalshi.rest.door import Door
from producers.kalshi.rest.recorder import LEASE_NS, SOURCE, Recorder, Span
from producers.publish import Publisher
from tapefold import mock, tape, wiring
from tapefold.services import asker_of, own, signer_of
from tapefold.settings import Settings
from topics.catalog import RAW_KALSHI_REST
from topics.errors import SettingsError
from topics.failpoint import with_failpoints
from topics.log import Appender


def run_rest(settings: Settings, state_dir: Path, *, span: Span | None, until_done: bool) -> None:
    """Ask until SIGTERM, or until all that is known is fetched. span: of the past to fetch as well."""
    if not settings.series():
        raise SettingsError("KALSHI_SERIES: expected at least one series such as KXHIGHNY, was empty")
    folder = state_dir / "rest"
    own(folder)
    mock.look_for(settings.kalshi_rest_url, "tapefold simulate kalshi")
    log = wiring.open_log(settings, state_dir)
    appender = with_failpoints(log.appender(), "rest", wiring.failpoints(settings))
    asyncio.run(_record(settings, folder, appender, wiring.partitions_of(log), span=span, until_done=until_done))


async def _record(
    settings: Settings, folder: Path, appender: Appender, partitions: int, *, span: Span | None, until_done: bool
) -> None:
    stop = wiring.stop_of_loop()
    on_metric = wiring.metrics_to_log("rest")
    signer = signer_of(settings)  # unsigned calls are enough for market data
    clock = tape.clock_of(settings.rest_tape, "REST_TAPE")
    door = Door(settings.kalshi_rest_url, now_ns=clock.now_ns, sign_ns=wiring.now_ns, signer=signer)
    asker = asker_of(settings, door, "rest", on_metric, signed=signer is not None)
    publisher = Publisher(
        appender,
        topic=RAW_KALSHI_REST,
        partitions=partitions,
        source=SOURCE,
        conn=secrets.token_hex(3),
        clock=clock.name,
    )
    recorder = Recorder(
        asker,
        publisher,
        appender,
        settings.series(),
        path=folder / "checkpoint.json",
        now_ns=clock.now_ns,
        on_metric=on_metric,
        span=span,
        page_limit=settings.max_page_size,
        lease_ns=int(LEASE_NS * clock.speed),  # beats go by the wall, and a tape may be faster
    )
    try:
        await recorder.run(
            stop,
            discovery_s=settings.discovery_seconds,
            backfill_s=settings.backfill_seconds,
            until_done=until_done,
        )
    finally:
        await door.aclose()
    appender.close()
