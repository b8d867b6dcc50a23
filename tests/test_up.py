"""The main job as a user runs it: a recording through the real protocol, log, agents and store."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from stack import CONTENT_HASHES, ask, differences, run_up, simulated

from sinks.tables import StatementRefused, StoreUnavailable
from tapefold.local.errors import LocalError
from tapefold.local.state import STEP_BACK_NICE
from tapefold.simulators.kalshi.world import made_up_lines
from topics.errors import TapefoldError

WORLD_FRAMES = 6_000


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """A made-up recording of three weather markets, with books, tickers and lifecycle."""
    path = tmp_path_factory.mktemp("frames") / "world.ndjson"
    path.write_bytes(b"\n".join(made_up_lines(seed=3, frames=WORLD_FRAMES)))
    return path


def counts(state_dir):
    """(gaps, dead, raw records, physical raw records)."""
    return ask(
        state_dir,
        "SELECT (SELECT count() FROM tapefold_api.gaps), (SELECT count() FROM tapefold_api.dead),"
        " (SELECT count() FROM tapefold_api.raw_records), (SELECT count() FROM tapefold.raw_records)",
    )[0]


def test_a_recording_comes_out_as_the_rows_that_it_means_and_a_second_run_changes_none(frames, tmp_path):
    """Trades, bars, quotes and final books equal a straight computation; the same frames again only grow bronze."""
    run_up(frames, tmp_path)
    assert [] == differences(tmp_path, frames)
    gaps, dead, raw, physical = counts(tmp_path)
    assert (0, 0, raw) == (gaps, dead, physical)
    before = ask(tmp_path, CONTENT_HASHES)
    run_up(frames, tmp_path)
    assert before == ask(tmp_path, CONTENT_HASHES)
    assert counts(tmp_path)[2] > raw


def test_a_hole_in_the_sequence_is_a_row_that_says_when_it_was_mended(frames, tmp_path):
    """One frame dropped on each numbered subscription: gap rows with its number; the book's is repaired."""
    run_up(frames, tmp_path, "--drop-seq", "500")
    rows = ask(
        tmp_path,
        "SELECT DISTINCT channel, kind, from_seq, to_seq, repaired_at IS NOT NULL FROM tapefold_api.gaps ORDER BY 1",
    )
    assert ("orderbook_delta", "seq_hole", 500, 500, True) in rows
    assert {("seq_hole", 500, 500)} == {row[1:4] for row in rows}
    assert [(0,)] == ask(tmp_path, "SELECT count() FROM tapefold_api.dead")


def test_duplicated_frames_leave_no_trace_but_in_bronze(frames, tmp_path):
    """Every third frame twice: the same rows, and more raw records."""
    run_up(frames, tmp_path, "--duplicate", "0.3")
    assert [] == differences(tmp_path, frames)
    assert (0, 0) == counts(tmp_path)[:2]


