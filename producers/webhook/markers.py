"""Markers: which events were stored, so that a repeat is answered and not stored again.

The log is the truth: a raw record's headers say which event it holds, so record and marker are one write. What stands
here is a cache of the log in SQLite. A crash loses at most the cache's last second: the next start reads on from the
latest record of each partition that it knows. If the log no longer has that record there, or the cache is gone or
damaged, it is built anew from the records of the last horizon.
"""

import contextlib
import itertools
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from producers.webhook.content import DIGEST_BYTES
from topics.catalog import H_RECEIVED_NS, RAW_WEBHOOK
from topics.log import Log, Record, Stretch, TopicPartition, stretches_between
from topics.units import NS_PER_MS
from topics.webhook import H_CONTENT, H_PROVIDER, H_WEBHOOK_ID

FILE = "markers.sqlite"
_EVICT_ROWS_MAX = 10_000  # a second: faster than any sender adds, and too few to be felt
_SCHEMA = """
CREATE TABLE IF NOT EXISTS markers (
    provider TEXT NOT NULL, event_id TEXT NOT NULL, content BLOB NOT NULL,
    received_ns INTEGER NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
    PRIMARY KEY (provider, event_id, content)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS markers_by_time ON markers (received_ns);
CREATE INDEX IF NOT EXISTS markers_by_place ON markers (partition, offset);
"""


class Marker(NamedTuple):
    """One event as it stands on the log: in the record at (partition, offset) of `raw.webhook`."""

    provider: str
    event_id: str
    content: bytes
    received_ns: int
    partition: int
    offset: int


class Markers:
    """The cache. One thread at a time; `commit` makes what was added visible to other processes, and durable."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / FILE
        try:
            self._db = self._open()
        except sqlite3.DatabaseError:  # damaged, by a full disk for example: the log has it all
            for path in folder.glob(f"{FILE}*"):
                path.unlink()
            self._db = self._open()

    def find(self, provider: str, event_id: str) -> list[Marker]:
        """All that was stored under this id, oldest first: more than one if their contents differ."""
        rows = self._db.execute(
            "SELECT * FROM markers WHERE provider = ? AND event_id = ? ORDER BY received_ns, partition, offset",
            (provider, event_id),
        )
        return [Marker(*row) for row in rows]

    def add(self, marker: Marker) -> None:
        """Mark an event; of several records of one content the first stays its marker."""
        self._db.execute("INSERT OR IGNORE INTO markers VALUES (?, ?, ?, ?, ?, ?)", marker)

    def commit(self, evict_before_ns: int) -> None:
        """Write what was added; forget what is older than the horizon."""
        self._db.execute(
            "DELETE FROM markers WHERE (provider, event_id, content) IN "
            "(SELECT provider, event_id, content FROM markers WHERE received_ns < ? LIMIT ?)",
            (evict_before_ns, _EVICT_ROWS_MAX),
        )
        self._db.commit()

    def catch_up(self, log: Log, since_ns: int) -> int:
        """Take in what the log has beyond this cache; returns how many records were read. Raises Unavailable.

        since_ns: where to begin in a partition of which no record is known.
        """
        marks = log.watermarks([RAW_WEBHOOK])
        ends = {tp: mark.high for tp, mark in marks.items()}
        since = log.offsets_at(RAW_WEBHOOK, since_ns // NS_PER_MS)
        known = self._latest()
        if all(tp in marks and marks[tp].low <= known[tp].offset < marks[tp].high for tp in known):
            starts = {tp: known[tp].offset if tp in known else since[tp] for tp in ends}
            count = self._read(log, starts, ends, known)
            if count is not None:
                return count
        self._db.execute("DELETE FROM markers")
        return self._read(log, since, ends, {}) or 0

    def close(self) -> None:
        """Write and let go."""
        self._db.commit()
        self._db.close()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_SCHEMA)
        return db

    def _latest(self) -> dict[TopicPartition, Marker]:
        rows = self._db.execute(
            "SELECT * FROM markers WHERE (partition, offset) IN (SELECT partition, max(offset) FROM markers GROUP BY 1)"
        )
        return {(RAW_WEBHOOK, row[4]): Marker(*row) for row in rows}

    def _read(
        self,
        log: Log,
        starts: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
        known: Mapping[TopicPartition, Marker],
    ) -> int | None:
        """Add the markers of [starts, ends); None when a known record does not stand where it stood."""
        unproven = dict(known)
        count = 0
        with contextlib.closing(stretches_between(log, starts, ends)) as stretches:
            for record in itertools.chain.from_iterable(map(Stretch.records, stretches)):
                tp = (record.topic, record.partition)
                marker = marker_of(record)
                if tp in unproven and unproven.pop(tp) != marker:
                    return None
                if marker is not None:
                    self.add(marker)
                count += 1
        self._db.commit()
        return count


def marker_of(record: Record) -> Marker | None:
    """The marker that a raw record is; None for a record that no receiver wrote."""
    headers = dict(record.headers)
    provider, event_id, content = (headers.get(name) for name in (H_PROVIDER, H_WEBHOOK_ID, H_CONTENT))
    received = headers.get(H_RECEIVED_NS, b"")
    if provider is None or event_id is None or content is None or not received.isdigit():
        return None
    try:
        digest = bytes.fromhex(content.decode())
        if len(digest) != DIGEST_BYTES:
            return None
        return Marker(provider.decode(), event_id.decode(), digest, int(received), record.partition, record.offset)
    except ValueError:  # not hexadecimal, not text
        return None


def look_up(folder: Path, event_id: str) -> list[Marker] | None:
    """All markers of this id, of whatever provider; None if no receiver has kept any here. The receiver may run."""
    if not (folder / FILE).exists():
        return None
    db = sqlite3.connect(f"file:{folder / FILE}?mode=ro", uri=True)
    try:
        rows = db.execute("SELECT * FROM markers WHERE event_id = ? ORDER BY received_ns", (event_id,)).fetchall()
    finally:
        db.close()
    return [Marker(*row) for row in rows]
