"""The fold's states: RocksDB folders that Faust opens and recovers, written here a round at a time.

Faust's own way (`table[key] = value`) sends each state through a chain of futures and its Python producer, at some 200
microseconds each. Here the changelog goes through the worker's appender, the folder takes one write per round, and
Faust keeps what it is good at: opening, closing and recovering the folders as partitions come and go. What this leans on
in Faust 0.15.3 (pinned exactly): the store's `_db_for_partition` and `offset_key`, and that recovery reads the changelog
behind the offset that stands there.
"""

from typing import Any

import rocksdict

from stream_processors.stages import Pairs
from topics.log import Appender


class StateTable:
    """table: a Faust table on RocksDB. changelog: its topic."""

    def __init__(self, table: Any, appender: Appender, changelog: str) -> None:
        self._table = table
        self._appender = appender
        self._changelog = changelog
        self._unconfirmed: set[int] = set()
        self._options = rocksdict.WriteOptions()
        # No write-ahead log: a folder that was not closed in order is thrown away (see `app.run`). The offset goes the
        # same way as the states before it, so that whatever of both reaches the disk, it never says too much.
        self._options.disable_wal = True  # type: ignore[method-assign, assignment]  # its stub takes it for a method

    def load(self, number: int, key: str) -> bytes | None:
        """The stored state under `key` of a partition number."""
        value: bytes | None = self._folder(number).get(key.encode())
        return value

    def append(self, number: int, pairs: Pairs) -> None:
        """Queue states for the changelog, in their order, and write them into the folder."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in pairs:
            self._appender.append(self._changelog, value, key=key, partition=number)
            batch.put(key, value)
        self._folder(number).write(batch, self._options)
        self._unconfirmed.add(number)

    def confirmed(self) -> None:
        """All that was appended is on the log: recovery need not read it again."""
        for number in self._unconfirmed:
            offset = self._appender.stored[self._changelog, number]
            self._folder(number).put(self._table.data.offset_key, b"%d" % offset, self._options)
        self._unconfirmed.clear()

    def _folder(self, number: int) -> Any:
        return self._table.data._db_for_partition(number)  # noqa: SLF001  # see above
