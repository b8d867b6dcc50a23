"""Carries out the protocol's commands on the store and the log. It decides nothing and retries nothing."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import pyarrow as pa

from sinks.assignment import Committed, PartitionStopped, check_tail, first_of, has_tail, position_of
from sinks.batch import Share, where
from sinks.evolution import Compatible
from sinks.generation import split
from sinks.identity import Schemas
from sinks.layouts import DEAD
from sinks.ledger import Ledger
from sinks.protocol import REFUSED_MAX, TAKE_ANYTHING
from sinks.readback import Found, Readback
from sinks.rows import RAW_RECORDS, Built, build_stretches
from sinks.sift import Place, records_of, refused_rows, sifted
from sinks.steps import (
    Command,
    Done,
    Event,
    Insert,
    Loaded,
    ReadRound,
    RowsRefused,
    Sift,
    Sifted,
    Verified,
    Verify,
    WriteCommit,
    WriteIntent,
)
from sinks.tables import StatementRefused, Tables
from topics import catalog
from topics.log import Identity, Log, Stretch, TopicPartition, Watermarks, read_ranges

_AHEAD = (
    "SELECT _topic, _partition, max(_offset) + 1 FROM tapefold.raw_records WHERE RANGES GROUP BY _topic, _partition"
)
# Where a sink may be made to die (`TAPEFOLD_FAILPOINT`), in the order of a round.
PLACES = (
    "sink.before_intent",
    "sink.after_intent",
    "sink.before_insert",
    "sink.after_insert",
    "sink.after_verify",
    "sink.before_commit",
    "sink.after_commit",
)


class Logger(Protocol):
    """What the sink needs of a structlog logger."""

    def info(self, event: str, **fields: object) -> object:
        """Say that something is as it should be."""

    def warning(self, event: str, **fields: object) -> object:
        """Say that something is not, and that we go on."""


class Assignment(NamedTuple):
    """Where a sink goes on. number: of the next round. ahead: bronze holds rows below these offsets, past the position.

    stopped: partitions that do not fit to their commits, with the reason.
    """

    positions: dict[TopicPartition, int]
    number: int
    ahead: dict[TopicPartition, int]
    stopped: list[PartitionStopped]


class Batch(NamedTuple):
    """Records on their way: the shares of their partitions, and what is built of them."""

    shares: tuple[Share, ...]
    built: Built


class Delivery:
    """One sink's hands.

    now_ns: stamps its rows. code_version: stamped on rows of `dead`. hit: a failpoint. compatible: the schema versions
    that are taken.
    """

    def __init__(
        self,
        log: Log,
        tables: Tables,
        *,
        sink: str,
        now_ns: Callable[[], int],
        logger: Logger,
        code_version: str,
        hit: Callable[[str], None],
        compatible: Compatible,
    ) -> None:
        self._log = log
        self._tables = tables
        schemas = Schemas(tables)
        self._ledger = Ledger(tables, sink=sink, now_ns=now_ns, schemas=schemas)
        self._readback = Readback(tables, schemas)
        self._logger = logger
        self._code_version = code_version
        self._hit = hit
        self._compatible = compatible
        self._identity = Identity("", {})
        self._lacking: dict[str, pa.Table] = {}
        self.duplicate_rows = 0
        self.unknown_fields = 0
        self.refused_rows = 0

    def assign(self, topics: Iterable[str]) -> Assignment:
        """Read the positions from the commits and check them against the log.

        Raises StoreUnavailable, StatementRefused, and what the log raises.
        """
        names = list(topics)
        number = self._ledger.next_number()  # before the positions: see `refreshed`
        known = self._ledger.committed()
        self._identity = self._log.identity(names)
        marks = self._log.watermarks(names)
        positions: dict[TopicPartition, int] = {}
        stopped: list[PartitionStopped] = []
        for partition, mark in marks.items():
            committed = known.get(partition) or first_of(partition[0], known, self._identity, mark)
            try:
                positions[partition] = position_of(partition, committed, self._identity, mark)
            except PartitionStopped as error:
                stopped.append(error)
        self._check_tails(positions, known, marks, stopped)
        return Assignment(positions, number, self._ahead(positions), stopped)

    def refreshed(self, before: Assignment) -> Assignment:
        """The positions anew, of the partitions that go on: another writer committed.

        The number is read first. If a round is committed in between, its number is found to be taken; the other way round
        positions from before it would be proposed under the number after it.
        """
        number = self._ledger.next_number()
        known = self._ledger.committed()
        positions = {
            partition: known[partition].next if partition in known else position
            for partition, position in before.positions.items()
        }
        return before._replace(positions=positions, number=number)

    def strangers(self, positions: Mapping[TopicPartition, int], counts: Mapping[str, int]) -> list[PartitionStopped]:
        """The partitions whose topic is not the one of the assignment any more: deleted, or made anew under its name.

        counts: the log's partitions of each topic now. Ids never come back. So what was read before this was asked is of the
        topic that the assignment has found, if that is still the answer. Raises what the log raises.
        """
        there = {topic for topic, _ in positions} & counts.keys()
        now = self._log.identity(sorted(there))
        stopped: list[PartitionStopped] = []
        for (topic, number), at in sorted(positions.items()):
            expected, was = self._identity.topic_ids[topic], now.topic_ids.get(topic, "no such topic")
            if now.cluster != self._identity.cluster:
                cluster = self._identity.cluster
                stopped.append(PartitionStopped("cluster_id_mismatch", (topic, number), at, cluster, now.cluster))
            elif was != expected:
                stopped.append(PartitionStopped("topic_id_mismatch", (topic, number), at, expected, was))
        return stopped

    def build(self, stretches: Iterable[Stretch], positions: Mapping[TopicPartition, int]) -> Batch:
        """The batch of these records; each share begins at the partition's position, so that commits make a chain.

        Offsets that the log does not have (compaction, transaction markers) lie within a share without a record.
        """
        parts = sorted(stretches, key=lambda part: part[:2])
        built = build_stretches(parts, topic_ids=self._identity.topic_ids, code_version=self._code_version)
        shares = tuple(
            Share(
                part.topic,
                part.partition,
                positions[part.topic, part.partition],
                part.next_offset,
                len(part.offsets),
                built.checksums[part.topic, part.partition],
            )
            for part in parts
        )
        if built.unknown_fields:
            self.unknown_fields += built.unknown_fields
            self._logger.warning("sink_unknown_fields", records=built.unknown_fields)
        return Batch(shares, built)

    def load(self, shares: Iterable[Share]) -> Batch:
        """Read exactly these ranges from the log and build their rows. Raises what the log raises."""
        chosen = list(shares)
        ends = {(each.topic, each.partition): each.next for each in chosen}
        positions = {(each.topic, each.partition): each.first for each in chosen}
        parts, stopped = self._compatible.checked(read_ranges(self._log, positions, ends))
        if stopped:
            raise stopped[0]  # another writer takes what we do not
        return self.build(parts, positions)

    def execute(self, command: Command, batch: Batch) -> Event:
        """Do what a command says; `batch` holds the rows. Raises StoreUnavailable, StatementRefused."""
        match command:
            case WriteIntent(round_, token):
                self._hit("sink.before_intent")
                self._ledger.write_intent(round_, token, self._identity)
                self._hit("sink.after_intent")
                return Done()
            case ReadRound(number, intents):
                return self._ledger.seen(number, intents=intents)
            case Insert(tokens, lacking):
                rows = {place: batch.built.tables[split(place)[1]] for place in tokens}
                return self._insert(tokens, {**rows, **self._lacking} if lacking else rows)
            case Verify(places):
                return self._verify(batch, places)
            case WriteCommit():
                self._hit("sink.before_commit")
                self._ledger.write_commit(command, self._identity, batch.built.tails)
                self._hit("sink.after_commit")
                return Done()
            case _:
                raise AssertionError(f"expected a command for the store, was {command}")

    def loaded(self, batch: Batch) -> Loaded:
        """The event of a Load."""
        return Loaded(batch.shares, tuple(batch.built.tables))

    def sift(self, command: Sift, batch: Batch) -> tuple[Batch, Sifted]:
        """Write the rows of a place but for those that the store refuses, and tell these in `dead`.

        Raises StoreUnavailable, StatementRefused, and what the log raises.
        """
        database, table = split(command.place)

        def insert(rows: pa.Table, token: str) -> None:
            self._tables.insert_arrow(table, rows, token, database)

        refused = refused_rows(insert, batch.built.tables[table], command.token, REFUSED_MAX)
        built, places = batch.built, tuple[Place, ...]()
        if refused and len(refused) <= REFUSED_MAX:
            built, places = sifted(batch.built, table, refused, partial(records_of, self._log), self._code_version)
            self.refused_rows += len(refused)
            first = next(iter(refused.values()))
            self._logger.warning("sink_rows_refused", table=table, rows=len(refused), first=places[0], error=str(first))
        mark = hashlib.sha1(f"{table}{places}".encode(), usedforsecurity=False).hexdigest()[:16]
        changed = (table, DEAD) if places else ()
        why = str(next(iter(refused.values()), ""))
        said = Sifted(tuple(built.tables), changed, mark, len(refused), batch.built.tables[table].num_rows, why)
        return batch._replace(built=built), said

    def _insert(self, tokens: Mapping[str, str], rows: Mapping[str, pa.Table]) -> Done | RowsRefused:
        self._hit("sink.before_insert")
        for place, token in tokens.items():
            database, table = split(place)
            try:
                self._tables.insert_arrow(table, rows[place], token, database, distinct=table == RAW_RECORDS)
            except StatementRefused as error:
                # What these refuse is not for their rows, and is waited for.
                if not error.is_of_rows or table in TAKE_ANYTHING:
                    raise
                return RowsRefused(place)
            self._hit("sink.after_insert")
        return Done()

    def look(self, batch: Batch, places: Sequence[str]) -> Found:
        """Read these places back; an insert of what is lacking is of what the last look did not find.

        Raises StoreUnavailable, StatementRefused.
        """
        found = self._readback.look(batch.built, batch.shares, places)
        self._lacking = found.lacking
        return found

    def _verify(self, batch: Batch, places: Sequence[str]) -> Verified:
        found = self.look(batch, places)
        if found.doubled:
            self.duplicate_rows += found.doubled
            self._logger.warning("sink_duplicate_rows", table=RAW_RECORDS, rows=found.doubled)
        self._hit("sink.after_verify")
        return Verified(frozenset(found.lacking), found.altered)

    def _check_tails(
        self,
        positions: dict[TopicPartition, int],
        known: Mapping[TopicPartition, Committed],
        marks: Mapping[TopicPartition, Watermarks],
        stopped: list[PartitionStopped],
    ) -> None:
        """Compare the records before the positions; partitions that differ leave `positions`."""
        asked = {each: known[each] for each in positions if has_tail(known.get(each), marks[each])}
        found = self._log.records_at({each: committed.next - 1 for each, committed in asked.items()})
        for partition, committed in asked.items():
            try:
                check_tail(partition, committed, found[partition])
            except PartitionStopped as error:
                stopped.append(error)
                del positions[partition]

    def _ahead(self, positions: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Where bronze holds rows past the positions: a predecessor's that was cut off, or copied in by hand."""
        beyond = [
            (topic, number, at, 2**64 - 1)
            for (topic, number), at in positions.items()
            if catalog.BY_NAME[topic].group == "raw"
        ]
        if not beyond:
            return {}
        query = _AHEAD.replace("RANGES", where(beyond, "_topic", "_partition", "_offset"))
        return {(topic, number): end for topic, number, end in self._tables.query_rows(query).rows}
