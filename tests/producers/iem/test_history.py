"""History notes what is done behind the log, and goes on from there: whoever dies where, nothing is skipped."""

import json

import pytest
from iem_poll import START, facts, recorded

from producers.iem import ask, checkpoint, poll
from producers.iem.done import Done, Of
from producers.iem.history import History, windows, years
from producers.iem.look import Reply
from producers.publish import Publisher
from topics.catalog import H_URL, RAW_IEM_CLI, RAW_IEM_MOS
from topics.errors import BadRecord, Refused
from topics.log import MemoryAppender, MemoryLog
from topics.units import NS_PER_DAY, NS_PER_HOUR
from topics.weather import Climate, Forecast, ForecastRun

MIDNIGHT = START // NS_PER_DAY * NS_PER_DAY
SPAN = (MIDNIGHT - 6 * NS_PER_DAY, MIDNIGHT - 2 * NS_PER_DAY)
UNITS = 4 * 2 * 2 + 2


class Killed(BaseException):
    """The producer is no more."""


def content(records):
    """What was told, without what depends on who told it when."""
    told, dead = facts(records)
    assert [] == dead
    rows = {(f.station, f.model, f.run_ns, f.event_ns, f.tmp_f) for f in told if isinstance(f, Forecast)}
    runs = {(f.station, f.model, f.run_ns, f.reason) for f in told if isinstance(f, ForecastRun)}
    return rows, runs, {(f.product, f.day, f.high_f) for f in told if isinstance(f, Climate)}


@pytest.mark.parametrize("place", ["before the answer is appended", "before it is noted"])
def test_who_dies_goes_on_where_it_stopped_and_skips_nothing(tmp_path, monkeypatch, place):
    """Seven lives, each of a few answers: all is there in the end, and at most one unit a death is asked for twice."""
    (tmp_path / "whole").mkdir()
    whole, _, _, _ = recorded(tmp_path / "whole", span_ns=SPAN)
    log = MemoryLog()
    log.create({RAW_IEM_MOS: {}, RAW_IEM_CLI: {}}, 1)
    real, requests, left = checkpoint.save, [], []

    def dies_at(name):
        if name == ("iem.answer" if place.endswith("appended") else "save"):
            left[0] -= 1
            if left[0] == 0:
                raise Killed

    def save(*arguments):
        dies_at("save")
        real(*arguments)

    monkeypatch.setattr(poll.checkpoint, "save", save)
    says = lambda name: (dies_at(name), name == "iem.answer" and requests.append(name))  # noqa: E731  # both
    deaths = 0
    while True:
        left[:] = [4]
        try:
            records, _, parts, _ = recorded(tmp_path, span_ns=SPAN, log=log, says=says)
        except Killed:
            deaths += 1
            assert deaths < UNITS, "each life gets on"
            continue
        break
    assert deaths >= 5
    assert content(whole) == content(records)
    assert len(requests) <= UNITS + deaths
    assert parts.history.progress().skipped + parts.history.progress().done == UNITS


def test_the_checkpoint_says_how_far_each_job_is_by_the_names_of_the_runbooks(tmp_path):
    """The end of the last completed window; of the year that lasts, the last local date of which nothing more can come."""
    recorded(tmp_path, span_ns=SPAN)
    noted = json.loads((tmp_path / "history.json").read_text())
    window = {"from_runtime_utc": "2026-01-09T00:00:00Z", "cursor_runtime_utc": "2026-01-13T00:00:00Z"}
    assert [
        {"station": station, "model": model, **window} for station in ("KMIA", "KNYC") for model in ("GFS", "NBS")
    ] == noted["mos_ingest_window"]
    date = {"from_date": "2026-01-01", "cursor_date": "2026-01-12"}
    assert [{"station": "KNYC", "part": part, **date} for part in ("texts", "year")] == noted["cli_ingest_year"]
    _, simulator, parts, _ = recorded(tmp_path, span_ns=SPAN)
    assert 2 == sum(simulator.counters.requests.values()), "the year that lasts, and nothing else"
    assert UNITS - 2 == parts.history.progress().skipped


def test_a_unit_is_noted_behind_the_log_and_not_when_the_log_does_not_take_it(tmp_path, monkeypatch):
    """Each note comes after a confirmation of the answer; what is too large for a record is asked for by the next run."""
    story, real_flush, real_put = [], MemoryAppender.flush, Publisher.put

    def flush(appender, timeout_s):
        story.append("flush")
        real_flush(appender, timeout_s)

    def put(publisher, out):
        if isinstance(out.value, bytes) and out.value and b"mos.py" not in dict(out.headers)[H_URL]:
            raise BadRecord("too_large", "more than a record may hold")
        real_put(publisher, out)

    monkeypatch.setattr(MemoryAppender, "flush", flush)
    monkeypatch.setattr(Publisher, "put", put)
    monkeypatch.setattr(poll.checkpoint, "save", lambda *_: story.append("save"))
    _, _, parts, _ = recorded(tmp_path, span_ns=SPAN, says=story.append)
    saves = [index for index, word in enumerate(story) if word == "save"]
    assert UNITS - 2 == len(saves)
    assert {("iem.answer", "flush")} == {tuple(story[index - 2 : index]) for index in saves}
    assert [] == parts.history.noted.checkpoint("", "").cli_ingest_year