def test_cut_connections_are_gaps_and_end_nothing(frames, tmp_path):
    """A cut every 1,500 frames: each is a gap of each market and channel, the book's is repaired, no quote is invented."""
    run_up(frames, tmp_path, "--disconnect-every", "1500")
    ((kind, connections),) = ask(tmp_path, "SELECT kind, uniqExact(conn) FROM tapefold_api.gaps GROUP BY kind")
    assert ("disconnect", True) == (kind, connections >= WORLD_FRAMES // 1500 - 1)
    open_gaps = (
        "SELECT count() FROM tapefold_api.gaps WHERE channel = 'orderbook_delta' AND repaired_at IS NULL"
        " AND noticed_at < (SELECT max(noticed_at) FROM tapefold_api.gaps)"
    )
    assert [(0,)] == ask(tmp_path, open_gaps)
    assert [(0,)] == ask(tmp_path, "SELECT count() FROM tapefold_api.dead")


def test_a_silent_connection_is_left_and_told(frames, tmp_path):
    """Silence longer than the heartbeat deadline is a gap of kind stall; a shorter one leaves no trace."""
    run_up(frames, tmp_path / "long", "--stall", "8", WS_HEARTBEAT_SECONDS="2")
    assert {("stall",)} == set(ask(tmp_path / "long", "SELECT kind FROM tapefold_api.gaps"))
    run_up(frames, tmp_path / "short", "--stall", "2", WS_HEARTBEAT_SECONDS="12")
    assert [] == differences(tmp_path / "short", frames)
    assert (0, 0) == counts(tmp_path / "short")[:2]


def test_sql_answers_in_every_format_while_nothing_runs(frames, tmp_path):
    """A table for people, JSON, CSV and Arrow for programs; an error keeps ClickHouse's words and exits non-zero."""
    run_up(frames, tmp_path)

    def sql(*arguments):
        command = [sys.executable, "-m", "tapefold", "sql", "--state-dir", str(tmp_path), *arguments]
        return subprocess.run(command, capture_output=True, check=False)

    query = "SELECT count() AS n, toDecimal64('0.10', 2) AS price FROM tapefold_api.trades"
    trades = ask(tmp_path, "SELECT count() FROM tapefold_api.trades")[0][0]
    assert [{"n": trades, "price": "0.1"}] == json.loads(sql("--format", "json", query).stdout)
    assert f'"n","price"\n{trades},0.1\n'.encode() == sql("--format", "csv", query).stdout
    pyarrow = pytest.importorskip("pyarrow")
    assert trades == pyarrow.ipc.open_stream(sql("--format", "arrow", query).stdout).read_all()["n"][0].as_py()
    assert str(trades).encode() in sql(query).stdout
    wrong = sql("SELECT nope")
    assert 0 != wrong.returncode
    assert b"UNKNOWN_IDENTIFIER" in wrong.stderr


def test_recorded_production_frames_come_out_right(recordings, tmp_path):
    """Three windows of real frames, a hundred thousand of them."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, window in enumerate(sorted(recordings.glob("events/*"))[:3]):
        for file in window.iterdir():
            (folder / f"{number}-{file.name}").symlink_to(file)
    run_up(folder, tmp_path / "state")
    assert [] == differences(tmp_path / "state", folder)
    assert (0, 0) == counts(tmp_path / "state")[:2]


NOT_YET = (TapefoldError, LocalError, StoreUnavailable, StatementRefused)  # the store is not up, or not migrated


def nice(stack):
    """The scheduling weight of each service: rows can wait for frames, not the other way round."""
    found = {}
    for process in psutil.Process(stack.pid).children():
        words = process.cmdline()
        name = (
            "store" if "tapefold.local.store" in words else words[4] if words[1:4] == ["-m", "tapefold", "run"] else ""
        )
        if name:
            found[name] = process.nice()
    return found


def test_every_configured_source_is_recorded_beside_the_others(tmp_path):
    """Forecasts, climate reports and bars of two upstreams come to their tables; Ctrl-C ends all in order."""
    looks = {
        "forecasts": "SELECT count() > 0 FROM tapefold_api.forecasts",
        "bars": "SELECT count() > 0 FROM tapefold_api.raw_tws_bars",
        "dead": "SELECT count() = 0 FROM tapefold_api.dead",
    }
    with (
        simulated("iem", "--make-up", "KMIA", last="IEM_TAPE") as iem,
        simulated("tws", "--make-up", "AAPL", "--days", "1", last="TWS_SYMBOLS") as tws,
    ):
        environment = {**os.environ, **iem, **tws, "IEM_MODELS": "GFS", "IEM_MIN_INTERVAL_SECONDS": "0.05"}
        command = [sys.executable, "-m", "tapefold", "up", "--state-dir", str(tmp_path)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as stack:
            try:
                deadline = time.monotonic() + 120
                missing = set(looks)
                while missing and time.monotonic() < deadline:
                    time.sleep(2)
                    with contextlib.suppress(*NOT_YET):
                        missing = {name for name in missing if ask(tmp_path, looks[name]) != [(1,)]}
                assert set() == missing
                ours = psutil.Process().nice()
                behind = dict.fromkeys(("sink", "store"), max(ours, STEP_BACK_NICE))
                assert behind | dict.fromkeys(("fold", "ingest", "iem", "tws"), ours) == nice(stack)
            finally:
                stack.send_signal(signal.SIGINT)
            output, _ = stack.communicate(timeout=60)
    assert 0 == stack.returncode, output
