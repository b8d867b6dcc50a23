"""What a worker does with the batches at hand, between reading them and storing what came of them. Pure.

A round takes any number of batches; those of one partition number share its states, which are encoded once.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

from stream_processors.ingest import ingest
from stream_processors.outputs import Output
from stream_processors.pipeline import Batch, States

# A changelog that ends in the middle of a round must hold nothing that would hide the rest from its repetition: `books`
# drops frames it has seen, so it comes after all that depends on what it says; progress says that all is there.
_STATE_ORDER = ("minute/", "market/", "asofday/", "asof/", "label/", "tws/", "watermark/", "books/", "progress/")

GC_THRESHOLDS = (5_000_000, 50, 100)  # batches make no cycles, so collections find little

Load = Callable[[int, str], bytes | None]
"""(partition number, key) -> the state that is stored there."""

Pairs = list[tuple[bytes, bytes]]


class Fetched(NamedTuple):
    """Records of one partition, in order, as columns.

    contents: of raw topics the records whole, whose headers and keys are read as well; of all others their values.
    timestamp_ms: of the newest record.
    """

    offsets: list[int]
    contents: list[Any]
    timestamp_ms: int

    @classmethod
    def joined(cls, parts: Sequence["Fetched"]) -> "Fetched":
        """All of one partition, as one."""
        if len(parts) == 1:
            return parts[0]
        offsets = [*chain.from_iterable(part.offsets for part in parts)]
        contents = [*chain.from_iterable(part.contents for part in parts)]
        return cls(offsets, contents, max(part.timestamp_ms for part in parts))


class RecordBatch(Protocol):
    """A fetched batch: its place on the log, and its records."""

    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def value(self) -> Fetched: ...  # noqa: D102


class Done(NamedTuple):
    """What came of a round: rows to append, and states (key, value) by partition number, to store in this order."""

    outputs: list[Output]
    states: dict[int, Pairs]


class Ingest:
    """Raw batches to facts; no states."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    def work(self, batches: Iterable[RecordBatch]) -> Done:
        """Facts and refusals of all batches, each partition's in order."""
        outputs: list[Output] = []
        for batch in batches:
            outputs += ingest(batch.topic, batch.partition, self._partitions, batch.value.contents)
        return Done(outputs, {})

    def forget(self, numbers: Iterable[int] | None = None) -> None:
        """Nothing is kept."""


class Fold:
    """Fact batches to rows, with states that stay decoded from round to round."""

    def __init__(self, partitions: int, load: Load) -> None:
        self._partitions = partitions
        self._load = load
        self._states: dict[int, States] = {}

    def work(self, batches: Iterable[RecordBatch]) -> Done:
        """Rows of all batches, and the states that they changed."""
        outputs: list[Output] = []
        progress: dict[int, dict[str, int]] = {}
        for batch in batches:
            number = batch.partition
            offsets = batch.value.offsets
            outputs += self.fold(batch.topic, number, offsets, batch.value.contents)
            progress.setdefault(number, {})[progress_key(batch.topic, number)] = offsets[-1] + 1
        return Done(outputs, {number: self._pairs(number, ends) for number, ends in progress.items()})

    def fold(self, topic: str, number: int, offsets: Sequence[int], values: Sequence[bytes | None]) -> list[Output]:
        """Rows of one batch of a fact partition; its states are kept, and changed since `encoded`."""
        return self.batch(topic, number).fold(offsets, values)

    def batch(self, topic: str, number: int) -> Batch:
        """A new batch of a fact partition. No other of this partition number may be folded before it is finished."""
        if number not in self._states:
            self._states[number] = States(lambda key: self._load(number, key))
        return Batch(self._states[number], topic, number, self._partitions)

    def encoded(self, number: int) -> dict[str, bytes]:
        """The states of a partition number that changed since the last call, by key."""
        return self._states[number].encoded()

    def retired(self) -> dict[str, bytes]:
        """The states of all partition numbers that were not asked for since the last call, by key."""
        return {key: value for states in self._states.values() for key, value in states.retired().items()}

    def forget(self, numbers: Iterable[int] | None = None) -> None:
        """What is kept of these partition numbers (of all) is no longer what is stored: load it anew."""
        for number in list(self._states if numbers is None else numbers):
            self._states.pop(number, None)

    def _pairs(self, number: int, progress: dict[str, int]) -> Pairs:
        encoded = self.encoded(number)
        encoded.update({key: b"%d" % end for key, end in progress.items()})
        return [(key.encode(), value) for key, value in sorted(encoded.items(), key=_rank)]


def progress_key(topic: str, number: int) -> str:
    """Where the offset stands up to which a source partition has been folded."""
    return f"progress/{topic}/{number}"


def _rank(item: tuple[str, bytes]) -> int:
    return next(rank for rank, prefix in enumerate(_STATE_ORDER) if item[0].startswith(prefix))
