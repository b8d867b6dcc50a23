"""Two runs of history in one folder: each would forget what the other noted."""

import pytest

from tapefold import services, services_iem, wiring
from tapefold.local.errors import FolderLocked
from tapefold.local.state import FolderLock
from tapefold.settings import Settings
from topics.catalog import RAW_IEM_CLI, RAW_IEM_MOS, RAW_KALSHI_WS
from topics.log import MemoryLog

DAY_NS = 86_400 * 10**9
SPAN_NS = (20_000 * DAY_NS, 20_001 * DAY_NS)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Do all of `run iem` but asking; returns the parts that would ask."""
    log, parts = MemoryLog(), []
    log.create({RAW_IEM_MOS: {}, RAW_IEM_CLI: {}, RAW_KALSHI_WS: {}}, 1)
    monkeypatch.setattr(services, "_LOCK_ATTEMPTS", 1)
    monkeypatch.setattr(services_iem.mock, "look_for", lambda *_: None)
    monkeypatch.setattr(wiring, "open_log", lambda *_: log)

    async def poll(found, *_, **__):
        parts.append(found)

    monkeypatch.setattr(services_iem, "_poll", poll)

    def run(span_ns):
        settings = Settings(iem_stations="KNYC", iem_models="GFS")
        services_iem.run_iem(settings, tmp_path, span_ns=span_ns, live=True, until_done=False, again=False)
        return parts[-1]

    return run


def test_a_second_run_of_history_is_refused_by_name(asked, tmp_path):
    """The one that watches alone notes nothing, and goes on beside."""
    with FolderLock(tmp_path / "iem" / "history.wall"):
        with pytest.raises(FolderLocked, match=r"history\.wall is in use by process \d+: stop that process"):
            asked(SPAN_NS)
        assert asked(None).history.next() is None
    parts = asked(SPAN_NS)
    assert (tmp_path / "iem" / "history.wall.json", "memory/raw.iem.mos/raw.iem.cli") == (
        parts.checkpoint,
        parts.log_id,
    )
    assert parts.history.next() is not None
