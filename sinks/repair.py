"""Rows that were committed and are gone (a part lost with its disk, a deletion by hand) come back from the log.

Each committed range is read from the log again, and each table that has rows of it is read back, as a round does it before
its commit. What is lacking is inserted under a token of this repair's own: the store may still remember the first one.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from sinks.batch import Share, token
from sinks.checksum import SHAPED_FROM_CODE, row_hashes, total
from sinks.columns import headers
from sinks.delivery import Batch, Delivery
from sinks.generation import placed
from sinks.generations import read
from sinks.protocol import Halted, check_refused
from sinks.steps import Insert, RowsRefused, Sift
from sinks.tables import Tables
from topics.log import Log, read_ranges

ROUNDS_HELD = 500  # at a time: a year has millions
_COMMITTED = """
SELECT DISTINCT round, topic, partition, first, next, rows, checksum, code FROM tapefold.sink_commits
WHERE sink = {sink:String} AND rows > 0 AND topic IN {topics:Array(String)} AND round IN (
    SELECT DISTINCT round FROM tapefold.sink_commits
    WHERE sink = {sink:String} AND round > {after:UInt64} AND rows > 0 AND topic IN {topics:Array(String)}
    ORDER BY round LIMIT {held:UInt64}
)
ORDER BY round, topic, partition
"""


class Looked(NamedTuple):
    """The ranges of one round. mended: the places that lacked rows; gone: ranges that the log does not hold any more."""

    number: int
    shares: tuple[Share, ...]
    mended: tuple[str, ...]
    gone: tuple[Share, ...]


def repair(
    log: Log,
    tables: Tables,
    delivery: Delivery,
    topics: Sequence[str],
    *,
    sink: str,
    stamp: str,
    refusable: Collection[str] = (),
) -> Iterator[Looked]:
    """Look at every round, and mend it. stamp: of this repair, in its tokens; no other has or had it. refusable: as a writer's.

    Raises PartitionStopped when the log is not the one of the commits, Halted when a range of it changed, when the store
    holds other content or does not keep what it acknowledges; StoreUnavailable, StatementRefused, and what the log raises.
    """
    for error in delivery.assign(topics).stopped:
        raise error
    marks = log.watermarks(topics)
    for number, shares, first_version in _rounds(tables, sink, topics):
        there = tuple(each for each in shares if each.first >= marks[each.topic, each.partition].low)
        gone = tuple(each for each in shares if each not in there)
        if there:
            batch = delivery.load(there)
            _check(log, number, there, batch, first_version=first_version)
            round_ = _Round(number, f"{sink}:{number}:repair:{stamp}", refusable)
            mended = _mended(delivery, tables, batch, round_)
        else:
            mended = ()
        yield Looked(number, there, mended, gone)


def _rounds(tables: Tables, sink: str, topics: Sequence[str]) -> Iterator[tuple[int, list[Share], bool]]:
    """Every round: its number, its shares, and whether their checksums are of the hash's first version."""
    after = 0
    asked = {"sink": sink, "topics": list(topics), "held": ROUNDS_HELD}
    while rows := tables.query_rows(_COMMITTED, {**asked, "after": after}).rows:
        for number, of_round in groupby(rows, key=lambda row: int(row[0])):
            told = list(of_round)
            yield number, [Share(*row[1:7]) for row in told], any(row[7] < SHAPED_FROM_CODE for row in told)
        after = int(rows[-1][0])


def _check(log: Log, number: int, shares: tuple[Share, ...], batch: Batch, *, first_version: bool) -> None:
    """The log must hold what was committed. Raises Halted."""
    was = sorted(batch.shares)
    if first_version:
        was = [each._replace(checksum=_first_checksum(log, each)) for each in was]
    if was != sorted(shares):
        detail = f"expected {', '.join(map(repr, shares))}, was {', '.join(map(repr, was))}"
        raise Halted("intent_content_mismatch", number, detail)


def _first_checksum(log: Log, share: Share) -> int:
    partition = (share.topic, share.partition)
    (part,) = read_ranges(log, {partition: share.first}, {partition: share.next})
    made = headers(part.headers)
    return total(row_hashes(part.offsets, part.timestamps_ms, part.keys, made, part.values, first_version=True))


class _Round(NamedTuple):
    """What to call its inserts, and the tables of which all rows may be refused."""

    number: int
    named: str
    refusable: Collection[str]


def _mended(delivery: Delivery, tables: Tables, batch: Batch, of: _Round) -> tuple[str, ...]:
    """The places that lacked rows and have them now; a row that is refused again is in `dead` and does not count."""
    (number, named, refusable), shares, whole = of, batch.shares, batch
    written = read(tables).written
    if not (counts := _lacking(delivery, batch, number, placed(batch.built.tables, written))):
        return ()
    brought, lacking = set[str](), counts
    tokens = {place: token(named, place, shares, 0) for place in lacking}
    while isinstance(event := delivery.execute(Insert(tokens, lacking=True), batch), RowsRefused):
        batch, said = delivery.sift(Sift(event.place, tokens[event.place]), batch)
        check_refused(number, event.place, said, refusable, number)
        lacking = _lacking(delivery, batch, number, placed(batch.built.tables, written))
        brought |= lacking.keys() - counts.keys()  # rows of `dead`, which the log does not have
        if not lacking:
            break
        tokens = {place: token(f"{named}:{said.mark}", place, shares, 0) for place in lacking}
    if lacking and (still := _lacking(delivery, batch, number, [*lacking])):
        raise Halted("rows_do_not_stay", number, f"{', '.join(still)} lost them: {', '.join(map(str, shares))}")
    if batch is not whole:  # of what was lacking, the refused rows still are
        left = _lacking(delivery, whole, number, [*counts])
        return tuple(sorted(brought | {place for place, count in counts.items() if left.get(place, 0) < count}))
    return tuple(sorted(counts))


def _lacking(delivery: Delivery, batch: Batch, number: int, places: Sequence[str]) -> dict[str, int]:
    """The places that lack rows of the batch, and how many."""
    found = delivery.look(batch, places)
    if found.altered is not None:
        raise Halted("content_mismatch", number, found.altered)
    return found.counts
