"""Beats of the raw topics -> rows of `beat_log`. Pure.

A beat that nobody can read is no beat: `ingest` refuses it to `dead`, with its place; here it is left out.
"""

from collections.abc import Iterable

import msgspec
import pyarrow as pa

from sinks import columns
from topics.catalog import H_KIND, H_RECEIVED_NS
from topics.codec import decode_beat_notice
from topics.events import BeatNotice
from topics.log import Record

BEAT_LOG = "beat_log"
_INT64_MAX = 2**63 - 1


def beat_tables(records: Iterable[Record]) -> dict[str, pa.Table]:
    """The rows of the beats among raw records, if there are any. A beat is known when its producer stamped it."""
    beats: list[tuple[BeatNotice, int, Record]] = []
    for record in records:
        headers = dict(record.headers)
        stamp = headers.get(H_RECEIVED_NS, b"")
        if headers.get(H_KIND) != b"beat" or not stamp.isdigit() or int(stamp) > _INT64_MAX:
            continue
        try:
            notice = decode_beat_notice(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if 0 <= notice.clock_ns <= _INT64_MAX and 0 <= notice.lease_ns <= _INT64_MAX:
            beats.append((notice, int(stamp), record))
    if not beats:
        return {}
    table = pa.table(
        {
            "source": columns.labels([notice.source for notice, _, _ in beats]),
            "conn": columns.labels([notice.conn for notice, _, _ in beats]),
            "clock_at": columns.time_ns([notice.clock_ns for notice, _, _ in beats]),
            "lease_ns": columns.int64([notice.lease_ns for notice, _, _ in beats]),
            "bye": columns.flag([notice.bye for notice, _, _ in beats]),
            "known_at": columns.time_ns([known_ns for _, known_ns, _ in beats]),
            "_topic": columns.labels([record.topic for _, _, record in beats]),
            "_partition": columns.uint32([record.partition for _, _, record in beats]),
            "_offset": columns.uint64([record.offset for _, _, record in beats]),
        }
    )
    return {BEAT_LOG: table}
