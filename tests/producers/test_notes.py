"""A file that a producer must find again is whole, the old or the new one."""

import os

import pytest

from producers import notes


def test_a_file_is_replaced_as_a_whole(tmp_path):
    """Its folder is made; nothing else is left there."""
    path = tmp_path / "a" / "note.json"
    for content in (b"one", b"two"):
        notes.replace(path, content)
        assert content == path.read_bytes()
    assert [path] == list(path.parent.iterdir())


def test_who_dies_on_the_way_leaves_the_old_one(tmp_path, monkeypatch):
    """Under its name stands what was on the disk before."""
    path = tmp_path / "note.json"
    notes.replace(path, b"old")

    def dies(_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", dies)
    with pytest.raises(OSError, match="no space"):
        notes.replace(path, b"new")
    assert b"old" == path.read_bytes()
