"""What `tapefold run rag` does."""

import asyncio
import secrets
import time
from pathlib import Path

from producers.backoff import Breaker
from producers.publish import Publisher
from producers.rag.door import Door
from producers.rag.question import Features, features_of, time_text
from producers.rag.recorder import LEASE_NS, SOURCE, Look, Recorder
from sinks.tables import StatementRefused, Tables
from tapefold import manifests, stores, tape, wiring
from tapefold.manifests import Run
from tapefold.services import own
from tapefold.settings import Settings
from topics.catalog import RAW_RAG
from topics.errors import SettingsError, Unavailable
from topics.failpoint import with_failpoints
from topics.log import Appender
from topics.units import NS_PER_S

FEATURES = "features_weather"
LOOK_BACK_S = 3_600  # a market that had no minute for so long is not asked about
_ROWS = (
    "SELECT * FROM tapefold_api.get_weather_features_for_inference(series_tickers = {series:Array(String)},"
    " start = {start:DateTime64(9, 'UTC')}, end_at = {asof:DateTime64(9, 'UTC')}, asof = {asof:DateTime64(9, 'UTC')})"
    " WHERE isNull(hours_to_close) OR hours_to_close > 0 ORDER BY market_ticker, minute DESC LIMIT 1 BY market_ticker"
    " SETTINGS output_format_json_quote_decimals = 1, date_time_output_format = 'iso'"
)


def run_rag(settings: Settings, state_dir: Path, *, once: bool) -> None:
    """Ask until SIGTERM, or one round. Raises Unavailable when all questions of the one round failed."""
    if not settings.prediction_enable:
        raise SettingsError("PREDICTION_ENABLE: expected 1, was not set; `run rag` sends features to RAG_URL")
    if settings.rag_url is None:
        raise SettingsError("RAG_URL: expected the address of a predictor, was not set")
    if not settings.series():
        raise SettingsError("KALSHI_SERIES: expected at least one series such as KXHIGHNY, was empty")
    own(state_dir / "rag")
    log = wiring.open_log(settings, state_dir)
    appender = with_failpoints(log.appender(), "rag", wiring.failpoints(settings))
    run = Run("rag", {"url": settings.rag_url, "series": settings.kalshi_series})
    counted, partitions = run.counting(appender), wiring.partitions_of(log)
    with manifests.kept(run, state_dir, ends=once, now_ns=wiring.now_ns):
        asyncio.run(_record(settings, state_dir, settings.rag_url, counted, partitions, once=once, run=run))


async def _record(
    settings: Settings, state_dir: Path, url: str, appender: Appender, partitions: int, *, once: bool, run: Run
) -> None:
    stop = wiring.stop_of_loop()
    clock = tape.clock_of(settings.rag_tape, "RAG_TAPE")
    key = settings.rag_api_key
    door = Door(
        url,
        now_ns=clock.now_ns,
        api_key=None if key is None else key.get_secret_value(),
        timeout_s=settings.rag_timeout_seconds,
    )
    publisher = Publisher(
        appender, topic=RAW_RAG, partitions=partitions, source=SOURCE, conn=secrets.token_hex(3), clock=clock.name
    )
    recorder = Recorder(
        door,
        Breaker(settings.rag_failure_threshold, settings.rag_circuit_breaker_seconds),
        publisher,
        appender,
        settings.series(),
        look=_look(settings, state_dir),
        now_ns=clock.now_ns,
        time_s=time.monotonic,
        rng=wiring.system_random(),
        on_metric=run.hearing(wiring.metrics_to_log("rag")),
        lease_ns=int(LEASE_NS * clock.speed),  # beats go by the wall, and a tape may be faster
    )
    try:
        await recorder.run(stop, interval_s=settings.rag_seconds, once=once)
    finally:
        await door.aclose()
    appender.close()
    run.stopped = stop.is_set()
    if once and recorder.given_up and not recorder.runs:
        raise Unavailable("the predictor", f"none of {recorder.given_up} questions was answered: {recorder.last_error}")


def _look(settings: Settings, state_dir: Path) -> Look:
    """Asks the store, beside the loop: beats go on meanwhile."""

    async def look(series_ticker: str, asof_ns: int) -> Features:
        return await asyncio.to_thread(_features, settings, state_dir, series_ticker, asof_ns)

    return look


def _features(settings: Settings, state_dir: Path, series_ticker: str, asof_ns: int) -> Features:
    """The newest row of each open market, as known at `asof_ns`; opened for this look: the store may have moved."""
    tables: Tables = stores.open_tables(settings, state_dir)
    asked = {
        "series": [series_ticker],
        "start": time_text(asof_ns - LOOK_BACK_S * NS_PER_S, " ", ""),
        "asof": time_text(asof_ns, " ", ""),
    }
    try:
        return features_of(FEATURES, tables.query_bytes(_ROWS, "JSONEachRow", asked).splitlines())
    except StatementRefused as error:  # a schema that is not there yet; a later round finds it
        raise Unavailable("the store", str(error)) from error
    finally:
        tables.close()
