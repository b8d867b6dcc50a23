"""What `tapefold run sink` does."""

import threading
from pathlib import Path

import structlog

from sinks.evolution import Compatible
from sinks.writer import SinkWriter
from tapefold import audits, catch_up, stores, wiring
from tapefold.settings import Settings
from topics.catalog import CODE_VERSION

SINK_AHEAD_KBYTES = 8_192  # a fetch takes 20 ms; what is ahead of two batches only fills memory


def run_sink(settings: Settings, state_dir: Path) -> None:
    """Write the log into the tables until SIGTERM."""
    wiring.prefer_few_heaps()
    log = wiring.open_log(settings, state_dir, ahead_kbytes=SINK_AHEAD_KBYTES)
    tables = stores.open_tables(settings, state_dir)
    writer = SinkWriter(
        log,
        tables,
        now_ns=wiring.now_ns,
        logger=structlog.get_logger("sink"),
        code_version=CODE_VERSION,
        owner=wiring.own_name(),
        hit=wiring.failpoints(settings),
        compatible=Compatible(settings.schema_validate, settings.schema_compat_min, settings.schema_compat_max),
        refusable=settings.refusable(),
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
