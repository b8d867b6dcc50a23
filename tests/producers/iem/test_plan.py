"""What is asked of IEM, when, and what is claimed of the answers."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.iem import ask
from producers.iem.clock import Clock, tape_clock
from producers.iem.history import ATTEMPTS_MAX, History, windows, years
from producers.iem.live import EARLIEST_NS, HORIZON_NS, RECHECK_NS, Live
from producers.iem.look import Reply, outcome, outcome_of_run
from producers.iem.throttle import Throttle
from producers.iem.turns import Turns
from topics.catalog import RAW_IEM_CLI, RAW_IEM_MOS
from topics.iem import ERAS, day_of, promised, scheduled
from topics.units import NS_PER_DAY, NS_PER_HOUR

S = 10**9
RUN = 1_768_478_400 * S  # 2026-01-15 12:00Z
HEADER = b"runtime,ftime,model,tmp,station\n"
POLL = 120 * S


def csv(count):
    """An answer with that many valid times of the run."""
    return HEADER + b"".join(
        b"2026-01-15 12:00:00,%s %02d:00:00,GFS,1,KMIA\n" % (day_of(v).encode(), v // NS_PER_HOUR % 24)
        for v in promised("GFS", RUN)[:count]
    )


def live(*stations, models=("GFS",)):
    return Live(stations, models, poll_ns=POLL, reports_ns=300 * S, base_url="http://x")


def said(out):
    """The headers of a record beside its URL."""
    return {name: value for name, value in out.headers if name != "url"}


def all_runs(unit):
    """A window's answer with a row of each of its runs."""
    runs = [
        day_of(run).encode() + b" %02d:00:00" % (run % NS_PER_DAY // NS_PER_HOUR)
        for run in scheduled(unit.model, unit.from_ns, unit.to_ns)
    ]
    return HEADER + b"".join(b"%s,%s,GFS,1,KMIA\n" % (run, run) for run in runs)


def poll_run(plan, now_ns, body, status=200):
    """Ask for the run until the plan gives it, answering reports with nothing; returns what is appended for the run."""
    for _ in range(50):
        asked = plan.next(now_ns)
        if asked is None:
            return "not due"
        if asked.kind == "run" and asked.from_ns == RUN:
            return plan.answered(asked, Reply(status, body), now_ns)
        plan.answered(
            asked,
            Reply(
                200,
                b"ERROR: Could not Find: X"
                if asked.kind == "texts"
                else csv(21).replace(b"2026-01-15", day_of(asked.from_ns).encode()),
            ),
            now_ns,
        )
    raise AssertionError("never due")


def test_windows_do_not_share_a_run():
    """Both ends count: a day ends a minute before the next."""
    first, second = windows(["KMIA"], ["GFS"], RUN, RUN + NS_PER_DAY)
    assert "sts=2026-01-15T12%3A00Z&ets=2026-01-15T23%3A59Z" in first.url("http://x")
    assert "sts=2026-01-16T00%3A00Z&ets=2026-01-16T11%3A59Z" in second.url("http://x")


@pytest.mark.parametrize(
    ("model", "day", "cycles"),
    [
        ("NBS", "2020-02-25", [0, 7, 12, 19]),
        ("NBS", "2020-02-26", [1, 7, 13, 19]),
        ("NBS", "2026-05-04", [1, 7, 13, 19]),
        ("NBS", "2026-05-05", [0, 6, 12, 18]),
        ("NBE", "2026-05-05", [0, 6, 12, 18]),
        ("GFS", "2003-12-15", []),
        ("GFS", "2003-12-16", [0, 6, 12, 18]),
        ("MEX", "2026-01-01", [0, 12]),
        ("NAM", "2026-01-01", [0, 12]),
    ],
)
def test_cycles_go_by_model_and_era(model, day, cycles):
    """Three eras of NBS; before an archive begins nothing is promised."""
    start = next(iter(ask.year("KMIA", int(day[:4])).params)) and ask.year("KMIA", int(day[:4])).from_ns
    while day_of(start) != day:
        start += NS_PER_DAY
    assert cycles == [run % NS_PER_DAY // NS_PER_HOUR for run in scheduled(model, start, start + NS_PER_DAY - 1)]


def test_eras_of_a_model_follow_one_another():
    """No hole and no overlap between them."""
    for model in {era.model for era in ERAS}:
        eras = [era for era in ERAS if era.model == model]
        assert [era.until for era in eras[:-1]] == [era.since for era in eras[1:]]
        assert eras[-1].until is None


def test_a_window_without_a_run_is_not_asked_for():
    """NBE began on 2020-07-23."""
    first = ask.year("KMIA", 2020).from_ns
    assert [] == list(windows(["KMIA"], ["NBE"], first, first + 10 * NS_PER_DAY))


def test_years_ask_for_rows_and_for_every_issuance():
    """A span over New Year is two years, each as rows and as texts up to the report of its last day."""
    units = list(years(["KMIA"], ask.year("KMIA", 2025).from_ns + NS_PER_DAY, ask.year("KMIA", 2026).from_ns + 1))
    assert [("year", RAW_IEM_CLI), ("texts", RAW_IEM_CLI)] * 2 == [(unit.kind, unit.topic) for unit in units]
    assert "pil=CLIMIA&sdate=2025-01-01T00%3A00Z&edate=2026-01-03T00%3A00Z&limit=9999" in units[1].url("http://x")


def test_a_run_is_asked_for_from_its_earliest_time_on_and_not_again_before_the_next_poll():
    """Half an hour after its nominal time, then every two minutes."""
    plan = live("KMIA")
    assert "not due" == poll_run(plan, RUN + EARLIEST_NS - 1, b"")
    first = poll_run(plan, RUN + EARLIEST_NS, HEADER)
    assert {"status": b"200", "seen": b"pre_existing"} == said(first)
    assert "not due" == poll_run(plan, RUN + EARLIEST_NS + POLL - 1, HEADER)


def test_a_run_that_comes_while_we_watch_is_first_seen():
    """With the stamp of the answer that did not have it."""
    plan = live("KMIA")
    start = RUN + EARLIEST_NS
    poll_run(plan, start, HEADER)
    assert poll_run(plan, start + POLL, HEADER) is None  # it says what was said before
    came = poll_run(plan, start + 2 * POLL, csv(21))
    assert {"status": b"200", "seen": b"first", "absent_ns": b"%d" % (start + POLL)} == said(came)
    assert (b"KMIA", start + 2 * POLL) == (came.key, came.received_ns)


def test_a_run_that_was_there_before_us_is_not_first_seen():
    """The first answer has it: nobody knows when it came."""
    assert b"pre_existing" == said(poll_run(live("KMIA"), RUN + 5 * NS_PER_HOUR, csv(21)))["seen"]


@pytest.mark.parametrize("body", [csv(21)[:-9], b"ERROR: busy"])
def test_one_empty_answer_is_no_evidence_of_absence(body):
    """An empty 200 may be a mistake, and an answer without an end shows nothing: two that say so are needed."""
    plan = live("KMIA")
    start = RUN + EARLIEST_NS
    poll_run(plan, start, HEADER)
    poll_run(plan, start + POLL, body)
    assert {"status": b"200", "seen": b"pre_existing"} == said(poll_run(plan, start + 2 * POLL, csv(21)))


def test_a_refusal_is_no_evidence_of_absence():
    """503, then the run: it may have been there all the time."""
    plan = live("KMIA")
    start = RUN + EARLIEST_NS
    assert {"status": b"503", "seen": b"pre_existing"} == said(poll_run(plan, start, b"busy", 503))
    assert {"status": b"200", "seen": b"pre_existing"} == said(poll_run(plan, start + POLL, csv(21)))


def test_a_part_of_a_run_is_asked_for_until_it_is_whole_and_once_more_for_corrections():
    """Then never again."""
    plan = live("KMIA")
    start = RUN + EARLIEST_NS
    poll_run(plan, start, HEADER)
    poll_run(plan, start + POLL, HEADER)
    assert said(poll_run(plan, start + 2 * POLL, csv(7)))["absent_ns"] == b"%d" % (start + POLL)
    assert said(poll_run(plan, start + 3 * POLL, csv(21)))["absent_ns"] == b"%d" % (start + 2 * POLL)
    whole = start + 3 * POLL
    assert "not due" == poll_run(plan, whole + RECHECK_NS - 1, csv(21))
    corrected = csv(21).replace(b",GFS,1,", b",GFS,2,")
    assert b"first" == said(poll_run(plan, whole + RECHECK_NS, corrected))["seen"]
    assert "not due" == poll_run(plan, whole + 2 * RECHECK_NS, corrected)


def test_a_run_that_never_comes_is_given_up():
    """After a day and a half nobody asks any more."""
    plan = live("KMIA")
    poll_run(plan, RUN + HORIZON_NS, HEADER)
    poll_run(plan, RUN + HORIZON_NS + POLL, HEADER)
    assert "not due" == poll_run(plan, RUN + HORIZON_NS + NS_PER_HOUR, HEADER)


def test_reports_are_asked_for_again_and_again():
    """What is new between two answers came between them; what is said again is not appended."""
    plan = live("KMIA", models=())
    first = plan.answered(plan.next(RUN), Reply(200, b"\x01\na\x03\n"), RUN)
    same = plan.answered(plan.next(RUN + 300 * S), Reply(200, b"\x01\na\x03\n"), RUN + 300 * S)
    new = plan.answered(plan.next(RUN + 600 * S), Reply(200, b"\x01\na\x03\n\x01\nb\x03\n"), RUN + 600 * S)
    assert (b"pre_existing", None, b"first") == (said(first)["seen"], same, said(new)["seen"])
    assert b"%d" % (RUN + 300 * S) == said(new)["absent_ns"]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, csv(21), "whole"),
        (200, csv(20), "part"),
        (200, HEADER, "part"),
        (200, b"<html>", "cut"),
        (200, csv(21)[:-20], "cut"),
        (200, b"ERROR: no", "busy"),
        (429, b"", "busy"),
        (503, b"", "busy"),
        (0, b"", "busy"),
        (422, b"", "refused"),
        (404, b"", "refused"),
    ],
)
def test_an_answer_is_whole_only_with_every_valid_time(status, body, expected):
    """What looks like success is not enough."""
    assert expected == outcome_of_run(Reply(status, body), "GFS", RUN)


