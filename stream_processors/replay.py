"""The fold without Faust: raw records (or facts) of the log in, the rows that the live agents make of them out. Pure.

A `Part` does for its fact partitions what the agents `ingest` and `fold` do live, with the same functions. Several
parts, each with partitions of its own, do the whole between them: each is shown all raw records, takes from them what
falls into its partitions, and skips before parsing what it can tell by the record's key.
"""

from collections.abc import Collection, Iterator, Sequence

from stream_processors.ingest import ingest
from stream_processors.outputs import Output
from stream_processors.pipeline import Batch
from stream_processors.stages import Fold
from topics.catalog import FOLD_TOPICS, RAW_KALSHI_WS
from topics.domains import domain_of
from topics.log import Record, partition_of

RETIRE_EVERY = 200_000  # facts; states that none of them asked for are encoded then, to bound memory


class Part:
    """The fold of the fact partitions `own`, of `partitions` in all.

    batch_records: so many facts of a partition are folded before their rows are told. Above 1 whoever wants the rows of all
    that was taken asks for the `rest`.
    """

    def __init__(self, own: Collection[int], partitions: int, *, batch_records: int = 1) -> None:
        self._own = frozenset(own)
        self._partitions = partitions
        self._stored: dict[str, bytes] = {}
        self._fold = Fold(partitions, lambda _, key: self._stored.get(key))
        self._folded = 0  # facts since states were retired
        self._batch_records = batch_records
        self._open: dict[int, Batch] = {}  # by partition number
        self._offsets: dict[tuple[str, int], int] = {}

    def raw(self, topic: str, partition: int, records: Sequence[Record]) -> Iterator[Record]:
        """Take one batch of a raw partition; yields the facts and rows of our partitions, as records of their topics."""
        mine = [record for record in records if self._may_concern(record)]
        facts: dict[tuple[str, int], list[Record]] = {}
        for output in ingest(topic, partition, self._partitions, mine):
            record = self._appended(output)
            if record is None:
                continue
            yield record
            if record.topic in FOLD_TOPICS:
                facts.setdefault((record.topic, record.partition), []).append(record)
        for (fact_topic, number), batch in facts.items():
            yield from self.facts(fact_topic, number, [each.offset for each in batch], [each.value for each in batch])

    def facts(self, topic: str, partition: int, offsets: Sequence[int], values: Sequence[bytes]) -> Iterator[Record]:
        """Take the next facts of a partition of ours; yields the rows of all that is whole, as records of their topics."""
        batch = self._open.get(partition)
        if batch is not None and batch.topic != topic:
            yield from self._finished(partition)
            batch = None
        if batch is None:
            batch = self._open[partition] = self._fold.batch(topic, partition)
        batch.take(offsets, values)
        if batch.records >= self._batch_records:
            yield from self._finished(partition)

    def rest(self) -> Iterator[Record]:
        """The rows of all facts that were taken and not told of yet."""
        for partition in list(self._open):
            yield from self._finished(partition)

    def _finished(self, partition: int) -> Iterator[Record]:
        batch = self._open.pop(partition)
        outputs = batch.finish()
        self._folded += batch.records
        if self._folded >= RETIRE_EVERY:
            self._stored.update(self._fold.retired())
            self._folded = 0
        for output in outputs:
            record = self._appended(output, partition)
            if record is not None:
                yield record

    def _may_concern(self, record: Record) -> bool:
        """Frames and notices of Kalshi's socket are keyed by market, so that their domain is known without a look inside."""
        if record.topic != RAW_KALSHI_WS or record.key is None:
            return True
        return partition_of(domain_of(record.key.decode("utf-8", "replace")).encode(), self._partitions) in self._own

    def _appended(self, output: Output, partition: int | None = None) -> Record | None:
        """The output as a record in the place it would have; None where that is in a partition of someone else."""
        if output.partition is not None:
            number = output.partition
        elif partition is not None:
            number = partition  # a row of a fact stays in the fact's partition: both have its domain for a key
        else:
            number = partition_of(output.key, self._partitions)
        if number not in self._own:
            return None
        offset = self._offsets.get((output.topic, number), 0)
        self._offsets[output.topic, number] = offset + 1
        return Record(output.topic, number, offset, 0, output.key, (), output.value)
