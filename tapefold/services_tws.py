"""`tapefold run tws`: bars of Interactive Brokers."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from producers.iem.clock import Clock
from producers.tws import contracts, plan
from producers.tws.fetch import Fetched
from producers.tws.keep import Keep
from producers.tws.ledger import Owed
from producers.tws.pacing import Limits
from producers.tws.plan import Unit
from producers.tws.run import TwsService, TwsSettings
from tapefold import tape, wiring
from tapefold.manifests import Run
from tapefold.settings import Settings
from topics.errors import Refused, SettingsError
from topics.log import Appender
from topics.tws import BAR_SIZES_NS
from topics.units import NS_PER_S


def configuration(settings: Settings, state_dir: Path, partitions: int) -> TwsSettings:
    """The settings as the producer takes them. Raises SettingsError."""
    specs = contracts.specs(settings.tws_symbols)
    if not specs:
        raise SettingsError("TWS_SYMBOLS: expected at least one symbol, was empty")
    if settings.tws_bar_size not in BAR_SIZES_NS:
        raise SettingsError(f"TWS_BAR_SIZE: expected one of {', '.join(BAR_SIZES_NS)}, was {settings.tws_bar_size!r}")
    return TwsSettings(
        host=settings.tws_host,
        port=settings.tws_port,
        client_id=settings.tws_client_id,
        specs=specs,
        what_to_show=settings.tws_what_to_show,
        bar_size=settings.tws_bar_size,
        use_rth=settings.tws_use_rth,
        live=settings.tws_live,
        parallel_max=settings.tws_max_parallel,
        limits=Limits(int(settings.tws_pacing_window_seconds * NS_PER_S), settings.tws_pacing_requests),
        timeout_s=settings.tws_request_timeout_seconds,
        attempts_max=settings.tws_attempts,
        schedule=plan.schedule(settings.tws_run_at, settings.tws_zone),
        folder=folder_of(settings, state_dir),
        partitions=partitions,
    )


def folder_of(settings: Settings, state_dir: Path) -> Path:
    """Where the ledger of one client id stands."""
    return state_dir / "tws" / str(settings.tws_client_id)


def clock_of(settings: Settings) -> Clock:
    """The clock of days and stamps: the wall, or the simulator's tape. Raises SettingsError."""
    return tape.clock_of(settings.tws_tape, "TWS_TAPE")


def units_of(configured: TwsSettings, clock: Clock, dates: Sequence[str], symbols: Sequence[str]) -> list[Unit]:
    """What a one-shot fetches. Raises Refused for a day that has not begun or a symbol that is not configured."""
    unknown = [symbol for symbol in symbols if symbol not in configured.specs]
    if unknown:
        raise Refused(f"--symbol: expected symbols of TWS_SYMBOLS, was {unknown[0]!r}")
    now_ns = clock.now_ns()
    days = plan.days_of(dates) if dates else [configured.schedule.last_day(now_ns)]
    units = [unit for day in days for unit in configured.units(day.isoformat(), symbols)]
    for unit in units:
        plan.interval(unit, configured.schedule.zone, now_ns)
    return units


def owed(settings: Settings, state_dir: Path) -> list[Owed]:
    """The plan of a backfill: what outages and failures have left to fetch."""
    return Keep(folder_of(settings, state_dir) / "ledger.json", settings.tws_zone).ledger.owed()


def run_tws(
    configured: TwsSettings, clock: Clock, appender: Appender, units: Sequence[Unit] | None, run: Run
) -> dict[Unit, Fetched]:
    """Record until SIGTERM, or fetch `units` and end; `run` counts."""
    results = asyncio.run(_run(configured, clock, run.counting(appender), units, run))
    appender.close()
    failed = sum(fetched.status == "failed" for fetched in results.values())
    run.progress = {"done": len(results) - failed, "left": len(units or ()) - len(results), "failed": failed}
    return results


async def _run(
    configured: TwsSettings, clock: Clock, appender: Appender, units: Sequence[Unit] | None, run: Run
) -> dict[Unit, Fetched]:
    stop = wiring.stop_of_loop()
    service = TwsService(
        configured,
        appender,
        clock,
        wall_ns=wiring.now_ns,
        rng=wiring.system_random(),
        stop=stop,
        on_metric=run.hearing(wiring.metrics_to_log("tws")),
        units=units,
    )
    results = await service.run()
    run.stopped = stop.is_set()
    return results
