"""`tapefold replay --check` on what `tapefold up` has stored, as a user runs both."""

import subprocess
import sys
from pathlib import Path

import pytest
from stack import run_up

from tapefold import demo
from tapefold.query import opened_tables
from tapefold.settings import load_settings


def replay(state_dir: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "tapefold", "replay", "--state-dir", str(state_dir), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)


@pytest.mark.timeout(400)
def test_live_rows_are_those_of_the_replay_and_a_changed_one_is_named(tmp_path):
    """After cuts of the connection and repeats no row differs; one cent more in one bar is found."""
    flags = ("--disconnect-every", "400", "--duplicate", "0.1", "--seed", "5")
    run_up(demo.FRAMES, tmp_path, *flags)
    equal = replay(tmp_path, "--check")
    assert equal.returncode == 0, equal.stdout + equal.stderr
    assert "0 differing rows" in equal.stdout
    with opened_tables(load_settings(), tmp_path) as tables:
        ((hour,),) = tables.query_rows(
            "SELECT formatDateTime(toStartOfHour(quantileExact(0.5)(received_at)), '%Y-%m-%dT%H:') FROM tapefold_api.trades"
        ).rows
    window = ("--from", f"{hour}10:00Z", "--to", f"{hour}30:00Z")
    played = replay(tmp_path, "--check", *window, "--speed", "600", "--generation", "played")
    assert played.returncode == 0, played.stdout + played.stderr
    assert " at 600x" in played.stdout
    assert "0 differing rows" in played.stdout
    with opened_tables(load_settings(), tmp_path) as tables:
        assert (
            tables.query_rows("SELECT count(), sum(volume) FROM tapefold_gen_played.bars_1m FINAL").rows
            == tables.query_rows("SELECT count(), sum(volume) FROM tapefold_api.bars_1m").rows
        )
    copied = "market_ticker, minute, high, low, close, volume, trades, yes_bid, yes_ask, closed, known_at, known_by, rev, row_id"
    with opened_tables(load_settings(), tmp_path) as tables:
        tables.command(
            f"INSERT INTO tapefold.bars_1m (open, {copied}) SELECT open + 0.01, {copied} FROM tapefold_api.bars_1m"
            " WHERE trades > 0 ORDER BY minute LIMIT 1"
        )
    differs = replay(tmp_path, "--check", "--topics", "facts", "--generation", "kept")
    assert differs.returncode == 1, differs.stdout + differs.stderr
    assert "1 differing rows" in differs.stdout
    assert "  open: live '" in differs.stdout
    with opened_tables(load_settings(), tmp_path) as tables:
        assert (
            tables.query_rows("SELECT count() FROM tapefold_gen_kept.bars_1m FINAL").rows
            == tables.query_rows("SELECT count() FROM tapefold_api.bars_1m").rows
        )
