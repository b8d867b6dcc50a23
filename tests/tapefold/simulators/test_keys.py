"""The simulator's throw-away key."""

# the expected value stands on the left, by the rule of this repo

import stat
from pathlib import Path

import pytest

from tapefold.simulators.kalshi.keys import BadKeyFile, ensure_keypair


def test_the_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    """Mode 0600, kept on the second call; a file that is no such key is named."""
    folder = tmp_path / "state"
    key_id, path, public_key = ensure_keypair(folder)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert (key_id, path, public_key) == ensure_keypair(folder)
    assert [path] == list(folder.iterdir())
    path.write_text("nonsense")
    with pytest.raises(BadKeyFile, match="remove it"):
        ensure_keypair(folder)
