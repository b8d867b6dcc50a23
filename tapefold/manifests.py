"""What a run that ends has fetched: one file a run, never changed, and beside them a pointer to the latest good one.

`<state>/_state/manifests/run_<run_id>.json`, `_latest/<command>.json`, and `archive/` for what is older than 90 days. A run
that is killed leaves none. What counts is what its appender and its metrics say, by entity: series, station, symbol or file.
"""

import contextlib
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from producers import notes
from producers.metrics import MetricName, OnMetric
from topics.catalog import CODE_VERSION, H_KIND
from topics.domains import series_of
from topics.log import Appender, TopicPartition
from topics.relay import Relay
from topics.units import NS_PER_S

FOLDER = Path("_state") / "manifests"
KEPT_DAYS = 90
# What says that something was given up, and what says that an upstream lacks something: it is told, and nobody's fault.
FAILED: frozenset[str] = frozenset({"rest.failed", "rag.failed"})
LACKING: frozenset[str] = frozenset({"rest.incomplete", "rest.refused", "rest.unresolved", "rag.refused"})
_ABOUT = ("series", "market", "subject", "station", "symbol")
_SUMMED = ("pages", "new", "predictions", "bytes")
_STAMP = "%Y%m%dT%H%M%SZ"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Entity(Struct):
    """What was appended about one series, station, symbol or file, and how often each thing was said of it.

    The entity `*` is what is about no single one. records: answers as received. gaps: notices of what is missing. sums: of the
    metrics' own numbers, such as pages.
    """

    records: int = 0
    bytes: int = 0
    gaps: int = 0
    metrics: dict[str, int] = {}
    sums: dict[str, int] = {}


class Check(Struct, frozen=True):
    """One thing that must hold. found: what speaks against it, by name."""

    name: str
    ok: bool
    found: dict[str, int] = {}


class Manifest(Struct, frozen=True):
    """inputs: what was asked for. outputs: per topic and partition the last offset that the log confirmed."""

    run_id: str
    command: str
    status: Literal["success", "failed"]
    reason: str | None
    code_version: str
    started_at: str
    ended_at: str
    duration_s: float
    inputs: dict[str, str]
    outputs: dict[str, dict[str, int]]
    entities: dict[str, Entity]
    metrics: dict[str, int]
    progress: dict[str, int]
    checks: list[Check]


class Run:
    """Counts while a run goes on. entity_of: the entity that a record's key, or a market in a metric, belongs to."""

    def __init__(self, command: str, inputs: Mapping[str, str], *, entity_of: Callable[[str], str] = series_of) -> None:
        self.command = command
        self.inputs = dict(inputs)
        self.entities: dict[str, Entity] = {}
        self.metrics: Counter[str] = Counter()
        self.progress: dict[str, int] = {}
        self.stored: Mapping[TopicPartition, int] = {}
        self.stopped = False
        self._entity_of = entity_of

    def entity(self, name: str) -> Entity:
        """The counts of one entity."""
        return self.entities.setdefault(self._entity_of(name), Entity())

    def counting(self, appender: Appender) -> Appender:
        """The same appender, whose records count."""
        self.stored = appender.stored
        return _Counting(appender, self)

    def hearing(self, on_metric: OnMetric) -> OnMetric:
        """The same listener; what it is told counts as well."""

        def heard(name: MetricName, **fields: object) -> None:
            self.metrics[name] += 1
            about = next((str(fields[key]) for key in _ABOUT if fields.get(key)), None)
            if about is not None:
                entity = self.entity(f"{about}/{fields['model']}" if fields.get("model") else about)
                entity.metrics[name] = entity.metrics.get(name, 0) + 1
                for key in _SUMMED:
                    if isinstance(more := fields.get(key), int):
                        entity.sums[key] = entity.sums.get(key, 0) + more
            if name == "iem.history":
                self.progress = {key: count for key, count in fields.items() if isinstance(count, int)}
            on_metric(name, **fields)

        return heard

    def checks(self) -> list[Check]:
        """What holds of the run as it ended: `whole` may fail by the upstream's own doing, the others are ours."""
        given_up = {name: self.metrics[name] for name in sorted(FAILED) if self.metrics[name]}
        if self.progress.get("failed"):
            given_up["units"] = self.progress["failed"]
        lacking = {name: self.metrics[name] for name in sorted(LACKING) if self.metrics[name]}
        return [
            Check("ended", not self.stopped),
            Check("nothing_given_up", not given_up, given_up),
            Check("whole", not lacking, lacking),
        ]


