"""Facts folded again without some of them: what a row would be had they never been told. Pure."""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from stream_processors.ingest import WATERMARK_TOPICS
from stream_processors.replay import Part
from topics.catalog import FOLD_TOPICS
from topics.events import Cause
from topics.log import Record


class Told(NamedTuple):
    """A fact as it stands on its topic, and where it was read; None: it was read nowhere, as a beat."""

    record: Record
    cause: Cause | None


def refolded(part: Part, number: int, told: Iterable[Told], gone: Collection[Cause]) -> Iterator[Record]:
    """Facts of one fact partition and the rows that `part` makes of them, without those of the causes `gone`.

    Topics with beats come last: what their minutes are closed with is there by then.
    """
    by_topic: dict[str, list[Record]] = {}
    for record, cause in told:
        if cause in gone:
            continue
        yield record
        if record.topic in FOLD_TOPICS:
            by_topic.setdefault(record.topic, []).append(record)
    for topic in sorted(by_topic, key=lambda each: each in WATERMARK_TOPICS):
        batch = by_topic[topic]
        yield from part.facts(topic, number, [each.offset for each in batch], [each.value for each in batch])
