"""The real sink between a real broker and a real store: killed, held, cut off. Each offset once, and the audit says so."""

import random
import time

import pytest
from sink_arena import Storm, opened

from sinks.delivery import PLACES
from tapefold import wiring
from tapefold.local.kafka import LocalKafka
from topics.kafka import KafkaLog

SLICES = 5


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    """A broker and a store whose state goes from one test of this module to the next."""
    folder = tmp_path_factory.mktemp("arena")
    with LocalKafka(folder / "kafka") as broker, opened(KafkaLog(broker.address.bootstrap), folder) as arena:
        yield arena


@pytest.mark.timeout(300)
def test_two_sinks_that_are_killed_and_cut_off_leave_each_offset_once(arena):
    """A short form: kill -9, SIGSTOP, a store restart, connections cut or never answered, two sinks at a time."""
    storm = Storm(arena, random.Random(3), zombie_s=1.5)
    storm.rage(6_000, ["kill", "kill", "zombie", "kill", "store", "kill", "kill"])
    assert storm.total() > sum(storm.met.values()) > 6
    arena.drained()


@pytest.mark.timeout(300)
def test_a_store_killed_under_two_sinks_leaves_each_offset_once(arena):
    """Kill -9 of the store while rows come in; both sinks wait and go on."""
    Storm(arena, random.Random(4), zombie_s=1.5).rage(6_000, ["store"] * 3, broken=0.0)
    arena.drained()


def die_and_take_over(arena, place, passing):
    """A sink dies at a place at its n-th passing, and so does the one that takes over; a third one brings all."""
    arena.write(200)
    first = arena.sink(f"{place}:{passing}")
    _until_dead(arena, first)
    assert first.poll() == wiring.FAILPOINT_EXIT
    second = arena.sink(f"{place}:1")  # what it adopts may need no such step: then it dies in the batch after
    _until_dead(arena, second)
    assert second.poll() == wiring.FAILPOINT_EXIT
    arena.drained()


def _until_dead(arena, process):
    deadline = time.monotonic() + 40
    while process.poll() is None and time.monotonic() < deadline:
        arena.write(20)
        time.sleep(0.2)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("place", "passing"), [("sink.after_insert", 1), ("sink.before_commit", 2)])
def test_a_process_that_dies_in_a_batch_and_in_the_batch_that_it_adopts(arena, place, passing):
    """A selection of the matrix below: the two places where most is half done."""
    die_and_take_over(arena, place, passing)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("passing", [1, 4])
@pytest.mark.parametrize("place", PLACES)
def test_a_process_that_dies_at_any_place(arena, place, passing):
    """Every place, in the first batch of a process, in a middle one, and in the one that its successor adopts."""
    die_and_take_over(arena, place, passing)


def storm_slice(arena, seed):
    """A fifth of the acceptance run: 9,000 records and 100 faults of processes, those of the network beside them."""
    rng = random.Random(seed)
    plan = ["kill"] * 86 + ["zombie"] * 8 + ["store"] * 6
    rng.shuffle(plan)
    before = dict(arena.proxy.met)
    storm = Storm(arena, rng, zombie_s=12.0)
    storm.rage(9_000, plan, broken=0.6)
    arena.drained()
    broken = {fault: count - before[fault] for fault, count in arena.proxy.met.items()}
    return {**storm.met, **broken}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(SLICES))
def test_nine_thousand_records_and_a_hundred_faults(arena, seed):
    """The long form: five times on the same tables, 45,000 records and 500 faults in all."""
    met = storm_slice(arena, seed)
    assert sum(met.values()) >= 100, met
    assert min(met.values()) > 0, met
