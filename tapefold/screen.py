"""The live status of `tapefold up`: rates, lag, gaps, last rows. Plain lines where there is no terminal."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from sinks.tables import Tables
from tapefold import progress
from tapefold.catch_up import CatchUp, catch_up
from tapefold.supervisor import Supervisor
from topics.errors import TapefoldError, Unavailable
from topics.kafka import KafkaLog

LOOK_S = 1.0
LINE_EVERY_S = 5.0
_LAST_ROWS = (
    "SELECT event_at, market_ticker, yes_price, size FROM tapefold.trades ORDER BY known_at DESC, _offset DESC LIMIT 3"
)


class Screen:
    """Shows messages at once, and the state of the stack about once a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._looked_s = 0.0
        self._lined_s = 0.0
        self._before: tuple[float, progress.Lag] | None = None
        self._note = ""
        self._trouble = ""

    def say(self, line: str) -> None:
        """One line for the record, above the live part."""
        self._console.print(line, highlight=False, markup=False)

    def note(self, text: str) -> None:
        """What the stack is busy with."""
        self._note = text

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Show the live part while the block runs, if this is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, refresh_per_second=4, transient=True) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def look(self, supervisor: Supervisor, log: KafkaLog, tables: Tables) -> None:
        """Take a new look if the last one is old enough."""
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        try:
            lag = progress.lag(log, tables)
            gaps = tables.query_rows("SELECT count(), countIf(repaired_at IS NULL) FROM tapefold_api.gaps").rows[0]
            rows = tables.query_rows(_LAST_ROWS).rows if self._live is not None else []
        except Unavailable as error:
            self._tell(now_s, "not reachable now, tried again", error)
            return
        except TapefoldError as error:
            self._tell(now_s, "refused, waiting does not mend it", error)
            return
        self._trouble = ""
        rate, sink = self._rates(now_s, lag)
        if self._live is not None:
            self._live.update(self._picture(supervisor, lag, rate, sink, gaps, rows))
        elif now_s - self._lined_s >= LINE_EVERY_S:
            self._lined_s = now_s
            self.say(
                f"records {lag.written:,} (+{rate:,.0f}/s)  to do: ingest {lag.ingest:,} fold {lag.fold:,} "
                f"sink {sink_text(sink)}  gaps {gaps[0]} (open {gaps[1]})  {self._note}".rstrip()
            )

    def _tell(self, now_s: float, trouble: str, error: TapefoldError) -> None:
        """Say why nothing can be shown: at once when that is new, and again from time to time."""
        if trouble != self._trouble or now_s - self._lined_s >= LINE_EVERY_S:
            self._lined_s = now_s
            self.say(f"{trouble}: {error}")
        self._trouble = trouble

    def _rates(self, now_s: float, lag: progress.Lag) -> tuple[float, CatchUp]:
        """Raw records per second, and how the sink comes on, since the last look."""
        before, self._before = self._before, (now_s, lag)
        if before is None:
            return 0.0, CatchUp(lag.sink, 0.0, None)
        elapsed_s = max(now_s - before[0], 1e-9)
        sink = catch_up(before[1].stored, lag.stored, elapsed_s, lag.sink)
        return (lag.written - before[1].written) / elapsed_s, sink

    def _picture(  # noqa: PLR0917  # each is a part of it
        self, supervisor: Supervisor, lag: progress.Lag, rate: float, sink: CatchUp, gaps: Any, rows: Any
    ) -> Group:
        stages = Table("records", "per second", "to ingest", "to fold", "to sink", "gaps", "of them open", box=None)
        before, behind = (lag.written, round(rate), lag.ingest, lag.fold), (gaps[0], gaps[1])
        stages.add_row(*map("{:,}".format, before), sink_text(sink), *map("{:,}".format, behind))
        services = Table("service", "pid", "restarts", box=None)
        for service in supervisor.services:
            pid = "ended" if service.process is None else str(service.process.pid)
            services.add_row(service.name, pid, str(service.restarts))
        last = Table("last trades", "market", "yes price", "size", box=None)
        for row in rows:
            last.add_row(*(str(value) for value in row))
        return Group(stages, "", services, "", last, "", self._note or "Ctrl-C stops all services in order")


def sink_text(sink: CatchUp) -> str:
    """What the sink has still to take, how fast it is, and when it will be done."""
    left = "" if sink.eta_s is None else f", {sink.eta_s:,.0f} s left"
    return f"{sink.lag:,} ({sink.records_per_s:,.0f}/s{left})"
