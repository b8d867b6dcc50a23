"""The agents on Faust: `ingest` and `fold`. The only modules that import faust are this one and `transport`.

What a worker does with its batches stands in `stages`, when it does what in `rounds`, and where states live in `table`.

What shapes the settings was measured on Faust 0.15.3:
Faust acks what raises (so any exception ends the process), its exactly-once doubles and loses (so it is off), its gap
bookkeeping does not know batches (see `transport`), and a duplicate instance id is a silent livelock (so it is locked).
"""

import asyncio
import fcntl
import gc
import logging
import os
import shutil
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import faust
import structlog
from msgspec import Struct

from stream_processors import transport
from stream_processors.completeness import METRIC, Completeness
from stream_processors.names import TABLE, Stage, app_id, changelog_topic, version
from stream_processors.outputs import Output
from stream_processors.rounds import Rounds
from stream_processors.stages import GC_THRESHOLDS, Fold, Ingest, progress_key
from stream_processors.table import StateTable
from topics.catalog import FOLD_TOPICS, RAW_TOPICS
from topics.errors import Refused
from topics.log import Appender

EXIT_SOFTWARE = 70  # sysexits: an exception that no code handles; the supervisor starts us again
EXIT_TEMPFAIL = 75  # sysexits: fenced or stuck; starting again mends it
FETCH_BYTES_MAX = 3 * 1024 * 1024  # of one partition at once, compressed
SESSION_TIMEOUT_S = 10.0
READ_AGAIN_AFTER_S = 5.0
STUCK_AFTER_S = 60.0
_REBALANCE_POLL_S = 0.02
_LOCK_WAIT_S = 15.0  # a worker whose supervisor was killed needs some seconds to end

log = structlog.get_logger("agents")


class WorkerSettings(Struct, frozen=True):
    """What a worker needs to know.

    data_dir: where its RocksDB stores live, one folder per worker. slot: unique per worker of a stage on this host.
    partitions: of every topic. log_id: which log this is; states of another one are not used.
    """

    bootstrap: str
    stage: Stage
    data_dir: Path
    partitions: int
    slot: str = "0"
    credentials: Any = None
    log_id: str = ""


