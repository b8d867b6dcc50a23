"""A sink that stopped says which command comes next: it is run here as it was printed, and does what was said."""

import contextlib
import re
import shlex
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from changed_log import ChangedLog
from sink_rig import NOW_NS, RAW, Journal, Running, chain, fill, killed_at, writer
from typer.testing import CliRunner

from sinks import assignment, protocol
from sinks.assignment import PartitionStopped, StopReason
from sinks.migrate import migrate
from sinks.protocol import Halted, HaltReason
from sinks.tables import Tables
from tapefold import cli_audit, query, stores, wiring
from tapefold.cli import app
from tapefold.local.store.process import LocalStore
from topics.errors import Refused

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"


@pytest.fixture
def log(tables: Tables) -> ChangedLog:
    """Eight records of two partitions, which a sink has written."""
    memory = ChangedLog()
    memory.create({RAW: {}}, 2)
    fill(memory, 8)
    with Running(writer(memory, tables, topics=[RAW])) as running:
        running.drained()
    return memory


@pytest.fixture
def run(
    tables: Tables, log: ChangedLog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], tuple[int, str]]:
    """Run a command line as printed, on this log and this store; its exit code and what it says."""

    @contextlib.contextmanager
    def opened(*_: object) -> Iterator[Any]:
        yield tables

    @contextlib.contextmanager
    def opened_log(*_: object) -> Iterator[Any]:
        yield log

    monkeypatch.setattr(wiring, "open_log", lambda *_: log)
    monkeypatch.setattr(stores, "open_tables", lambda *_: tables)
    monkeypatch.setattr(query, "opened_tables", opened)
    monkeypatch.setattr(cli_audit, "_opened_log", opened_log)

    def command(line: str) -> tuple[int, str]:
        first, *words = shlex.split(line)
        assert "tapefold" == first
        result = CliRunner().invoke(app, [*words, "--state-dir", str(tmp_path)], catch_exceptions=False)
        return result.exit_code, result.stdout

    return command


def stopped(log: ChangedLog, tables: Tables) -> Refused:
    """The error that ends a writer."""
    with pytest.raises((PartitionStopped, Halted)) as caught:
        writer(log, tables, topics=[RAW]).run(threading.Event())
    return caught.value


def printed(error: Refused | str) -> str:
    """The command that an error names."""
    (command,) = re.findall(r"`(tapefold [^`]+)`", str(error))
    return str(command)


def goes_on(log: ChangedLog, tables: Tables) -> None:
    """A writer brings what is new."""
    fill(log, 2, 100)
    with Running(writer(log, tables, topics=[RAW])) as running:
        running.drained()


class Told(Journal):
    """Keeps what the sink says of partitions that stop."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []

    def warning(self, event: str, **fields: object) -> None:
        """Remember the error."""
        super().warning(event)
        self.errors.append(str(fields.get("error")))


def test_records_that_retention_took_are_given_up(tables: Tables, log: ChangedLog, run: Any) -> None:
    """Partition by partition, as each start names it; then the sink goes on, and the audit is content."""
    fill(log, 8, 8)
    log.low = 6
    error = stopped(log, tables)
    told = f"{RAW}-{{}}: offsets [4,6) are given up; start the sink again\n"
    assert (0, told.format(0)) == run(printed(error))
    with pytest.raises(Refused, match="nothing to accept"):
        run(printed(error))
    journal = Told()
    with Running(writer(log, tables, journal, topics=[RAW])) as running:
        running.until(lambda: running.sink.positions().get((RAW, 0)) == 8)
    (other,) = journal.errors
    assert other.startswith(f"offset_below_low_watermark: {RAW}-1 at 4")
    assert (0, told.format(1)) == run(printed(other))
    goes_on(log, tables)
    assert 0 == run("tapefold audit contiguity --full")[0]


def _truncated(log: ChangedLog) -> None:
    for partition in log._partitions[RAW]:
        partition.pop()


def _cut_and_grown(log: ChangedLog) -> None:
    _truncated(log)
    fill(log, 8, 100)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_truncated, ("offset_above_high_watermark", "log_truncated")),
        (_cut_and_grown, ("tail_fingerprint_mismatch", "log_altered")),
    ],
)
def test_an_audit_says_what_is_wrong_with_a_log_that_was_cut(
    tables: Tables, log: ChangedLog, run: Any, change: Any, words: tuple[str, str]
) -> None:
    """It names the ranges; when they are restored the sink goes on, and nothing was lost."""
    before = [list(partition) for partition in log._partitions[RAW]]
    change(log)
    error = stopped(log, tables)
    reason, problem = words
    assert str(error).startswith(reason)
    code, said = run(printed(error))
    assert 1 == code
    assert f"{problem}: {RAW}-0-[0,4)" in said
    log._partitions[RAW][:] = before
    goes_on(log, tables)
    assert 0 == run(printed(error))[0]


@pytest.mark.parametrize("ids", [{"cluster": "c2"}, {"topic_id": "id2"}], ids=str)
def test_a_store_of_its_own_takes_another_log(
    log: ChangedLog, tables: Tables, tmp_path: Path, ids: dict[str, str]
) -> None:
    """As the message says: the same log against a new store begins there, and the first store with the first log goes on."""
    vars(log).update(ids)
    error = stopped(log, tables)
    assert "CLICKHOUSE_URL" in str(error)
    with LocalStore(tmp_path) as store:
        new = Tables(store.address.url)
        migrate(new, MIGRATIONS, lambda: NOW_NS)
        goes_on(log, new)
        assert [(0, 5), (0, 5)] == [(commits[0][0], commits[-1][1]) for commits in chain(new)]
        new.close()
    for name in ids:
        delattr(log, name)
    goes_on(log, tables)


def test_a_wrong_row_is_deleted_as_the_message_says(tables: Tables, log: ChangedLog) -> None:
    """It names the row; without it the round is finished."""
    fill(log, 8, 8)
    killed_at("sink.after_insert", log, tables, topics=[RAW])
    tables.command(
        "ALTER TABLE tapefold.raw_records UPDATE value = 'x' WHERE _partition = 1 AND _offset = 6"
        " SETTINGS mutations_sync = 2"
    )
    error = stopped(log, tables)
    found = re.match(r"content_mismatch: round 2: (\S+)-(\d+) offset (\d+): .*; .*`(ALTER TABLE [^`]+)`", str(error))
    assert found, str(error)
    topic, partition, offset, statement = found.groups()
    for word, value in (("TOPIC", topic), ("PARTITION", partition), ("OFFSET", offset)):
        statement = statement.replace(f"'{word}'" if word == "TOPIC" else word, f"'{value}'")
    tables.command(f"{statement} SETTINGS mutations_sync = 2")
    goes_on(log, tables)


def test_every_error_has_a_next_step() -> None:
    """And every command that one names exists."""
    assert set(get_args(StopReason)) == assignment._REMEDY.keys()
    assert set(get_args(HaltReason)) == protocol._REMEDY.keys()
    texts = [*assignment._REMEDY.values(), *protocol._REMEDY.values()]
    for line in {line for text in texts for line in re.findall(r"`tapefold ([^`]+)`", text)}:
        words = [word for word in shlex.split(line) if not word.startswith("{") and word.isascii()]
        command = [word for word in words[:2] if re.fullmatch(r"[a-z-]+", word)]
        assert 0 == CliRunner().invoke(app, [*command, "--help"]).exit_code, line