def test_history_comes_back_to_what_failed_behind_the_others():
    """And gives it up, by name, after a fixed number of attempts; the others are done meanwhile."""
    units = list(windows(["KMIA"], ["GFS"], RUN, RUN + 2 * NS_PER_DAY))
    past = History(units, base_url="http://x", lags={})
    asked = []
    while (unit := past.next()) is not None:
        asked.append(unit)
        out = past.answered(Reply(503 if unit is units[0] else 200, all_runs(unit)), RUN)
        assert b"archive" == said(out)["seen"]
    assert Counter({units[0]: ATTEMPTS_MAX, units[1]: 1, units[2]: 1}) == Counter(asked)
    assert (2, 0, (units[0],), 0) == past.progress()


def test_history_asks_again_where_the_calendar_promises_more():
    """An empty 200 may be a mistake; after three of them the runs are missing, and that is no failure."""
    (unit,) = windows(["KMIA"], ["GFS"], RUN, RUN + 12 * NS_PER_HOUR)
    past = History([unit], base_url="http://x", lags={})
    answers = 0
    while past.next() is not None:
        past.answered(Reply(200, HEADER), RUN)
        answers += 1
    assert (3, 1, ()) == (answers, past.progress().done, past.progress().failed)


def test_history_stamps_the_greatest_measured_lag_of_its_cycles():
    """Only where every cycle of the window was measured."""
    lags = {("GFS", 0): 4 * NS_PER_HOUR, ("GFS", 6): 5 * NS_PER_HOUR, ("GFS", 12): 3 * NS_PER_HOUR}
    (unit,) = windows(["KMIA"], ["GFS"], RUN - 12 * NS_PER_HOUR, RUN + 1 * NS_PER_HOUR)
    out = History([unit], base_url="http://x", lags=lags).answered(Reply(200, HEADER), RUN)
    assert b"%d" % (5 * NS_PER_HOUR) == said(out)["lag_ns"]
    (unit,) = windows(["KMIA"], ["GFS"], RUN, RUN + 12 * NS_PER_HOUR)
    out = History([unit], base_url="http://x", lags=lags).answered(Reply(200, HEADER), RUN)
    assert "lag_ns" not in said(out)