def all_of():
    """An answer that lacks no run of GFS."""
    runs = [f"2026-01-{day:02}+{hour:02}:00" for day in range(1, 32) for hour in (0, 6, 12, 18)]
    return Reply(200, ("runtime,ftime\n" + "".join(f"{run.replace('+', ' ')}:00,x\n" for run in runs)).encode())


def test_only_what_is_over_is_noted():
    """Not a unit that was given up, nor one that was not confirmed, nor a window whose runs may still come."""
    units = list(windows(["KMIA"], ["GFS"], MIDNIGHT - 4 * NS_PER_DAY, MIDNIGHT))
    past = History(units, base_url="http://x", lags={})
    while (unit := past.next()) is not None:
        past.answered(Reply(422, b"") if unit is units[1] else all_of(), START)
        if unit is not units[0]:
            past.confirmed(START)
    assert [False, False, True, False] == [past.noted.covers(unit) for unit in units], "the last ended 12 h ago"
    (one,) = past.noted.checkpoint("http://x", "").mos_ingest_window
    assert ("2026-01-13T00:00:00Z", "2026-01-14T00:00:00Z") == (one.from_runtime_utc, one.cursor_runtime_utc)
    assert [units[0], units[1], units[3]] == asked(History(units, base_url="http://x", lags={}, noted=past.noted))


@pytest.mark.parametrize("body", [b"runtime,ftime\n", b"ERROR: Could not Find any data\n"])
def test_a_window_that_lacks_runs_is_asked_for_again_by_the_next_run(body):
    """An empty answer has been a lie before: this run gives it up, and nothing is noted."""
    (unit,) = windows(["KMIA"], ["GFS"], MIDNIGHT - 4 * NS_PER_DAY, MIDNIGHT - 3 * NS_PER_DAY)
    past = History([unit], base_url="http://x", lags={})
    while past.next() is not None:
        past.answered(Reply(200, body), START)
        assert not past.confirmed(START)
    assert 1 == past.progress().done
    assert [unit] == asked(History([unit], base_url="http://x", lags={}, noted=past.noted))


def asked(past):
    """The units of a history, in order."""
    found = []
    while (unit := past.next()) is not None:
        found.append(unit)
        past.answered(all_of(), START)
    return found


def test_spans_of_any_order_meet_and_come_back_from_the_file(tmp_path):
    """Windows of another length, or another `--from`, go by what is covered."""
    noted, days = Done(), list(windows(["KMIA"], ["GFS"], SPAN[0], SPAN[1]))
    for unit in (days[3], days[0], days[1]):
        noted.add(unit, START)
    assert 2 == len(noted.checkpoint("b", "l").mos_ingest_window)
    for unit in (days[2], days[1]):  # the second, once more, takes nothing back
        noted.add(unit, START)
    (old,) = [
        unit for unit in years(["KMIA"], SPAN[0] - 400 * NS_PER_DAY, SPAN[0] - 399 * NS_PER_DAY) if unit.kind == "year"
    ]
    noted.add(old, START)
    checkpoint.save(tmp_path / "c.json", noted, Of("b", "l"))
    again = checkpoint.read(tmp_path / "c.json", Of("b", "l"))
    assert again.checkpoint("b", "l") == noted.checkpoint("b", "l")
    assert again.covers(ask.window("KMIA", "GFS", SPAN[0] + NS_PER_HOUR, SPAN[1]))
    assert not again.covers(ask.window("KMIA", "GFS", SPAN[0] - NS_PER_HOUR, SPAN[1]))
    assert not again.covers(ask.window("KMIA", "NBS", *SPAN))
    assert again.covers(old)
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(Refused, match="is no checkpoint of history"):
        checkpoint.read(tmp_path / "c.json", Of("b", "l"))


def test_what_stands_on_another_log_or_is_of_another_upstream_was_never_asked_for(tmp_path):
    """Nor what a file without the name of its log says, as versions before wrote it."""
    path, noted = tmp_path / "c.json", Done()
    (unit,) = windows(["KMIA"], ["GFS"], SPAN[0], SPAN[0] + NS_PER_DAY)
    noted.add(unit, START)
    checkpoint.save(path, noted, Of("b", "l"))
    assert [True, False, False] == [
        checkpoint.read(path, Of(*of)).covers(unit) for of in (("b", "l"), ("b", "another"), ("another", "l"))
    ]
    before = {key: value for key, value in json.loads(path.read_text()).items() if key != "log"}
    path.write_text(json.dumps(before))
    assert not checkpoint.read(path, Of("b", "l")).covers(unit)