class DataDirLock:
    """One worker per data folder, for the life of the process (two with one instance id eject each other)."""

    def __init__(self, data_dir: Path, instance_id: str) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self._file = (data_dir / "worker.lock").open("a+")
        deadline_s = time.monotonic() + _LOCK_WAIT_S
        while not self._taken():
            if time.monotonic() > deadline_s:
                raise Refused(
                    f"worker {instance_id!r} runs already: {data_dir} is locked; stop it, or give this one its own --slot"
                )
            time.sleep(0.2)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def build(settings: WorkerSettings, appender: Appender) -> Any:
    """The Faust app of one stage."""
    transport.register()
    instance_id = f"{socket.gethostname()}-{settings.stage}-{settings.slot}"
    app: Any = faust.App(
        f"tapefold-{settings.stage}",
        version=version(settings.stage),
        broker=f"{transport.SCHEME}://{settings.bootstrap}",
        broker_credentials=settings.credentials,
        datadir=str(settings.data_dir),
        store="rocksdb://",
        key_serializer="raw",
        value_serializer="raw",
        topic_partitions=settings.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        processing_guarantee="at_least_once",
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=instance_id,
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=SESSION_TIMEOUT_S / 4,
        broker_request_timeout=60.0,
        broker_max_poll_interval=300.0,
        broker_commit_interval=0.2,
        consumer_max_fetch_size=FETCH_BYTES_MAX,
        stream_buffer_maxsize=32,  # batches; when it is full Faust pauses, and aiokafka throws away what it has fetched
        stream_wait_empty=False,
        table_standby_replicas=0,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    assert app.conf.id == app_id(settings.stage), f"Faust calls the group {app.conf.id}"
    app.tapefold_report = Report(time.monotonic)
    if settings.stage == "ingest":
        _add_ingest(app, settings, appender)
    else:
        _add_fold(app, settings, appender)
    _add_watchdog(app)
    return app


def _add_ingest(app: Any, settings: WorkerSettings, appender: Appender) -> None:
    _add_agent(app, RAW_TOPICS, Rounds(Ingest(settings.partitions), appender, _Group(app), None))


def _add_fold(app: Any, settings: WorkerSettings, appender: Appender) -> None:
    table = app.Table(
        TABLE,
        key_type=bytes,
        value_type=bytes,
        partitions=settings.partitions,
        options={
            "driver": "rocksdict",
            "block_cache_size": 16 * 1024 * 1024,  # the default is 2 GiB for each partition
            "write_buffer_size": 16 * 1024 * 1024,
            "max_open_files": 256,
        },
    )
    states = StateTable(table, appender, changelog_topic())

    def progress(tp: Any) -> int | None:
        value = states.load(tp.partition, progress_key(tp.topic, tp.partition))
        return None if value is None else int(value)

    app.tapefold_progress = progress
    fold = Fold(settings.partitions, states.load)
    _add_agent(app, FOLD_TOPICS, Rounds(fold, appender, _Group(app), states, app.tapefold_report.take))


def _add_agent(app: Any, topics: Sequence[str], rounds: Rounds) -> None:
    async def agent(stream: Any) -> None:
        stream.enable_acks = False  # a round acks its batches itself
        worker = asyncio.create_task(_fatal(rounds.run()))
        try:
            async with _Fatal():
                async for event in stream.events():
                    await rounds.put(event)
        finally:
            worker.cancel()

    app.agent(app.topic(*topics, key_type=bytes, value_type=bytes), name="agent", concurrency=1)(agent)


class Report:
    """Says in the log how complete the as-of forecasts are that this worker tells: percent missing per model, top reasons."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._told = Completeness()

    def take(self, outputs: Sequence[Output]) -> None:
        """Count the rows of a round."""
        self._told.take(outputs, self._now_s())

    def tick(self) -> None:
        """Say it when it is due."""
        if self._told.due(self._now_s()):
            self.say()

    def say(self) -> None:
        """Say what was counted since the last time."""
        for line in self._told.figures():
            log.info("metric", metric=METRIC, **line)


class _Group:
    """The consumer group as a round sees it."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def generation(self) -> int:
        generation: int = self._app.consumer_generation_id
        return generation

    def check(self) -> None:
        if self._app.tapefold_fence is not None:
            self._app.tapefold_fence.check()

    async def settled(self) -> None:
        while self._app.rebalancing:  # noqa: ASYNC110  # faust has a flag, no event
            await asyncio.sleep(_REBALANCE_POLL_S)

    def committed(self, tp: Any) -> int | None:
        offset: int | None = self._app.consumer._committed_offset[tp]  # noqa: SLF001
        return offset

    async def read_from(self, tp: Any, offset: int) -> int:
        there: int = await self._app.consumer.read_from(tp, offset)
        return there

    def owned(self, event: Any) -> bool:
        message = event.message
        owned: bool = transport.is_current(self._app, message) and message.tp in self._app.consumer.assignment()
        if not owned:
            log.warning(
                "batch left to the new owner of its partition", partition=str(message.tp), offset=message.offset
            )
        return owned


async def _fatal(work: Coroutine[Any, Any, None]) -> None:
    async with _Fatal():
        await work


class _Fatal:
    """Any exception of an agent ends the process: Faust would ack the batch and go on."""

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if kind is None or not issubclass(kind, Exception):
            return  # cancellation and interpreter exit are Faust's own ways to stop
        log.critical("agent failed; the batch is not acked and will be folded again", exc_info=error)
        os._exit(EXIT_SOFTWARE)  # not sys.exit: Faust's shutdown would commit what is acked on the way out


class Fence:
    """Leaves the process when it was away for half a session: someone else may own the partitions by now.

    now_s, worked_s: time that passed, and processor time that this process used. Only what passed without work counts:
    a long fold is no absence, for the heartbeats have a thread of their own.
    """

    def __init__(self, now_s: Callable[[], float], worked_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._worked_s = worked_s
        self._last = (now_s(), worked_s())

    def tick(self) -> None:
        """Say that the loop runs."""
        self.check()
        self._last = (self._now_s(), self._worked_s())

    def check(self) -> None:
        """Exit if the process did not run for half a session."""
        away_s = self._now_s() - self._last[0] - (self._worked_s() - self._last[1])
        if away_s > SESSION_TIMEOUT_S / 2:
            log.critical("fenced: the process did not run", away_s=round(away_s, 1), limit_s=SESSION_TIMEOUT_S / 2)
            os._exit(EXIT_TEMPFAIL)


class Watchdog:
    """Notices commits that stand still while records wait.

    Faust loses sight of a batch now and then, most often just after a start under load; read again, it comes through.
    If that does not help, only a new start does.
    """

    def __init__(self) -> None:
        self._since_s: dict[Any, tuple[int | None, float]] = {}
        self._nudged_s: dict[Any, float] = {}

    def look(self, offsets: dict[Any, tuple[int | None, int]], now_s: float) -> tuple[list[Any], list[Any]]:
        """offsets: partition -> (committed, high). Returns partitions to read again, and those that are stuck."""
        again, stuck = [], []
        for tp, (committed, high) in offsets.items():
            before = self._since_s.get(tp)
            if before is None or before[0] != committed or high <= (committed or 0):
                self._since_s[tp] = (committed, now_s)
                self._nudged_s[tp] = now_s
            elif now_s - before[1] > STUCK_AFTER_S:
                stuck.append(tp)
            elif now_s - self._nudged_s[tp] > READ_AGAIN_AFTER_S:
                self._nudged_s[tp] = now_s
                again.append(tp)
        for gone in self._since_s.keys() - offsets.keys():
            del self._since_s[gone], self._nudged_s[gone]
        return again, stuck


def _add_watchdog(app: Any) -> None:
    app.tapefold_fence = None  # until the loop runs there is nothing to be away from

    @app.task  # type: ignore[untyped-decorator]  # faust has no types
    async def watch() -> None:
        app.tapefold_fence = Fence(time.monotonic, time.process_time)
        watchdog = Watchdog()
        while not app.should_stop:
            await asyncio.sleep(0.5)
            app.tapefold_fence.tick()
            app.tapefold_report.tick()
            consumer = app.consumer
            if app.rebalancing or app.in_recovery or not consumer.flow_active:
                continue
            sources = [tp for tp in consumer.assignment() if app.topics.acks_enabled_for(tp.topic)]
            offsets = {tp: (consumer._committed_offset[tp], consumer.highwater(tp) or 0) for tp in sources}  # noqa: SLF001
            again, stuck = watchdog.look(offsets, time.monotonic())
            for tp in again:
                log.warning("commits stand still while records wait; reading again", partition=str(tp))
                await consumer.read_from(tp, consumer._committed_offset[tp] or 0)  # noqa: SLF001
            if stuck:
                log.critical("stuck: commits stand still while records wait", partitions=[str(tp) for tp in stuck])
                os._exit(EXIT_TEMPFAIL)


def run(settings: WorkerSettings, appender: Appender) -> None:
    """Run one worker until SIGTERM. Raises Refused when its folder is taken."""
    instance_id = f"{settings.stage}-{settings.slot}"
    lock = DataDirLock(settings.data_dir, instance_id)
    clean = settings.data_dir / "clean"
    goes_on = clean.exists() and clean.read_text() == settings.log_id
    for folder in settings.data_dir.glob("v*"):
        # A kill may have left half a batch on disk, and another log has other states; the changelog, from its start, is right.
        if not goes_on or folder.name != f"v{version(settings.stage)}":
            shutil.rmtree(folder)
    clean.unlink(missing_ok=True)
    for name in ("aiokafka", "faust", "mode"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they build a record per fetch, to be filtered later
    app = build(settings, appender)
    gc.freeze()  # what is loaded by now stays
    gc.set_threshold(*GC_THRESHOLDS)
    worker = faust.Worker(app, loglevel="WARN", quiet=True)
    try:
        worker.execute_from_commandline()
    except SystemExit as end:  # as it always ends
        if end.code:
            raise
    finally:
        app.tapefold_report.say()
        appender.close()
    clean.write_text(settings.log_id)
    del lock
