"""Reads back what was inserted: bronze by offset and checksum, the other tables by the identity of their rows.

Bronze is compared by a hash of each row in one aggregate query; only where that differs are its rows looked at one by one.
The other tables collapse repeats, so there the question is whether each identity stands, in no older version than ours.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sinks import columns
from sinks.batch import Share, where
from sinks.checksum import ROW_HASH_SQL, Hashes
from sinks.generation import split
from sinks.identity import NULL_IN, Schemas
from sinks.rows import RAW_RECORDS, Built
from sinks.tables import Beside, StatementRefused, Tables
from topics.log import TopicPartition

# HASH and RANGES are set in: the first is a constant, the second made of numbers and quoted names.
_SUMS = (
    "SELECT _topic, _partition, count(), sum(HASH) FROM tapefold.raw_records WHERE RANGES GROUP BY _topic, _partition"
).replace("HASH", ROW_HASH_SQL)
_LACKING = "SELECT 'PLACE', toUInt32(0), lacking, toUInt64(0) FROM (QUERY)"
_EACH = "SELECT _offset, HASH AS hash FROM tapefold.raw_records WHERE RANGES".replace("HASH", ROW_HASH_SQL)


Sums = tuple[int, int]


class Found(NamedTuple):
    """What a read-back showed. lacking: place -> the rows to insert again. altered: the first row that is another one.

    counts: place -> how many rows it lacks, in tables other than bronze one for each identity. doubled: rows of bronze that
    stand more than once; its engine removes them in time, FINAL hides them at once.
    """

    lacking: dict[str, pa.Table]
    counts: dict[str, int]
    altered: str | None
    doubled: int


class Readback:
    """Compares the tables with what was built for them."""

    def __init__(self, tables: Tables, schemas: Schemas) -> None:
        self._tables = tables
        self._schemas = schemas

    def look(self, built: Built, shares: Sequence[Share], places: Sequence[str]) -> Found:
        """What is lacking, altered or doubled of `built`, which holds the records of `shares`, in these places."""
        try:
            seen = self._asked(built, shares, places)
        except StatementRefused as error:
            if not error.is_of_rows:
                raise
            seen = self._asked_apart(built, shares, places)
        # Without an answer for a place: a KeyError, never "all there".
        counts = {place: count for place in places if place != RAW_RECORDS and (count := seen[place, 0][0])}
        lacking = {place: built.tables[split(place)[1]] for place in counts}
        altered: str | None = None
        doubled = 0
        if RAW_RECORDS in places:
            mask, altered, doubled = self._bronze(built, shares, seen)
            if mask is not None:
                lacking[RAW_RECORDS] = built.tables[RAW_RECORDS].filter(pa.array(mask))
                counts[RAW_RECORDS] = int(mask.sum())
        return Found(lacking, counts, altered, doubled)

    def _asked(self, built: Built, shares: Sequence[Share], places: Sequence[str]) -> dict[TopicPartition, Sums]:
        """Rows and checksum of each bronze partition of `shares`; for another place, as partition 0, the rows it lacks.

        All is one query: some ten places at two thousand records a second, where each journey costs more than the answer.
        """
        queries: list[str] = []
        besides: dict[str, Beside] = {}
        for place in places:
            database, table = split(place)
            if place == RAW_RECORDS:
                queries.append(_SUMS.replace("RANGES", _bronze_where(_bronze_shares(built, shares).values())))
                continue
            rows = built.tables[table]
            identity = self._schemas[table].identity(rows.column_names)
            wanted = columns.plain(rows.select([*identity.inputs]))
            besides[f"wanted_{table}"] = Beside(wanted, [*identity.inputs.values()])
            asked = identity.sql(f"{database}.{table}", f"wanted_{table}")
            queries.append(_LACKING.replace("PLACE", place).replace("QUERY", asked))
        if not queries:
            return {}  # records without rows: facts whose rows are made elsewhere
        answer = self._tables.query_beside(" UNION ALL ".join(queries) + NULL_IN, besides)
        return {(name, number): (count, checksum) for name, number, count, checksum in answer.rows}

    def _asked_apart(self, built: Built, shares: Sequence[Share], places: Sequence[str]) -> dict[TopicPartition, Sums]:
        """The same, place by place: rows that cannot even be asked for lack; their insert says which are refused."""
        seen: dict[TopicPartition, Sums] = {}
        for place in places:
            try:
                seen |= self._asked(built, shares, [place])
            except StatementRefused as error:
                if not error.is_of_rows:
                    raise
                seen[place, 0] = (built.tables[split(place)[1]].num_rows, 0)
        return seen

    def _bronze(
        self, built: Built, shares: Sequence[Share], seen: Mapping[TopicPartition, Sums]
    ) -> tuple[np.ndarray | None, str | None, int]:
        """Which bronze rows are lacking (None: none is), which is altered, how many are doubled."""
        mask: np.ndarray | None = None
        doubled = 0
        for partition, share in _bronze_shares(built, shares).items():
            if seen.get(partition, (0, 0)) == (share.rows, share.checksum):
                continue
            first, end = built.spans[partition]
            found = self._each(share)
            offsets = built.tables[RAW_RECORDS]["_offset"].to_numpy()[first:end]
            wrong = _altered(partition, offsets, built.hashes[first:end], found)
            if wrong is not None:
                return mask, wrong, doubled
            there = np.isin(offsets, found[0])
            doubled += len(found[0]) - int(there.sum())
            if not there.all():
                mask = np.zeros(len(built.hashes), bool) if mask is None else mask
                mask[first:end] = ~there
        return mask, None, doubled

    def _each(self, share: Share) -> tuple[Hashes, Hashes]:
        """Offset and hash of every physical row of a range, sorted."""
        answer = self._tables.query_arrow(_EACH.replace("RANGES", _bronze_where([share])))
        offsets, hashes = answer["_offset"].to_numpy(), answer["hash"].to_numpy()
        order = np.argsort(offsets, kind="stable")
        return offsets[order], hashes[order]


def _bronze_shares(built: Built, shares: Sequence[Share]) -> dict[TopicPartition, Share]:
    return {(each.topic, each.partition): each for each in shares if (each.topic, each.partition) in built.spans}


def _altered(partition: TopicPartition, offsets: Hashes, hashes: Hashes, found: tuple[Hashes, Hashes]) -> str | None:
    """The first row in the store whose content is not the log's, or that the log does not have."""
    topic, number = partition
    expected = dict(zip(offsets.tolist(), hashes.tolist(), strict=True))
    for offset, was in zip(found[0].tolist(), found[1].tolist(), strict=True):
        if offset not in expected:
            return f"{topic}-{number} offset {offset}: expected no record, was one"
        if expected[offset] != was:
            return f"{topic}-{number} offset {offset}: expected hash {expected[offset]:016x}, was {was:016x}"
    return None


def _bronze_where(shares: Iterable[Share]) -> str:
    ranges = [(each.topic, each.partition, each.first, each.next) for each in shares]
    return where(ranges, "_topic", "_partition", "_offset")
