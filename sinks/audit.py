"""Is every offset of the raw topics in the store, once and as it stands on the log? Six queries, and the log itself.

The queries are `clickhouse/audits/contiguity_*.sql`: commits make an unbroken chain from the first intent on, bronze has as many
rows and offsets in every range as its commit says and none outside of them, no intent is left open, no partition is unread; and,
for the newest ranges and a sample (all with `full`), the content is that of the commit. A range that differs is compared with the
log record by record, which names the offsets. Since commits were written by a sink that may err, the sample is read from the log
again, too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sinks.batch import Share, where
from sinks.checksum import FIRST_ROW_HASH_SQL, ROW_HASH_SQL, SHAPED_FROM_CODE, row_hashes, total
from sinks.columns import headers as header_column
from sinks.tables import Tables
from topics.log import Log, Stretch, Watermarks, read_ranges

SAMPLE_RANGES = 50  # of a run that is not full: read from the log, and their content compared in the store
RECENT_RANGES = 50  # the newest, which nobody has looked at yet
_UNREAD_AFTER_MS = 300_000  # a record that nobody has committed for so long waits for nobody
_NAMED_MAX = 20  # offsets that a finding names
_RANGES_PER_QUERY = 100
_LOG_ROWS_MAX = 100_000  # of ranges that are read from the log at once
RANGES_HELD = 5_000  # of a full run, at a time: a year has millions
_COMMITTED = (
    "SELECT DISTINCT topic, partition, first, next, rows, checksum, code, round FROM tapefold.sink_commits"
    " WHERE sink = {sink:String} AND round > 0 AND startsWith(topic, 'raw.')"
)
# The store draws: a year has millions of ranges, which need not pass through here every hour.
_NEWEST = f"{_COMMITTED} ORDER BY round DESC, topic, partition LIMIT {RECENT_RANGES}"
_SAMPLE = f"{_COMMITTED} ORDER BY cityHash64({{seed:UInt64}}, topic, partition, first) LIMIT {SAMPLE_RANGES}"
_DIFFERING = f"{_COMMITTED} AND (topic, partition, first) IN {{firsts:Array(Tuple(String, UInt32, UInt64))}}"
_FOLLOWING = (
    f"{_COMMITTED} AND (topic, partition, first) > ({{topic:String}}, {{partition:UInt32}}, {{first:UInt64}})"
    " ORDER BY topic, partition, first LIMIT {held:UInt64}"
)
_BEGINNING = f"{_COMMITTED} ORDER BY topic, partition, first LIMIT {{held:UInt64}}"
_EACH = "SELECT _offset, HASH AS hash FROM tapefold.raw_records WHERE RANGES"


class Finding(NamedTuple):
    """Something that is not as promised. place: where, as the operator would look for it."""

    problem: str
    place: str
    expected: str
    was: str


class Report(NamedTuple):
    """checked: ranges compared with the commits; from_log: those of them that were read from the log again."""

    findings: tuple[Finding, ...]
    checked: int
    from_log: int


def contiguity(
    log: Log, tables: Tables, sql: Path, *, now_sql: str, sink: str = "main", full: bool = False, seed: int = 0
) -> Report:
    """Run the audit. sql: the folder of the queries. now_sql: the time, as ClickHouse writes it. seed: of the sample.

    Without `full` the rows of all ranges are counted, and the content of the newest and of a sample compared. Raises
    Unavailable.
    """
    findings = [_found(row) for row in _rows(tables, sql, "chain", {"now": now_sql})]
    findings += [_found(row) for row in _rows(tables, sql, "intents", {"now": now_sql})]
    findings += _strays(tables, sql)
    findings += _unread(log, tables, sql, sink, now_sql)
    checked = from_log = 0
    for chosen in _pages(tables, sink) if full else [_chosen(tables, sql, sink, seed=seed)]:
        found, on_log = _content(log, tables, sql, sink, chosen)
        findings += found
        checked += len(chosen)
        from_log += on_log
    return Report(tuple(findings), checked, from_log)


def _strays(tables: Tables, sql: Path) -> list[Finding]:
    """Rows outside of all ranges. A writer may begin a round while the query runs: what stays is seen twice."""
    first = [_found(row) for row in _rows(tables, sql, "strays", {})]
    again = {_found(row) for row in _rows(tables, sql, "strays", {})} if first else set()
    return [finding for finding in first if finding in again]


def _unread(log: Log, tables: Tables, sql: Path, sink: str, now_sql: str) -> list[Finding]:
    """The partitions that have records of five minutes and older, by their stamps, and no commit, in topics that have some."""
    asked = {"sink": sink, "now": now_sql}
    topics = {row[0] for row in _rows(tables, sql, "partitions", asked)} & log.partition_counts().keys()
    marks = log.watermarks(sorted(topics))
    read = set(_rows(tables, sql, "partitions", asked))  # behind the marks: what came since then is no finding
    places = {each: mark.low for each, mark in marks.items() if mark.low < mark.high and each not in read}
    old_ms = datetime.fromisoformat(f"{now_sql}+00:00").timestamp() * 1_000 - _UNREAD_AFTER_MS
    return [
        Finding(
            "partition_unread",
            f"sink {sink}: {topic}-{number} offsets [{marks[topic, number].low},{marks[topic, number].high})",
            "a commit",
            f"none, though its first record is of {datetime.fromtimestamp(record.timestamp_ms // 1_000, UTC):%F %T}",
        )
        for (topic, number), record in sorted(log.records_at(places).items())
        if record.timestamp_ms < old_ms
    ]


def _content(log: Log, tables: Tables, sql: Path, sink: str, chosen: Mapping[Share, bool]) -> tuple[list[Finding], int]:
    """What is wrong with the content of these ranges, and how many of them were read from the log again."""
    findings: list[Finding] = []
    by_place = {each[:3]: each for each in chosen}
    marks = log.watermarks({each.topic for each in chosen})
    named: set[Share] = set()
    for part in _parts(sorted(chosen), _RANGES_PER_QUERY):
        for row in _rows(tables, sql, "content", {"sink": sink}, part):
            share = by_place[row[1], row[2], row[4]]
            findings += _named(log, tables, share, marks, _found(row), first_version=chosen[share])
            named.add(share)
    unseen = [each for each in chosen if each not in named and each.first >= marks[each[:2]].low]
    on_log = [each for each in unseen if each.next <= marks[each[:2]].high]
    for share in sorted(set(unseen) - set(on_log)):
        was = f"the log ends at {marks[share[:2]].high}"
        findings.append(Finding("log_truncated", str(share), f"records up to {share.next}", was))
    for first_version in (False, True):
        for run in _runs(each for each in on_log if chosen[each] is first_version):
            findings += _altered_on_log(log, run, first_version=first_version)
    return findings, len(on_log)


def _rows(
    tables: Tables, sql: Path, name: str, parameters: Mapping[str, Any], ranges: Sequence[Share] = ()
) -> list[tuple]:  # type: ignore[type-arg]  # as the store gives them
    text = (sql / "audits" / f"contiguity_{name}.sql").read_text()
    if ranges:
        spans = [each[:4] for each in ranges]
        bronze = where(spans, "_topic", "_partition", "_offset")
        text = text.replace("1 /* bronze */", f"({bronze})")
        text = text.replace("1 /* committed */", f"({where(spans, 'topic', 'partition', 'first')})")
    return [tuple(row) for row in tables.query_rows(text, parameters).rows]


def _found(row: tuple) -> Finding:  # type: ignore[type-arg]
    sink, topic, partition, problem, first, end, expected, was = row
    return Finding(problem, f"sink {sink}: {topic}-{partition} offsets [{first},{end})", expected, was)


def _chosen(tables: Tables, sql: Path, sink: str, *, seed: int) -> dict[Share, bool]:
    """The ranges whose content is compared: those whose count is wrong, the newest, and a sample."""
    firsts = _rows(tables, sql, "counts", {"sink": sink})
    differing = _shares(tables, _DIFFERING, sink=sink, firsts=firsts) if firsts else {}
    return {**differing, **_shares(tables, _NEWEST, sink=sink), **_shares(tables, _SAMPLE, sink=sink, seed=seed)}


def _pages(tables: Tables, sink: str) -> Iterator[dict[Share, bool]]:
    """All ranges, a part at a time."""
    page = _shares(tables, _BEGINNING, sink=sink, held=RANGES_HELD)
    while page:
        yield page
        topic, partition, first, *_ = max(page)
        at = {"topic": topic, "partition": partition, "first": first}
        page = _shares(tables, _FOLLOWING, sink=sink, held=RANGES_HELD, **at)


def _shares(tables: Tables, query: str, **parameters: Any) -> dict[Share, bool]:
    """The ranges, and whether their checksum is of the hash's first version."""
    return {Share(*row[:6]): row[6] < SHAPED_FROM_CODE for row in tables.query_rows(query, parameters).rows}


