"""Dead letters of `raw.webhook`, brought before the parser again: after a fix, or a decision about a conflict.

A record that is accepted now is appended once more with the same bytes and stamps, and says which record it repeats.
It meets its own earlier facts under the same identity, so that redriving twice changes nothing. What would be refused
again is left alone, and so is what was redriven before, unless it is asked for.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple

from stream_processors.registry import PARSERS, Told
from topics.catalog import DEAD, RAW_WEBHOOK
from topics.codec import decode_dead
from topics.errors import BadRecord
from topics.events import Cause
from topics.log import Appender, Log, Record, stretches_between
from topics.webhook import H_CONFLICT, H_REDRIVE_OF, H_WEBHOOK_ID

REDRIVES_MAX = 3  # of one record: a loop of refusals must end
_FLUSH_S = 30.0

Verdict = Literal["accepted now", "refused again", "redriven before", "was itself redriven", "too many redrives"]
Place = tuple[int, int]  # partition and offset in raw.webhook


class Letter(NamedTuple):
    """One dead record. refused: why it is in `dead`. now: what the parser says today, where that is another matter."""

    place: Place
    webhook_id: str
    refused: str
    verdict: Verdict
    now: str | None
    record: Record


def letters(log: Log, *, reason: str | None, accept_conflicts: bool, again: bool) -> Iterator[Letter]:
    """Every dead record of the topic, with what a redrive would do. Changes nothing. Raises Unavailable."""
    refused: dict[Place, str] = {}
    for record in _read(log, DEAD, {}):
        row = decode_dead(record.value)
        if row.cause.topic == RAW_WEBHOOK and reason in {None, row.reason}:
            refused[row.cause.partition, row.cause.offset] = row.reason
    starts = {number: min(offset for part, offset in refused if part == number) for number, _ in refused}
    found: dict[Place, Record] = {}
    repeats: Counter[str] = Counter()
    for record in _read(log, RAW_WEBHOOK, starts) if starts else ():
        if (record.partition, record.offset) in refused:
            found[record.partition, record.offset] = record
        for name, value in record.headers:
            if name == H_REDRIVE_OF:
                repeats[value.decode("ascii", "replace")] += 1
    for place, record in sorted(found.items()):
        yield _judged(place, record, refused[place], repeats, accept_conflicts=accept_conflicts, again=again)


def redrive(appender: Appender, chosen: list[Letter]) -> None:
    """Append the accepted ones once more; all are stored when this returns. Raises Undelivered."""
    for letter in chosen:
        partition, offset = letter.place
        appender.append(
            RAW_WEBHOOK,
            letter.record.value,
            partition=partition,  # behind the first one
            key=letter.record.key,
            headers=[
                *((name, value) for name, value in letter.record.headers if name != H_CONFLICT),
                (H_REDRIVE_OF, b"%d/%d" % (partition, offset)),
            ],
            timestamp_ms=letter.record.timestamp_ms,
        )
    appender.flush(_FLUSH_S)


def _judged(
    place: Place, record: Record, refused: str, repeats: Counter[str], *, accept_conflicts: bool, again: bool
) -> Letter:
    headers = dict(record.headers)
    webhook_id = headers.get(H_WEBHOOK_ID, b"").decode("ascii", "replace")
    before = repeats[f"{place[0]}/{place[1]}"]
    if accept_conflicts:
        headers.pop(H_CONFLICT, None)
    verdict: Verdict = "accepted now"
    now = None
    if H_REDRIVE_OF in headers:
        verdict = "was itself redriven"
    elif before >= REDRIVES_MAX:
        verdict = "too many redrives"
    elif before and not again:
        verdict = "redriven before"
    else:
        now = _refusal(record, headers, place)
        verdict = "accepted now" if now is None else "refused again"
    return Letter(place, webhook_id, refused, verdict, now, record)


def _refusal(record: Record, headers: dict[str, bytes], place: Place) -> str | None:
    try:
        told = list(PARSERS[RAW_WEBHOOK](record, headers, Cause(RAW_WEBHOOK, *place)))
    except BadRecord as error:
        return str(error)
    assert all(isinstance(one, Told) for one in told)
    return None


def _read(log: Log, topic: str, starts: dict[int, int]) -> Iterator[Record]:
    """All records of a topic, or of those partitions that have a start, up to its present end."""
    marks = log.watermarks([topic])
    wanted = {tp: max(starts.get(tp[1], 0), mark.low) for tp, mark in marks.items() if not starts or tp[1] in starts}
    for stretch in stretches_between(log, wanted, {tp: marks[tp].high for tp in wanted}):
        yield from stretch.records()
