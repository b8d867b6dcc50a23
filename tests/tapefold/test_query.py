"""A question finds the store that runs, also one that came up while the question was asked."""

from tapefold.local.store import process
from tapefold.query import opened_tables
from tapefold.settings import load_settings


def test_a_store_that_came_up_meanwhile_is_asked_and_left_running(tmp_path, monkeypatch):
    """The stack's store is seen as not running, then the folder is found locked: the answer comes from it all the same."""
    running = process.running
    looks = []

    def late(state_dir):
        looks.append(state_dir)
        return None if len(looks) == 1 else running(state_dir)

    monkeypatch.setattr(process, "running", late)
    monkeypatch.setattr(process, "_LOCK_WAIT_S", 0.1)
    with process.LocalStore(tmp_path) as store:
        with opened_tables(load_settings(), tmp_path) as tables:
            assert [(1,)] == [tuple(row) for row in tables.query_rows("SELECT 1").rows]
        store.check()
    assert 1 < len(looks)