def _named(
    log: Log,
    tables: Tables,
    share: Share,
    marks: Mapping[tuple[str, int], Watermarks],
    finding: Finding,
    *,
    first_version: bool,
) -> list[Finding]:
    """The offsets of a range that differ from the log; the range alone where the log does not hold it any more."""
    low, high = marks[share.topic, share.partition]
    if not low <= share.first <= share.next <= high:
        return [finding]
    each = _EACH.replace("HASH", FIRST_ROW_HASH_SQL if first_version else ROW_HASH_SQL)
    answer = tables.query_arrow(each.replace("RANGES", where([share[:4]], "_topic", "_partition", "_offset")))
    stored: dict[int, list[int]] = {}
    for offset, hash_ in zip(answer["_offset"].to_pylist(), answer["hash"].to_pylist(), strict=True):
        stored.setdefault(offset, []).append(hash_)
    expected = {
        offset: hash_
        for part in _read(log, share)
        for offset, hash_ in zip(part.offsets, _hashes(part, first_version=first_version).tolist(), strict=True)
    }
    findings = [Finding("committed_otherwise", finding.place, finding.expected, "the log holds other records")]
    for offset in sorted(stored.keys() | expected.keys()):
        was = stored.get(offset, [])
        if was != [expected.get(offset)]:
            findings.append(_of_offset(share, offset, expected.get(offset), was))
    return findings[1 : _NAMED_MAX + 1] or findings


