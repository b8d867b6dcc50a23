"""`tapefold up` as a user runs it, and its tables against the straight computation."""

import contextlib
import gzip
import heapq
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from straight import Expected, straight

from sinks.tables import Tables
from tapefold.query import opened_tables
from tapefold.settings import load_settings

BARS = (
    "SELECT market_ticker, toUnixTimestamp(minute) DIV 60, open, high, low, close, volume, trades, yes_bid, yes_ask,"
    " closed FROM tapefold_api.bars_1m"
)
FINAL_BOOKS = (
    "SELECT market_ticker, argMax(tuple(yes_bid, yes_ask), seq) FROM tapefold_api.books"
    " WHERE conn = (SELECT argMax(conn, _offset) FROM tapefold.books) GROUP BY market_ticker"
)
CONTENT_HASHES = (
    "SELECT (SELECT groupBitXor(cityHash64(toString(tuple(* EXCEPT (cause_offset, cause_partition, conn)))))"
    " FROM tapefold_api.trades), (SELECT groupBitXor(cityHash64(toString(tuple(*)))) FROM tapefold_api.bars_1m)"
)


def run_up(frames: Path, state_dir: Path, *flags: str, timeout_s: float = 150, **environment: str) -> str:
    """`tapefold up --frames .. --speed max --once`; returns what it printed, fails with it on another exit code."""
    process = start_up(frames, state_dir, *flags, **environment)
    output, _ = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, output + _logs(state_dir)
    return output


def start_up(frames: Path, state_dir: Path, *flags: str, **environment: str) -> "subprocess.Popen[str]":
    """The same, still running."""
    command = [sys.executable, "-m", "tapefold", "up", "--frames", str(frames), "--speed", "max", "--once"]
    return subprocess.Popen(
        [*command, "--state-dir", str(state_dir), *flags],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def simulated(*arguments: str, last: str) -> Iterator[dict[str, str]]:
    """`tapefold simulate ..` as a process; yields the variables that it prints. last: the one that it prints last."""
    command = [sys.executable, "-u", "-m", "tapefold", "simulate", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            variables: dict[str, str] = {}
            while last not in variables:
                name, _, value = process.stdout.readline().strip().partition("=")
                assert name, f"ended with code {process.poll()} before it printed {last}"
                variables[name] = value
            yield variables
        finally:
            process.send_signal(signal.SIGINT)


def kill_all(process: "subprocess.Popen[str]") -> None:
    """Kill -9 a stack, all of its processes at once."""
    for member in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just died by itself
            member.kill()
    process.communicate()


def _logs(state_dir: Path) -> str:
    return "".join(f"\n--- {path.name}\n{path.read_text()[-2000:]}" for path in (state_dir / "logs").glob("*.log"))


def frames_of(path: Path) -> Iterator[dict[str, Any]]:
    """All frames of a recording in the order of their receipt."""
    files = sorted(path.rglob("*.ndjson*")) if path.is_dir() else [path]

    def lines(number: int, file: Path) -> Iterator[tuple[int, int, int, dict[str, Any]]]:
        with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as text:
            for line, content in enumerate(text):
                wrapped = json.loads(content)
                yield wrapped["recv_ms"], number, line, wrapped["event"]

    for *_, frame in heapq.merge(*(lines(number, file) for number, file in enumerate(files))):
        yield frame


def differences(state_dir: Path, frames: Path) -> list[str]:
    """All in which the tables differ from what the frames say; empty when nothing does."""
    expected = straight(frames_of(frames))
    with opened_tables(load_settings(), state_dir) as tables:
        return [*_trades(tables, expected), *_bars(tables, expected), *_books(tables, expected)]


def _trades(tables: Tables, expected: Expected) -> Iterator[str]:
    rows = tables.query_rows("SELECT trade_id, yes_price, size FROM tapefold_api.trades").rows
    found = {row[0]: f"{row[1]:.4f} {row[2]:.2f}" for row in rows}
    wanted = {key: f"{trade['yes_price_dollars']} {trade['count_fp']}" for key, trade in expected.trades.items()}
    if len(rows) != len(found):
        yield f"trades: {len(rows) - len(found)} ids stand more than once"
    if wanted != found:
        yield f"trades: {sorted(wanted.items() ^ found.items())[:4]}"


def _bars(tables: Tables, expected: Expected) -> Iterator[str]:
    rows = {(row[0], row[1]): row[2:] for row in tables.query_rows(BARS).rows}
    for key in expected.minutes() - rows.keys():
        yield f"bar {key} is missing"
    for (market, minute), (*content, bid, ask, closed) in rows.items():
        wanted = expected.bars.get((market, minute), (None, None, None, None, 0, 0))
        if tuple(content) != wanted:
            yield f"bar {market} {minute}: expected {wanted}, was {content}"
        if (bid, ask) != expected.quote(market, minute):
            yield f"quote {market} {minute}: expected {expected.quote(market, minute)}, was {(bid, ask)}"
        if not closed:
            yield f"bar {market} {minute} is not closed"


def _books(tables: Tables, expected: Expected) -> Iterator[str]:
    found = {row[0]: tuple(row[1]) for row in tables.query_rows(FINAL_BOOKS).rows}
    if found != expected.best:
        yield f"final books: {sorted(expected.best.items() ^ found.items(), key=str)[:4]}"


def ask(state_dir: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of one query."""
    with opened_tables(load_settings(), state_dir) as tables:
        return [tuple(row) for row in tables.query_rows(sql).rows]