@given(st.integers(1, 9), st.lists(st.tuples(st.booleans(), st.booleans()), max_size=200))
def test_nobody_starves(share, waiting):
    """Where both wait, history has its share and live the rest; who waits alone goes at once."""
    turns = Turns(share)
    both = []
    for one, other in waiting:
        turn = turns.next(live=one, history=other)
        assert turn is None if not (one or other) else {"live": one, "history": other}[turn]
        both = [*both, turn] if one and other else []
        if len(both) >= share:
            assert "history" in both[-share:]
            assert share == 1 or both[-share:].count("history") <= 2


def test_one_throttle_serves_all_who_share_its_file(tmp_path):
    """Two of them take turns; a pause holds both."""
    one, other = (Throttle(tmp_path / "a/t", S) for _ in range(2))
    assert [0, S, 2 * S] == [one.reserve(RUN), other.reserve(RUN), one.reserve(RUN)]
    other.hold(RUN, 60 * S)
    assert 60 * S == one.reserve(RUN)
    assert 0 == one.reserve(RUN + 3_600 * S)


def test_a_throttle_of_a_clock_that_was_set_back_does_not_wait_for_it(tmp_path):
    """Nor does one whose file is damaged."""
    throttle = Throttle(tmp_path / "t", S)
    throttle.reserve(RUN + NS_PER_DAY)
    assert 0 == throttle.reserve(RUN)
    (tmp_path / "t").write_bytes(b"x")
    assert 0 == throttle.reserve(RUN)


def test_the_tape_s_clock_goes_faster_than_the_wall_and_never_back():
    """As the simulator prints it."""
    wall = [1_000]
    clock = tape_clock("5000:1000:60", lambda: wall[0])
    wall[0] = 1_010
    assert 5_600 == clock.now_ns()
    wall[0] = 900
    assert 5_600 == clock.now_ns()
    assert ("tape", 1.0) == (clock.name, clock.wall_s(60 * S))
    exact = 1_795_247_188_252_039_715
    assert exact == Clock(lambda: exact).now_ns()
    for text in ("", "1:2", "1:2:0", "1:2:nan", "x:2:1"):
        with pytest.raises(ValueError, match=r"expected TAPE_NS|expected a speed|could not convert"):
            tape_clock(text, lambda: 0)


def test_an_answer_that_has_no_calendar_is_whole_when_it_is_data():
    """No product is an answer, too: there was none."""
    assert ["whole", "part", "busy", "cut"] == [
        outcome(Reply(200, body), "texts") for body in (b"x\x03\n", b"ERROR: Could not Find: X", b"ERROR: y", b"x")
    ]
    assert RAW_IEM_MOS == ask.run("KMIA", "GFS", RUN).topic