def _of_offset(share: Share, offset: int, expected: int | None, was: list[int]) -> Finding:
    place = f"{share.topic}-{share.partition} offset {offset}"
    if not was:
        return Finding("offset_missing", place, "a row", "none")
    if expected is None:
        return Finding("offset_invented", place, "no row: the log has no such record", f"{len(was)} rows")
    if set(was) == {expected}:
        return Finding("offset_doubled", place, "one row", f"{len(was)} equal rows")
    return Finding("offset_altered", place, f"hash {expected:016x}", ", ".join(f"{each:016x}" for each in was))


def _runs(shares: Iterable[Share]) -> list[list[Share]]:
    """Ranges of one partition that follow each other, as many as are read from the log at once."""
    runs: list[list[Share]] = []
    rows = 0
    for share in sorted(shares):
        last = runs[-1][-1] if runs else None
        if last is None or last[:2] != share[:2] or last.next != share.first or rows + share.rows > _LOG_ROWS_MAX:
            runs.append([])
            rows = 0
        runs[-1].append(share)
        rows += share.rows
    return runs


def _altered_on_log(log: Log, run: Sequence[Share], *, first_version: bool) -> list[Finding]:
    """Ranges whose records on the log are not those that were committed."""
    parts = _read(log, run[0]._replace(next=run[-1].next))
    offsets = np.concatenate([part.offsets for part in parts] or [[]])
    hashes = np.concatenate([_hashes(part, first_version=first_version) for part in parts] or [np.empty(0, np.uint64)])
    findings = []
    for share in run:
        first, end = np.searchsorted(offsets, (share.first, share.next))
        count, checksum = int(end - first), total(hashes[first:end])
        if (count, checksum) != (share.rows, share.checksum):
            expected = f"{share.rows} records, checksum {share.checksum:016X}"
            findings.append(Finding("log_altered", str(share), expected, f"{count}, checksum {checksum:016X}"))
    return findings


def _read(log: Log, share: Share) -> list[Stretch]:
    partition = (share.topic, share.partition)
    return read_ranges(log, {partition: share.first}, {partition: share.next})


def _hashes(part: Stretch, *, first_version: bool) -> np.ndarray:
    headers = header_column(part.headers)
    return row_hashes(part.offsets, part.timestamps_ms, part.keys, headers, part.values, first_version=first_version)


def _parts(shares: Sequence[Share], count: int) -> Iterable[Sequence[Share]]:
    return (shares[first : first + count] for first in range(0, len(shares), count))
