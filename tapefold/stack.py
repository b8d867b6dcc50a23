"""The whole stack in one terminal: `tapefold up` and `tapefold demo`."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sinks.tables import StoreUnavailable, Tables
from tapefold import migrating, progress, stores, wiring
from tapefold.local.kafka import LocalKafka
from tapefold.local.state import free_port
from tapefold.local.store.process import LocalStore
from tapefold.settings import Settings
from tapefold.simulators.kalshi.archive import Archive
from tapefold.simulators.kalshi.keys import ensure_keypair
from tapefold.simulators.kalshi.recording import find_files, scan_markets
from tapefold.simulators.kalshi.wire import SOCKET_PATH
from tapefold.supervisor import Service, Supervisor
from topics.catalog import FOLD_TOPICS, RAW_TOPICS, SINK_TOPICS
from topics.domains import series_of
from topics.errors import Refused, Unavailable
from topics.kafka import KafkaLog
from topics.log import TopicPartition

POLL_S = 0.25
_BEGINNING = "2000-01-01"
MIGRATE_TRIES_MAX = 5
DRAIN_STILL_S = 120.0  # no stage has moved for this long: something is broken, and waiting will not mend it

Say = Callable[[str], None]


@dataclass(frozen=True)
class Recording:
    """A recording as upstream: frames of the socket, answers of REST, or both.

    options: further flags of `tapefold simulate kalshi`, faults among them.
    """

    frames: tuple[Path, ...]
    speed: str = "1"
    options: tuple[str, ...] = ()
    archive: tuple[Path, ...] = ()


class Stack:
    """Broker, store, producers, agents and sink of one state folder."""

    def __init__(self, settings: Settings, state_dir: Path, say: Say) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._say = say
        self.supervisor = Supervisor(state_dir, say)

    def start(self, recording: Recording | None, *, until_closed: bool) -> None:
        """Start everything in order. Raises Refused, LocalError, Unavailable."""
        if not self._settings.kafka_bootstrap:
            self.supervisor.adopt("broker", LocalKafka(self._state_dir, progress=self._say))
        if not self._settings.clickhouse_url:
            self.supervisor.adopt("store", LocalStore(self._state_dir, progress=self._say, behind=True))
        self.log: KafkaLog = wiring.open_log(self._settings, self._state_dir)
        self.tables: Tables = stores.open_tables(self._settings, self._state_dir)
        created, applied, version = self._migrate()
        self._say(f"migrate: {len(created)} topics and {len(applied)} migrations applied, schema {version}")
        for name in ("sink", "fold", "ingest"):  # rows may come within 2 s; frames wait for nobody, bars for 200 ms
            self.supervisor.start(Service(name, ("run", name), behind=name == "sink"))
        for name in self._settings.sources():
            self.supervisor.start(Service(name, ("run", name)))
        if self._settings.web_portal_port is not None:
            self.supervisor.start(Service("portal", ("run", "portal")))
        environment = {} if recording is None else self.simulate(recording)
        if recording is None:
            self._record(environment, ws=bool(self._settings.markets() or self._settings.series()), once=until_closed)
        else:
            self._record(environment, ws=bool(recording.frames), once=until_closed, past=bool(recording.archive))

    def _migrate(self) -> tuple[list[str], list[str], int]:
        """Create topics and tables. Every step can be repeated: when the store or the broker dies under it, all is."""
        for _ in range(MIGRATE_TRIES_MAX - 1):
            try:
                return migrating.migrate(self._settings, self.log, self.tables)
            except Unavailable as error:
                self._say(f"migrate: begins again: {error}")
                time.sleep(POLL_S)
                self.supervisor.look()
        return migrating.migrate(self._settings, self.log, self.tables)

    def _record(self, environment: dict[str, str], *, ws: bool, once: bool, past: bool = False) -> None:
        """Start Kalshi's recorders. past: fetch all that REST has, then end."""
        if ws:
            flags = ("--until-closed",) if once else ()
            self.supervisor.start(Service("ws", ("run", "ws", *flags), environment, once=once))
        if past:
            # Nobody chose what a recording holds: one market that has no station must not keep the others out.
            arguments = ("run", "rest", "--from", _BEGINNING, "--until-done", "--leave-out-unresolved")
            self.supervisor.start(Service("rest", arguments, environment, once=True))
        elif self._settings.series() and not environment:
            self.supervisor.start(Service("rest", ("run", "rest")))
        elif not ws and not self._settings.sources():
            self._say(
                "no upstream: set KALSHI_SERIES or KALSHI_MARKETS and a key, IEM_STATIONS, TWS_SYMBOLS or WEBHOOK_SECRET,"
            )
            self._say("or give --frames or --archive")

    def simulate(self, recording: Recording) -> dict[str, str]:
        """Start the simulator; returns the environment that points the recorder at it."""
        files = find_files(recording.frames)
        tickers = [*scan_markets(files), *(Archive(recording.archive).tickers() if recording.archive else ())]
        if not tickers:
            raise Refused(
                f"{', '.join(map(str, (*recording.frames, *recording.archive)))}: expected markets, found none"
            )
        key_id, key_path, _ = ensure_keypair(self._state_dir / "keys")
        port = free_port(self._state_dir)
        frames = [part for path in recording.frames for part in ("--frames", str(path.resolve()))]
        frames += [part for path in recording.archive for part in ("--archive", str(path.resolve()))]
        arguments = ("simulate", "kalshi", *frames, "--speed", recording.speed, "--port", str(port), *recording.options)
        self.supervisor.start(Service("simulator", arguments))
        host = f"127.0.0.1:{port}"
        return {
            "KALSHI_WS_URL": f"ws://{host}{SOCKET_PATH}",
            "KALSHI_REST_URL": f"http://{host}/trade-api/v2",
            "KALSHI_API_KEY_ID": key_id,
            "KALSHI_PRIVATE_KEY_PATH": str(key_path),
            "KALSHI_SERIES": ",".join(sorted({series_of(ticker) for ticker in tickers})),
            "KALSHI_MARKETS": "",
            "WS_CLOCK": "tape",
            "WS_FAILURE_THRESHOLD": "0",  # a fast tape's connections live for seconds; their cuts are no storm
        }

    def upstream_ended(self) -> bool:
        """Whether the recorders have ended by themselves."""
        recorders = [service for service in self.supervisor.services if service.name in {"ws", "rest"}]
        return bool(recorders) and all(service.ended for service in recorders)

    def drain(self, stop: threading.Event, tick: Callable[[str], None]) -> bool:
        """Wait until every stage has taken all, in order, up to end offsets taken after the one before was done.

        Returns whether that was reached before `stop` was set.
        """
        stages: tuple[tuple[str, Sequence[str], Callable[[dict[TopicPartition, int]], int]], ...] = (
            ("ingest", RAW_TOPICS, lambda ends: progress.group_behind(self.log, "ingest", ends)),
            ("fold", FOLD_TOPICS, lambda ends: progress.group_behind(self.log, "fold", ends)),
            ("sink", SINK_TOPICS, lambda ends: progress.sink_behind(self.tables, ends)),
        )
        return all(self._until(stop, tick, stage, topics, behind) for stage, topics, behind in stages)

    def _until(
        self,
        stop: threading.Event,
        tick: Callable[[str], None],
        stage: str,
        topics: Sequence[str],
        behind: Callable[[dict[TopicPartition, int]], int],
    ) -> bool:
        ends = progress.high(self.log, topics)
        least, moved_s = sum(ends.values()) + 1, time.monotonic()
        while not stop.is_set():
            self.supervisor.look()
            try:
                left = behind(ends)
            except (StoreUnavailable, Unavailable) as error:
                self._say(f"waiting: {error}")
                left = least
            if left == 0:
                return True
            if left < least:
                least, moved_s = left, time.monotonic()
            elif time.monotonic() - moved_s > DRAIN_STILL_S:
                raise Refused(
                    f"{stage}: {left} records wait and nothing moved for {DRAIN_STILL_S:.0f} s; its log ends with:\n"
                    f"{self.supervisor.tail(stage)}"
                )
            tick(f"draining {stage}: {left} records left")
            stop.wait(POLL_S)
        return False

    def stop(self) -> None:
        """Stop producers first, then the stages behind them, then the store and the broker."""
        self.supervisor.stop(["ws", "rest", "simulator", *self._settings.sources()])
        self.supervisor.stop(["ingest", "fold", "sink"])
        if hasattr(self, "tables"):
            self.tables.close()
        self.supervisor.stop()
