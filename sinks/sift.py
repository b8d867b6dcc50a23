"""Which rows the store refuses for what they hold: found by inserting the rows by halves, so the others are written with it.

The halves are those of the same rows for every writer, and so are their tokens: who takes a round over finds the same rows
to be refused, and what was written by halves already is not written again.
"""

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from sinks.rows import REFUSED_DETAIL_CHARS_MAX, Built, with_refused
from sinks.tables import StatementRefused
from topics.log import Log, Record, TopicPartition, read_ranges

Place = tuple[str, int, int]  # topic, partition, offset
RecordsAt = Callable[[Sequence[Place]], Mapping[Place, Record]]


def refused_rows(
    insert: Callable[[pa.Table, str], object], rows: pa.Table, token: str, rows_max: int
) -> dict[int, StatementRefused]:
    """The numbers of the rows that `insert` refuses alone, twice, and how; the others are inserted.

    Stops looking when there are more than `rows_max`. Raises StoreUnavailable, and StatementRefused where that is not for
    what rows hold.
    """
    found: dict[int, StatementRefused] = {}
    waiting = [(0, len(rows))]
    while waiting and len(found) <= rows_max:
        first, end = waiting.pop()
        part, named = rows.slice(first, end - first), f"{token}:{first}-{end}"
        error = _refusal(insert, part, named)
        if error is None:
            continue
        if end - first > 1:
            middle = (first + end) // 2
            waiting += [(middle, end), (first, middle)]
        elif (again := _refusal(insert, part, named)) is not None:
            found[first] = again
    return found


def _refusal(insert: Callable[[pa.Table, str], object], rows: pa.Table, token: str) -> StatementRefused | None:
    try:
        insert(rows, token)
    except StatementRefused as error:
        if not error.is_of_rows:
            raise
        return error
    return None


def sifted(
    built: Built, table: str, refused: Mapping[int, StatementRefused], records_at: RecordsAt, code_version: str
) -> tuple[Built, tuple[Place, ...]]:
    """The rows without the refused ones, which `dead` tells instead; and where their records stand, in order.

    records_at: the records at these places, for `dead` shows the beginning of their values. Raises what it raises.
    """
    rows = built.tables[table]
    places = [
        (rows["_topic"][number].as_py(), rows["_partition"][number].as_py(), rows["_offset"][number].as_py())
        for number in refused
    ]
    records = records_at(places)
    why = [f"{table}: the store refused it with code {error.code}: {_said(error)}" for error in refused.values()]
    told = [(records[place], detail) for place, detail in zip(places, why, strict=True)]
    return with_refused(built, table, list(refused), told, code_version), tuple(sorted(places))


def records_of(log: Log, places: Sequence[Place]) -> dict[Place, Record]:
    """The records at these places of the log, read again. Raises what the log raises."""
    spans: dict[TopicPartition, list[int]] = {}
    for topic, number, offset in places:
        spans.setdefault((topic, number), []).append(offset)
    firsts = {partition: min(offsets) for partition, offsets in spans.items()}
    ends = {partition: max(offsets) + 1 for partition, offsets in spans.items()}
    wanted = set(places)
    return {
        record[:3]: record
        for part in read_ranges(log, firsts, ends)
        for record in part.records()
        if record[:3] in wanted
    }


def _said(error: StatementRefused) -> str:
    """What the store says of the values, without what it adds of itself: its version, its address, its stages."""
    said = error.detail.rpartition("DB::Exception: ")[2].partition(": While executing")[0].partition(" (version")[0]
    return said[:REFUSED_DETAIL_CHARS_MAX]