class _Counting(Relay):
    """An appender whose records count, by the kind that their headers tell."""

    def __init__(self, appender: Appender, run: Run) -> None:
        super().__init__(appender)
        self._run = run

    def after_append(self, value: bytes, key: bytes | None, headers: Sequence[tuple[str, bytes]]) -> None:
        """Count it."""
        kind = next((told for name, told in headers if name == H_KIND), b"")
        if kind in {b"frame", b"gap"}:
            entity = self._run.entity("*" if key is None else key.decode("utf-8", "backslashreplace"))
            entity.records += kind == b"frame"
            entity.bytes += len(value) if kind == b"frame" else 0
            entity.gaps += kind == b"gap"


@contextlib.contextmanager
def kept(run: Run, state_dir: Path, *, ends: bool, now_ns: Callable[[], int]) -> Iterator[None]:
    """Write the manifest when the block ends, in order or not; then move the pointer, where the run was good.

    ends: False for a service that goes on until somebody stops it, which has none.
    """
    if not ends:
        yield
        return
    started_ns = now_ns()
    try:
        yield
    except BaseException as error:
        _keep(run, state_dir / FOLDER, started_ns, now_ns(), reason=f"{type(error).__name__}: {error}")
        raise
    _keep(run, state_dir / FOLDER, started_ns, now_ns(), reason="stopped before its end" if run.stopped else None)


def _keep(run: Run, folder: Path, started_ns: int, ended_ns: int, *, reason: str | None) -> None:
    outputs: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in sorted(run.stored.items()):
        outputs.setdefault(topic, {})[str(partition)] = offset
    manifest = Manifest(
        run_id=f"{_moment(started_ns):{_STAMP}}-{secrets.token_hex(3)}",
        command=run.command,
        status="success" if reason is None else "failed",
        reason=reason,
        code_version=CODE_VERSION,
        started_at=_moment(started_ns).isoformat(),
        ended_at=_moment(ended_ns).isoformat(),
        duration_s=round((ended_ns - started_ns) / NS_PER_S, 3),
        inputs=run.inputs,
        outputs=outputs,
        entities=dict(sorted(run.entities.items())),
        metrics=dict(sorted(run.metrics.items())),
        progress=run.progress,
        checks=run.checks(),
    )
    name = f"run_{manifest.run_id}.json"
    _write_once(folder / name, msgspec.json.format(msgspec.json.encode(manifest)))
    if reason is None and all(check.ok for check in manifest.checks if check.name != "whole"):
        latest = {"run_id": manifest.run_id, "manifest": f"../{name}", "ended_at": manifest.ended_at}
        notes.replace(folder / "_latest" / f"{run.command}.json", msgspec.json.format(msgspec.json.encode(latest)))
    archive(folder, _moment(ended_ns))


def archive(folder: Path, now: datetime) -> list[Path]:
    """Move manifests of more than `KEPT_DAYS` to `archive/`, but those that a pointer names; returns them."""
    named = {
        msgspec.json.decode(path.read_bytes(), type=dict[str, str])["run_id"] for path in folder.glob("_latest/*.json")
    }
    before = f"run_{now - timedelta(days=KEPT_DAYS):{_STAMP}}"
    old = [p for p in sorted(folder.glob("run_*.json")) if p.name < before and p.stem.removeprefix("run_") not in named]
    if old:
        (folder / "archive").mkdir(exist_ok=True)
    return [path.rename(folder / "archive" / path.name) for path in old]


def _write_once(path: Path, data: bytes) -> None:
    """The file comes whole and is never replaced. Raises FileExistsError."""
    draft = path.with_name(f".{path.name}")
    notes.replace(draft, data)
    draft.chmod(0o444)
    os.link(draft, path)
    draft.unlink()


def _moment(time_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_ns // 1_000)
