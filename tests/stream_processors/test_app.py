"""The agents' own guards: what they notice, and when."""

import asyncio
from types import SimpleNamespace

import pytest

from stream_processors import app
from stream_processors.app import READ_AGAIN_AFTER_S, SESSION_TIMEOUT_S, STUCK_AFTER_S, Fence, Watchdog
from stream_processors.transport import Consumer


def test_a_commit_that_stands_still_is_read_again_and_then_given_up():
    """Records wait and the commit does not move: read again every few seconds, stuck after a minute."""
    watchdog, offsets = Watchdog(), {"p": (5, 9)}
    assert ([], []) == watchdog.look(offsets, 0.0)
    assert (["p"], []) == watchdog.look(offsets, READ_AGAIN_AFTER_S + 0.1)
    assert ([], []) == watchdog.look(offsets, READ_AGAIN_AFTER_S + 0.2)
    assert (["p"], []) == watchdog.look(offsets, 2 * READ_AGAIN_AFTER_S + 0.3)
    assert ([], ["p"]) == watchdog.look(offsets, STUCK_AFTER_S + 0.1)


def test_a_commit_that_moves_or_has_nothing_to_wait_for_is_left_alone():
    """Progress, or no records past the commit, start the time anew."""
    watchdog = Watchdog()
    watchdog.look({"p": (5, 9), "idle": (9, 9)}, 0.0)
    watchdog.look({"p": (6, 9), "idle": (9, 9)}, STUCK_AFTER_S)
    assert ([], []) == watchdog.look({"p": (6, 9), "idle": (9, 9)}, STUCK_AFTER_S + 1)


def test_a_partition_that_left_and_came_back_starts_anew():
    """What was seen before it left says nothing of now."""
    watchdog = Watchdog()
    watchdog.look({"p": (5, 9)}, 0.0)
    watchdog.look({}, 1.0)
    assert ([], []) == watchdog.look({"p": (5, 9)}, STUCK_AFTER_S + 1)


@pytest.mark.parametrize(("away_s", "worked_s", "leaves"), [(4.9, 0.0, False), (5.1, 0.0, True), (60.0, 58.0, False)])
def test_a_process_that_was_frozen_leaves_and_one_that_worked_stays(monkeypatch, away_s, worked_s, leaves):
    """Half a session without running means that someone else may own the partitions; a long fold does not."""
    left = []
    monkeypatch.setattr(app.os, "_exit", left.append)
    clock = {"now": 0.0, "worked": 0.0}
    fence = Fence(lambda: clock["now"], lambda: clock["worked"])
    clock.update(now=away_s, worked=worked_s)
    fence.check()
    assert [75] * leaves == left
    assert SESSION_TIMEOUT_S / 2 == 5.0


@pytest.mark.parametrize(("generation", "assigned", "owned"), [(7, {"p"}, True), (6, {"p"}, False), (7, set(), False)])
def test_states_are_stored_only_while_the_partition_is_ours(generation, assigned, owned):
    """A batch of an earlier generation, or of a partition that left, is left to its new owner."""
    consumer = SimpleNamespace(assignment=lambda: assigned)
    worker = SimpleNamespace(consumer_generation_id=7, consumer=consumer)
    message = SimpleNamespace(generation_id=generation, tp="p", offset=3)
    assert owned == app._Group(worker).owned(SimpleNamespace(message=message))


def test_what_was_acked_is_offered_for_commit_until_a_later_batch_is():
    """A failed commit must not be the end of it: the last acked batch stays, earlier ones go."""
    consumer = SimpleNamespace(_acked={"p": [9, 19]}, _acked_index={"p": {9, 19}})
    assert 20 == Consumer._new_offset(consumer, "p")
    assert 20 == Consumer._new_offset(consumer, "p")
    assert [19] == consumer._acked["p"]


def test_while_all_partitions_are_paused_the_fetcher_looks_again_soon():
    """Faust would sleep for a second; a round is done within milliseconds."""
    consumer = SimpleNamespace(flow_active=True, app=SimpleNamespace(client_only=False), _get_active_partitions=set)
    waited = asyncio.wait_for(Consumer._wait_next_records(consumer, 1.0), 0.5)
    assert ({}, set()) == asyncio.run(waited)
