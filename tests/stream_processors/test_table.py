"""States on disk: what a folder that was closed in order holds when it is opened again."""

from types import SimpleNamespace

import rocksdict

from stream_processors.table import StateTable
from topics.log import MemoryLog

OFFSET_KEY = b"__faust\0offset__"
CHANGELOG = "states-changelog"


def opened(path):
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    return rocksdict.Rdict(str(path), options)


def test_states_and_the_offset_that_they_reach_survive_a_close(tmp_path):
    """Nothing goes through a write-ahead log, so closing must write all; the offset is that of the last state."""
    log = MemoryLog()
    log.create({CHANGELOG: {}}, 1)
    folders = {0: opened(tmp_path / "0")}
    data = SimpleNamespace(_db_for_partition=folders.__getitem__, offset_key=OFFSET_KEY)
    appender = log.appender()
    states = StateTable(SimpleNamespace(data=data), appender, CHANGELOG)
    states.append(0, [(b"one", b"1"), (b"two", b"2")])
    assert folders[0].get(OFFSET_KEY) is None
    appender.flush(10)
    states.confirmed()
    assert b"2" == states.load(0, "two")
    folders.clear()
    again = opened(tmp_path / "0")
    assert [b"1", b"2", b"1"] == [again.get(key) for key in (b"one", b"two", OFFSET_KEY)]
