"""The scenario file, and what each simulator makes of it."""

import json
import random
from itertools import islice

import pytest
from faults import always, written

from tapefold.simulators.iem.generated import Chances, Generated
from tapefold.simulators.kalshi.exchange import Exchange
from tapefold.simulators.kalshi.faults import Counters, Faults, RestFaults
from tapefold.simulators.kalshi.recording import Frame
from tapefold.simulators.kalshi.rest_door import RestDoor
from tapefold.simulators.scenario import KINDS, NONE, read
from tapefold.simulators.webhook.events import Mix, deliveries, mix_at
from topics.errors import Refused
from topics.units import NS_PER_DAY, NS_PER_HOUR

S = 10**9
NOON = 1_772_971_200 * S  # 2026-03-08 12:00Z
STORM = """
[[fault]]
of = "iem"
kind = "503"
from = 2026-03-08T12:00:00Z
to = 2026-03-08T13:30:00+01:00
share = 0.25

[[fault]]
of = "webhook"
kind = "slow"
from = 2026-03-08
to = 2026-03-09
count = 7
"""
BAD = {
    "of": "[[fault]]\nof = 'iex'\nkind = '503'\nfrom = 2026-03-08T12:00:00Z\nto = 2026-03-08T13:00:00Z",
    "expected one of pacing": "[[fault]]\nof = 'tws'\nkind = 'cut'\nfrom = 2026-03-08T12:00:00Z\nto = 2026-03-08T13:00:00Z",
    "`to` after `from`": "[[fault]]\nof = 'iem'\nkind = 'cut'\nfrom = 2026-03-08T12:00:00Z\nto = 2026-03-08T12:00:00Z",
    "expected `seconds`": "[[fault]]\nof = 'webhook'\nkind = 'skew'\nfrom = 2026-03-08T12:00:00Z\nto = 2026-03-08T13:00:00Z",
    "expected TOML tables": "[[fault",
}


def test_each_simulator_takes_its_own_faults_and_the_end_is_excluded(tmp_path):
    """Times with and without a zone; a share; a number of sockets."""
    storm = written(tmp_path / "s.toml", STORM.replace("2026-03-08\n", "2026-03-08T00:00:00\n").replace(
        "2026-03-09\n", "2026-03-09T00:00:00\n"), "iem")  # fmt: skip
    assert [(NOON, NOON + 1800 * S, 0.25)] == [(one.from_ns, one.to_ns, one.share) for one in storm.faults]
    shares = [storm.share("503", at, 0.01) for at in (NOON - 1, NOON, NOON + 1800 * S - 1, NOON + 1800 * S)]
    assert [0.01, 0.25, 0.25, 0.01] == shares
    (slow,) = read(tmp_path / "s.toml", "webhook").faults
    assert (7, NS_PER_DAY) == (slow.sockets, slow.to_ns - slow.from_ns)
    assert NONE is read(None, "iem")


@pytest.mark.parametrize(("says", "text"), BAD.items())
def test_a_file_that_cannot_hold_is_refused_by_what_is_wrong(says, text, tmp_path):
    """Nothing is simulated by half a script."""
    with pytest.raises(Refused, match=says):
        written(tmp_path / "s.toml", text, "iem")


def test_runs_of_a_time_are_late_missing_doubled_or_contradicted_and_no_others():
    """The flaws of the made-up archive, by a run's nominal time."""

    def runs(kind):
        world = Generated(["KMIA"], seed=1, chances=Chances(), scenario=NONE if kind is None else always(kind))
        return list(world.runs("KMIA", "GFS", NOON, NOON + 12 * NS_PER_HOUR))

    plain = runs(None)
    assert [run.out_ns + 3 * NS_PER_HOUR for run in plain] == [run.out_ns for run in runs("late")]
    assert [] == runs("missing")
    assert [2 * len(run.rows) for run in plain] == [len(run.rows) for run in runs("duplicate")]
    assert 2 * len(plain) == len(runs("conflict"))
    world = Generated(["KMIA"], seed=1, chances=Chances(), scenario=always("correction"))
    names = [one.name for one in world.products("KMIA", NOON, NOON + 3 * NS_PER_DAY)]
    assert 3 == sum(name.endswith("-CCA") for name in names)


