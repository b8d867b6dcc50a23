"""`tapefold run iem`: asks IEM for forecasts and climate reports, live and of the past, by one throttle."""

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from producers.backoff import Backoff
from producers.iem import checkpoint
from producers.iem import history as past
from producers.iem.done import Done, Of
from producers.iem.door import Door
from producers.iem.history import History, Lags
from producers.iem.live import Live
from producers.iem.poll import SOURCES, Parts, Poller
from producers.iem.throttle import Throttle
from producers.iem.turns import Turns
from sinks.tables import Tables
from tapefold import manifests, mock, stores, tape, wiring
from tapefold.manifests import Run
from tapefold.services import own
from tapefold.settings import Settings
from topics.errors import SettingsError, Unavailable
from topics.failpoint import with_failpoints
from topics.units import NS_PER_S

_BACKOFF_BASE_S, _BACKOFF_CAP_S = 2.0, 120.0
_LAGS = (
    "SELECT model, cycle, quantileExactHigh({quantile:Float64})(lag_s) FROM tapefold_api.arrivals"
    " WHERE source = 'iem.mos' AND known_by = 'observed' GROUP BY model, cycle HAVING count() >= {samples:UInt64}"
)


def run_iem(
    settings: Settings, state_dir: Path, *, span_ns: tuple[int, int] | None, live: bool, until_done: bool, again: bool
) -> None:
    """Ask until SIGTERM, or until history is over. span_ns: the history to ask for, None for none.

    again: what earlier runs completed, too.
    """
    stations, models = settings.stations(), settings.models()
    if not stations:
        raise SettingsError("IEM_STATIONS: expected at least one station such as KNYC, was empty")
    mock.look_for(settings.iem_base_url, "tapefold simulate iem")
    log = wiring.open_log(settings, state_dir)
    clock = tape.clock_of(settings.iem_tape, "IEM_TAPE")
    units = [] if span_ns is None else [*past.windows(stations, models, *span_ns), *past.years(stations, *span_ns)]
    noted_in = state_dir / "iem" / f"history.{clock.name}.json"
    if units:
        own(noted_in.with_suffix(""))  # two that note what is done would each forget what the other noted
    log_id = wiring.log_id(log, tuple(SOURCES))
    noted = Done() if again else checkpoint.read(noted_in, Of(settings.iem_base_url, log_id))
    parts = Parts(
        live=Live(
            stations,
            models,
            poll_ns=int(settings.iem_poll_seconds * NS_PER_S),
            reports_ns=int(settings.iem_cli_poll_seconds * NS_PER_S),
            base_url=settings.iem_base_url,
        )
        if live
        else None,
        history=History(
            units,
            base_url=settings.iem_base_url,
            lags=_measured(settings, state_dir) if units else {},
            noted=noted,
        ),
        turns=Turns(settings.iem_history_share),
        throttle=Throttle(
            state_dir / "iem" / f"throttle.{clock.name}", int(settings.iem_min_interval_seconds * NS_PER_S)
        ),
        backoff=Backoff(
            base_s=_BACKOFF_BASE_S,
            cap_s=_BACKOFF_CAP_S,
            threshold=settings.iem_failure_threshold,
            cooldown_s=settings.iem_failure_cooldown_seconds,
        ),
        clock=clock,
        base_url=settings.iem_base_url,
        checkpoint=noted_in,
        log_id=log_id,
    )
    checked = stations if settings.iem_check_stations else ()
    appender = with_failpoints(log.appender(), "iem", wiring.failpoints(settings))
    inputs = {"url": settings.iem_base_url, "log": log_id, "stations": ",".join(stations), "models": ",".join(models)}
    run = Run("iem", inputs | {"span_ns": str(span_ns), "again": str(again)}, entity_of=str)
    counted, partitions = run.counting(appender), wiring.partitions_of(log)
    with manifests.kept(run, state_dir, ends=until_done, now_ns=wiring.now_ns):
        asyncio.run(_poll(parts, counted, partitions, until_done=until_done, checked=checked, run=run))


async def _poll(
    parts: Parts, appender: Any, partitions: int, *, until_done: bool, checked: Sequence[str], run: Run
) -> None:
    stop = wiring.stop_of_loop()
    logger = structlog.get_logger("iem")
    door = Door()
    poller = Poller(
        parts,
        door,
        appender,
        conn=secrets.token_hex(3),
        partitions=partitions,
        rng=wiring.system_random(),
        on_metric=run.hearing(wiring.metrics_to_log("iem")),
    )
    try:
        if checked:
            await poller.check(checked, stop)
        await poller.run(stop, until_done=until_done)
    finally:
        await door.aclose()
    appender.close()
    run.stopped = stop.is_set()
    for unit in parts.history.progress().failed:
        logger.error("history: given up", unit=unit.url(""))


def _measured(settings: Settings, state_dir: Path) -> Lags:
    """The lags of the tape, where there are enough of them; none without a store to ask."""
    try:
        tables: Tables = stores.open_tables(settings, state_dir)
    except Unavailable:
        return {}
    rows = tables.query_rows(_LAGS, {"quantile": settings.iem_lag_quantile, "samples": settings.iem_lag_samples}).rows
    tables.close()
    return {(model, int(cycle)): int(lag_s * NS_PER_S) for model, cycle, lag_s in rows}
