"""The audits: each asks one promise of the store, says what it found, and leaves a row in `audit_runs`.

A new audit is a function and a line in `AUDITS`; the commands `tapefold audit NAME` are made of them.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from sinks import audit, columns
from sinks.audit import Finding
from sinks.tables import StatementRefused, Tables
from tapefold import wiring
from tapefold.settings import Settings
from topics.errors import Unavailable
from topics.log import Log
from topics.units import NS_PER_S

_KEPT_MAX = 10  # findings that a row of `audit_runs` shows


class Scene(NamedTuple):
    """What an audit works on. full: look at everything, however long it takes."""

    settings: Settings
    log: Log
    tables: Tables
    full: bool
    now_ns: int


class Outcome(NamedTuple):
    """What an audit found. checked: how many things it looked at, `checked_what` of them."""

    findings: Sequence[Finding]
    checked: int
    checked_what: str


def contiguity(scene: Scene) -> Outcome:
    """Every offset of the raw topics is in the store once, as it stands on the log; commits make one chain."""
    now = datetime.fromtimestamp(scene.now_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S")
    seed = scene.now_ns // (3600 * NS_PER_S)
    report = audit.contiguity(scene.log, scene.tables, scene.settings.sql_dir, now_sql=now, full=scene.full, seed=seed)
    return Outcome(
        report.findings, report.checked, f"committed ranges, {report.from_log} of them read from the log again"
    )


AUDITS: dict[str, Callable[[Scene], Outcome]] = {
    "contiguity": contiguity,
}


def run(name: str, scene: Scene) -> Outcome:
    """Run an audit and leave its row in `audit_runs`."""
    outcome = AUDITS[name](scene)
    keep(scene.tables, name, outcome.findings, outcome.checked, scene.now_ns)
    return outcome


def keep(tables: Tables, name: str, findings: Sequence[tuple[object, ...]], checked: int, began_ns: int) -> None:
    """Leave the row of a run that has ended. Raises StoreUnavailable, StatementRefused."""
    ended_ns = wiring.now_ns()
    row = pa.table(
        {
            "audit": columns.labels([name]),
            "at": columns.time_ns([ended_ns]),
            "took_ms": columns.uint64([(ended_ns - began_ns) // 1_000_000]),
            "checked": columns.uint64([checked]),
            "findings": columns.uint64([len(findings)]),
            "detail": columns.text([msgspec.json.encode(findings[:_KEPT_MAX]).decode()]),
        }
    )
    tables.insert_arrow("audit_runs", row, f"{name}:{ended_ns}")


def keep_auditing(scene: Callable[[], Scene], every_s: float, stop: threading.Event, logger: Any) -> None:
    """Run all audits, on samples, again and again until `stop`; an audit that can not be run is tried the next time."""
    while not stop.wait(every_s):
        for name in AUDITS:
            try:
                outcome = run(name, scene())
            except (Unavailable, StatementRefused) as error:
                logger.warning("audit_failed", audit=name, error=str(error))
                continue
            logger.info("metric", metric="audit_findings", audit=name, value=len(outcome.findings), of=outcome.checked)
            for finding in outcome.findings[:_KEPT_MAX]:
                logger.warning("audit_finding", audit=name, **finding._asdict())