def frame(at_ms):
    """A recorded trade."""
    return Frame(at_ms, 0, 1, "trade", "A", b"{}", "", "", "")


def test_the_socket_drops_cuts_and_stalls_at_its_time(tmp_path):
    """Before it nothing; a cut holds for the whole of its span; a drop costs one number of each subscription."""
    text = "".join(
        f"[[fault]]\nof = 'kalshi.ws'\nkind = '{kind}'\nfrom = 1970-01-01T00:00:{at}Z\nto = 1970-01-01T00:01:00Z\n{more}"
        for kind, at, more in (("drop", 10, ""), ("stall", 20, "seconds = 3.5\n"), ("cut", 30, ""))
    )
    exchange = Exchange(Faults(scenario=written(tmp_path / "s.toml", text, "kalshi.ws")), seed=1)
    session = exchange.connect()
    session.receive(json.dumps({"id": 1, "cmd": "subscribe", "params": {"channels": ["trade"]}}))
    session.out.clear()
    for at_ms in (9_000, 10_000, 11_000):
        exchange.advance(frame(at_ms))
    assert [1, 3] == [json.loads(payload)["seq"] for payload in session.out]
    assert (False, False) == (session.stall_due, session.cut_due)
    exchange.advance(frame(20_000))
    assert (True, 3.5, False) == (session.stall_due, exchange.stall_s, session.cut_due)
    exchange.advance(frame(30_000))
    assert (True, 60_000) == (session.cut_due, exchange.outage_until_ms)


def test_frames_of_a_time_are_sent_twice():
    """Byte for byte."""
    exchange = Exchange(Faults(scenario=always("duplicate", "kalshi.ws")), seed=1)
    session = exchange.connect()
    session.receive(json.dumps({"id": 1, "cmd": "subscribe", "params": {"channels": ["trade"]}}))
    exchange.advance(frame(1))
    assert session.out[1] == session.out[2]


class Trades:
    """An archive of one trade."""

    def reply(self, _path, _query):  # noqa: D102
        return 200, b'{"trades":[{"trade_id":"t","count_fp":"5.00"}],"cursor":""}'


@pytest.mark.parametrize("kind", [kind for kind in KINDS["kalshi.rest"] if kind != "skew"])
def test_rest_answers_as_the_scenario_has_it(kind):
    """Statuses, bodies that break off, rows twice, and a trade that contradicts itself; each is counted by its name."""
    counters = Counters()
    door = RestDoor(
        Trades(), [], RestFaults(scenario=always(kind, "kalshi.rest")), counters,
        seed=1, clock_ms=lambda: 0, tape_ns=lambda: NOON,
    )  # fmt: skip
    status, body = door.reply("/trade-api/v2/markets/trades", "")
    assert {kind: 1} == counters.rest_faults
    assert (int(kind) if kind.isdigit() else 200) == status
    if kind in {"duplicate", "conflict", "empty"}:
        sizes = [trade["count_fp"] for trade in json.loads(body)["trades"]]
        assert {"duplicate": ["5.00", "5.00"], "conflict": ["5.00", "0.01"], "empty": []}[kind] == sizes


def test_deliveries_follow_the_time_that_they_are_made_at():
    """Honest before, wrongly signed while it reigns; shares of more than all are scaled."""
    now = [0]
    scenario = always("wrong", "webhook")
    kinds = deliveries(1, "standard", lambda: mix_at(Mix(), scenario if now[0] else NONE, NOON))
    assert {"honest"} == {one.kind for one in islice(kinds, 20)}
    now[0] = 1
    assert {"wrong"} == {one.kind for one in islice(kinds, 20)}
    assert 1.0 == pytest.approx(sum(mix_at(Mix(old=1.0), scenario, NOON)))


def test_a_share_is_drawn_by_the_seed():
    """About so many of the requests, and the same ones for the same seed."""
    (fault,) = always("pacing", "tws").faults
    scenario = type(NONE)((fault._replace(share=0.3),))

    def drawn(seed):
        rng = random.Random(seed)
        return [scenario.struck(NOON, rng, frozenset({"pacing"})) is not None for _ in range(1_000)]

    assert drawn(1) == drawn(1)
    assert 250 < sum(drawn(1)) < 350
