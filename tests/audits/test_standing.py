"""The standing audits: silent on what is clean, and each leak is found under its own name."""

import json
from pathlib import Path

import pytest
import tape
from leaks import LEAKS, inject, victims
from stored import empty, store
from typer.main import get_command

from sinks.migrate import migrate
from sinks.tables import Tables
from tapefold import standing
from tapefold.cli import app
from topics.errors import Refused

SQL_DIR = Path(__file__).parents[2] / "clickhouse"
NAMES = ("leakage", "completeness", "consistency")


@pytest.fixture
def tables(store_url):
    """A migrated, empty store."""
    opened = Tables(store_url)
    migrate(opened, SQL_DIR / "migrations", lambda: 0)
    empty(opened)
    yield opened
    empty(opened)
    opened.close()


def audit(tables):
    """Findings of all audits."""
    return [finding for name in NAMES for finding in standing.findings(tables, SQL_DIR, name)]


def test_clean_tapes_have_no_findings(tables):
    """Late trades, holes, reconnects and quiet minutes are no faults: nothing is found on any of them."""
    for seed in range(20):
        made = tape.tape(seed, steps=250, tickers=[f"KXCLEAN{seed}-{n}" for n in range(3)])
        store(tables, made.placed(seed * 10**6, f"s{seed}"))
    assert [] == audit(tables)


def test_an_empty_store_has_no_findings(tables):
    """Nothing is not wrong."""
    assert [] == audit(tables)


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.kind)
def test_each_leak_is_found_under_its_name(tables, leak):
    """The row that was changed is named with the kind of its leak, and no other row of its table is."""
    store(tables, tape.tape(7, minutes=6, steps=500))
    chosen = victims(tables, leak, 2, set())
    assert 1 <= len(chosen)
    inject(tables, leak, chosen)
    found = list(standing.findings(tables, SQL_DIR, "leakage"))
    assert set(chosen) == {finding.row_id for finding in found if finding.kind == leak.kind}
    assert set(chosen) == {finding.row_id for finding in found if finding.row_id.startswith(chosen[0][:4])}


def test_a_trade_that_is_told_in_two_minutes_is_named(tables):
    """The fold keeps trades by minute and counts it in both; the facts have it once, where it was known first."""
    made = tape.tape(7, minutes=6, steps=200)
    log = made.logs[0]
    told = next(record for record in log if b'"trade"' in record.value)
    said = json.loads(told.value)
    said["msg"]["ts_ms"] += 60_000
    received = ("received_ns", dict(log[-1].headers)["received_ns"])
    headers = tuple(received if name == "received_ns" else (name, value) for name, value in told.headers)
    log.append(told._replace(offset=len(log), headers=headers, value=json.dumps(said).encode()))
    store(tables, made)
    minute = said["msg"]["ts_ms"] // 60_000
    assert {("bar_counts_what_nobody_told", f"bar:{said['msg']['market_ticker']}:{minute}")} == {
        (finding.kind, finding.row_id) for finding in audit(tables)
    }


def test_an_audit_without_files_is_refused(tmp_path):
    """A wrong folder must not pass for a clean store."""
    with pytest.raises(Refused, match="SQL_DIR"):
        standing.parts(tmp_path, "leakage")


def test_every_standing_audit_is_a_command():
    """What cannot be asked for proves nothing: `tapefold audit NAME` knows each, with its help."""
    commands = get_command(app).get_command(None, "audit").commands
    assert set(NAMES) <= set(commands)
    assert all(commands[name].help for name in NAMES)


def test_every_part_says_what_it_promises():
    """The first line of each file is a comment that begins with a capital."""
    for name in NAMES:
        for file in standing.parts(SQL_DIR, name):
            first = file.read_text().splitlines()[0]
            assert first[:3] == "-- "
            assert first[3].isupper()


def rows_of(tables):
    """Physical rows of all tables."""
    ((rows,),) = tables.query_rows("SELECT sum(total_rows) FROM system.tables WHERE database = 'tapefold'").rows
    return rows


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_two_hundred_leaks_in_a_million_rows_are_all_found(tables):
    """Fifteen kinds, each row under its own name, and nothing else is named but what a leaking row touches."""
    seed = 0
    while rows_of(tables) < 1_000_000:
        names = [f"KXLEAK{seed}-{number}" for number in range(8)]
        store(tables, tape.tape(seed, minutes=60, steps=6_000, tickers=names).placed(seed * 10**6, f"s{seed}"))
        seed += 1
    assert [] == audit(tables)
    taken = set()
    injected = {}
    for number, leak in enumerate(reversed(LEAKS)):
        left = 200 - len(injected)
        chosen = victims(tables, leak, -(-left // (len(LEAKS) - number)), taken)
        inject(tables, leak, chosen)
        injected.update(dict.fromkeys(chosen, leak.kind))
    assert 200 == len(injected)
    found = {(finding.row_id, finding.kind) for finding in standing.findings(tables, SQL_DIR, "leakage")}
    assert set(injected.items()) <= found
    touched = tuple({row_id.split(":")[1].split("-")[0] for row_id, _ in found if row_id.startswith("bar:")})
    assert touched
    assert {row_id for row_id, _ in found if not row_id.startswith("bar:")} <= injected.keys()


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_thousand_clean_sets_have_no_findings(tables):
    """Each of its own chance, a thousand rows and more each."""
    for first in range(0, 1_000, 100):
        empty(tables)
        for seed in range(first, first + 100):
            names = [f"KXCLEAN{seed}-{number}" for number in range(2)]
            store(tables, tape.tape(seed, steps=150, tickers=names).placed(seed * 10**5, f"s{seed}"))
        assert rows_of(tables) >= 100_000
        assert [] == audit(tables)
