"""The producer against the simulated upstream, over HTTP, onto a log: what is recorded, what is not asked twice."""

import pytest
from iem_poll import START, facts, recorded

from tapefold.simulators.iem.faults import Faults
from topics.iem import scheduled
from topics.stations import StationUnresolved
from topics.units import NS_PER_DAY, NS_PER_HOUR
from topics.weather import Climate, Forecast, ForecastRun


def test_history_records_every_run_and_every_issuance_once(tmp_path):
    """Three days of two models at two stations, and the year's reports of one: all there, in so many requests."""
    span = (START - 4 * NS_PER_DAY, START - NS_PER_DAY)
    records, simulator, parts, _ = recorded(tmp_path, span_ns=span)
    told, dead = facts(records)
    runs = [fact for fact in told if isinstance(fact, ForecastRun)]
    expected = {(s, m, r) for s in ("KNYC", "KMIA") for m in ("GFS", "NBS") for r in scheduled(m, span[0], span[1] - 1)}
    assert [] == dead
    assert expected == {(run.station, run.model, run.run_ns) for run in runs}
    assert len(expected) == len(runs)
    assert {(None, "archive")} == {(run.reason, run.seen) for run in runs}
    assert {"assumed"} == {fact.known_by for fact in told if isinstance(fact, Forecast)}
    days = {fact.day for fact in told if isinstance(fact, Climate)}
    assert {"2026-01-01", "2026-01-14"} <= days
    assert sum(simulator.counters.requests.values()) == parts.history.progress().done == 4 * 2 * 2 + 2


def test_what_comes_while_we_watch_is_seen_first(tmp_path):
    """Half a day: the runs of 12Z and 18Z come, each with the answer that did not have it."""
    records, simulator, _, _ = recorded(tmp_path, live_h=12)
    told, dead = facts(records)
    came = [fact for fact in told if isinstance(fact, ForecastRun) and fact.seen == "first" and fact.reason is None]
    assert [] == dead
    assert {
        *((station, "GFS", hour) for station in ("KNYC", "KMIA") for hour in (12, 18)),
        *((station, "NBS", hour) for station in ("KNYC", "KMIA") for hour in (13, 19)),
    } == {(run.station, run.model, run.run_ns % NS_PER_DAY // NS_PER_HOUR) for run in came}
    assert all(0 < run.absent_ns < run.received_ns for run in came)
    assert all(run.run_ns + NS_PER_HOUR < run.received_ns for run in came)
    before = [
        fact for fact in told if isinstance(fact, ForecastRun) and fact.seen == "pre_existing" and fact.reason is None
    ]
    assert before
    assert [fact for fact in told if isinstance(fact, Climate)]
    assert 1 == simulator.counters.most  # of one second of the tape


def test_beats_say_that_we_are_there_and_the_last_one_that_we_are_gone(tmp_path):
    """On each of the two topics, in order, after all that came before."""
    records, _, _, _ = recorded(tmp_path, span_ns=(START - 2 * NS_PER_DAY, START - NS_PER_DAY))
    for topic, some in records.items():
        kinds = [dict(record.headers)["kind"] for record in some]
        assert (b"beat", b"beat", True) == (kinds[0], kinds[-1], b'"bye":true' in some[-1].value), topic


@pytest.mark.parametrize("kind", ["429", "503", "error", "cut", "500"])
def test_storms_are_waited_out_and_nothing_is_lost(tmp_path, kind):
    """A third of the answers fail, each failure is named, and in the end every run is there."""
    span = (START - 3 * NS_PER_DAY, START - NS_PER_DAY)
    records, simulator, parts, metrics = recorded(tmp_path, span_ns=span, faults=Faults(((kind, 0.33),)))
    told, _ = facts(records)
    whole = {(f.station, f.model, f.run_ns) for f in told if isinstance(f, ForecastRun) and f.reason is None}
    named = {fact.reason for fact in told if isinstance(fact, ForecastRun) and fact.reason is not None}
    assert () == parts.history.progress().failed
    assert {
        (s, m, r) for s in ("KNYC", "KMIA") for m in ("GFS", "NBS") for r in scheduled(m, span[0], span[1] - 1)
    } == whole
    assert {"throttled" if kind in {"429", "503"} else "upstream_error"} >= named
    assert simulator.counters.faults[kind] == len([1 for name, _ in metrics if name == "iem.backoff"]) > 0


def test_history_goes_on_while_we_watch_and_we_watch_while_history_goes_on(tmp_path):
    """Both have their turns."""
    _, _, _, metrics = recorded(tmp_path, span_ns=(START - 9 * NS_PER_DAY, START - NS_PER_DAY), live_h=2)
    turns = [fields["history"] for name, fields in metrics if name == "iem.answer"]
    assert min(turns[:30].count(True), turns[:30].count(False)) >= 5


def test_a_station_that_iem_does_not_list_is_a_named_error_before_anything_is_asked(tmp_path):
    """The list is IEM's own; those that are on it pass."""
    with pytest.raises(StationUnresolved, match="NWSCLI, was KXXX"):
        recorded(tmp_path, check=["KMIA", "KXXX"])
    _, simulator, _, metrics = recorded(tmp_path, check=["KMIA", "KNYC"])
    assert 1 == simulator.counters.requests["/geojson/network.py"]
    assert [True] == [fields["listed"] for name, fields in metrics if name == "iem.stations"]


@pytest.mark.parametrize("kind", ["503", "empty", "truncate"])
def test_a_list_that_does_not_come_is_told_and_not_waited_for(tmp_path, kind):
    """Some attempts, each a line; an empty one is none. Then what was asked for is recorded all the same."""
    _, simulator, _, metrics = recorded(tmp_path, check=["KMIA"], faults=Faults(((kind, 1.0),)))
    assert [False] * 5 == [fields["listed"] for name, fields in metrics if name == "iem.stations"]
    assert 5 == simulator.counters.requests["/geojson/network.py"]
