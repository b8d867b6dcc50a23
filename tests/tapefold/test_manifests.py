"""What a run leaves of itself: counts by entity, a file that never changes, and a pointer to the latest good one."""

import json
import re
from datetime import UTC, datetime

import pytest

from tapefold import manifests
from tapefold.manifests import Run
from topics.catalog import H_KIND, RAW_KALSHI_REST
from topics.log import MemoryLog

NOW_NS = 1_795_000_000 * 10**9  # 2026-11-18 11:06:40Z
FRAME, GAP, BEAT = (((H_KIND, kind),) for kind in (b"frame", b"gap", b"beat"))


def played(folder, work=lambda _: None, *, run=None, now_ns=NOW_NS, ends=True):
    """Do `work` with what it may count with; returns the run's manifest as it stands."""
    run = run or Run("rest", {"series": "A"})
    before = set(folder.glob("_state/manifests/run_*.json"))
    with manifests.kept(run, folder, ends=ends, now_ns=iter((now_ns, now_ns + 1_500_000_000)).__next__):
        work(run)
    new = set(folder.glob("_state/manifests/run_*.json")) - before
    return json.loads(new.pop().read_bytes()) if new else None


def latest(folder):
    """The run that the pointer names, None without one; the file that it names is there."""
    path = folder / "_state" / "manifests" / "_latest" / "rest.json"
    if not path.exists():
        return None
    said = json.loads(path.read_bytes())
    assert (path.parent / said["manifest"]).is_file()
    return said["run_id"]


def said(name, **fields):
    """Work that tells one metric."""
    return lambda run: run.hearing(lambda *_, **__: None)(name, **fields)


def test_records_are_counted_by_entity_and_kind(tmp_path):
    """A market counts for its series, beats for nobody; the log's own offsets stand beside."""

    def work(run):
        log, heard = MemoryLog(), []
        log.create({RAW_KALSHI_REST: {}}, 2)
        appender = run.counting(log.appender())
        for key, headers in [
            (b"A-1-T1", FRAME), (b"A-1-T2", FRAME), (b"A", GAP), (b"B", FRAME), (None, FRAME), (b"C", BEAT),
        ]:  # fmt: skip
            appender.append(RAW_KALSHI_REST, b"four", key=key, partition=1, headers=headers)
        appender.close()
        on_metric = run.hearing(lambda name, **fields: heard.append((name, fields)))
        on_metric("rest.discovery", series="A", pages=2, markets=9, new=3)
        on_metric("rest.backfill", market="A-1-T1", pages=5, done=True)
        on_metric("rest.backfill", market="A-1-T2", pages=1, done=False)
        on_metric("rest.retry", url="/x", attempt=1)
        assert ("rest.retry", {"url": "/x", "attempt": 1}) == heard[-1]

    found = played(tmp_path, work)
    assert {
        "*": {"records": 1, "bytes": 4, "gaps": 0, "metrics": {}, "sums": {}},
        "A": {
            "records": 2, "bytes": 8, "gaps": 1, "metrics": {"rest.discovery": 1, "rest.backfill": 2},
            "sums": {"pages": 8, "new": 3},
        },
        "B": {"records": 1, "bytes": 4, "gaps": 0, "metrics": {}, "sums": {}},
    } == found["entities"]  # fmt: skip
    assert {"rest.backfill": 2, "rest.discovery": 1, "rest.retry": 1} == found["metrics"]
    assert {RAW_KALSHI_REST: {"1": 5}} == found["outputs"]
    assert ("success", None, 1.5, {"series": "A"}) == tuple(
        found[name] for name in ("status", "reason", "duration_s", "inputs")
    )
    assert re.fullmatch(r"20261118T\d{6}Z-[0-9a-f]{6}", found["run_id"])


def test_what_is_of_a_station_and_a_model_is_an_entity(tmp_path):
    """Its records bear the station alone."""
    run = Run("iem", {}, entity_of=str)
    found = played(tmp_path, said("iem.answer", station="KNYC", model="GFS", bytes=7), run=run)
    assert {"KNYC/GFS": {"iem.answer": 1}} == {name: each["metrics"] for name, each in found["entities"].items()}


def test_a_manifest_is_written_once_and_never_replaced(tmp_path, monkeypatch):
    """Nobody may write it, and a run of the same name has no place."""
    monkeypatch.setattr(manifests.secrets, "token_hex", lambda _: "abcdef")
    played(tmp_path)
    (path,) = tmp_path.glob("_state/manifests/run_*.json")
    before = path.read_bytes()
    assert 0 == path.stat().st_mode & 0o222
    with pytest.raises(FileExistsError):
        played(tmp_path)
    assert before == path.read_bytes()


@pytest.mark.parametrize(
    ("work", "check"),
    [
        (said("rest.failed", round="backfill"), "nothing_given_up"),
        (said("rag.failed", series="A"), "nothing_given_up"),
        (said("iem.history", done=3, left=0, failed=1, skipped=0), "nothing_given_up"),
        (lambda run: setattr(run, "stopped", True), "ended"),
    ],
)
def test_the_pointer_stays_where_a_run_was_not_good(tmp_path, work, check):
    """Its manifest is there all the same, and says what is wrong."""
    good = played(tmp_path)["run_id"]
    bad = played(tmp_path, work)
    assert [check] == [one["name"] for one in bad["checks"] if not one["ok"]]
    assert good == latest(tmp_path) != bad["run_id"]
    assert played(tmp_path)["run_id"] == latest(tmp_path)


def test_a_run_that_breaks_off_says_why(tmp_path):
    """The error goes on its way."""
    with pytest.raises(ValueError, match="no more"):
        played(tmp_path, lambda _: (_ for _ in ()).throw(ValueError("no more")))
    (path,) = tmp_path.glob("_state/manifests/run_*.json")
    found = json.loads(path.read_bytes())
    assert ("failed", "ValueError: no more", None) == (found["status"], found["reason"], latest(tmp_path))


def test_what_an_upstream_lacks_is_told_and_spoils_no_run(tmp_path):
    """By name and number."""
    found = played(tmp_path, said("rest.incomplete", market="A-1", what="trades"))
    assert [{"name": "whole", "ok": False, "found": {"rest.incomplete": 1}}] == [
        one for one in found["checks"] if not one["ok"]
    ]
    assert found["run_id"] == latest(tmp_path)


def test_a_service_that_goes_on_has_none(tmp_path):
    """It is not a run that ends."""
    assert played(tmp_path, ends=False) is None


def test_manifests_of_more_than_90_days_are_archived_but_not_the_one_in_use(tmp_path):
    """The pointer leads to a file, however old; those of 90 days stay."""
    day_ns = 86_400 * 10**9
    used = played(tmp_path, now_ns=NOW_NS - 200 * day_ns)["run_id"]
    bad = played(tmp_path, said("rest.failed"), now_ns=NOW_NS - 150 * day_ns)["run_id"]
    young = played(tmp_path, said("rest.failed"), now_ns=NOW_NS - 89 * day_ns)["run_id"]
    played(tmp_path, said("rest.failed"))
    folder = tmp_path / "_state" / "manifests"
    assert [f"run_{bad}.json"] == [path.name for path in folder.glob("archive/*")]
    assert (used, True) == (latest(tmp_path), (folder / f"run_{young}.json").exists())
    assert [] == manifests.archive(folder, datetime(2026, 11, 18, tzinfo=UTC))
