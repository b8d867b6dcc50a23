"""Recorder and agents die at every place that they name, in the whole stack: the tables of an undisturbed run."""

import pytest
from stack import differences, kill_all, run_up, start_up

from tapefold import wiring
from tapefold.simulators.kalshi.world import made_up_lines

FRAMES = 6_000
PARTS = ("ws", "ingest", "fold")
DEATHS = 2  # of one that begins, and of the one that takes over what it left


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """A short made-up recording."""
    path = tmp_path_factory.mktemp("frames") / "world.ndjson"
    path.write_bytes(b"\n".join(made_up_lines(seed=6, frames=FRAMES)))
    return path


def die_and_go_on(frames, state_dir, place):
    """Let a part die there until it has died twice, end all, start all again without the place; compare."""
    part = place.partition(".")[0]
    process = start_up(frames, state_dir, TAPEFOLD_FAILPOINT=place)
    deaths = 0
    for line in process.stdout:
        deaths += f"{part} ended with code {wiring.FAILPOINT_EXIT}" in line
        if deaths == DEATHS:
            break
    kill_all(process)
    assert deaths > 0, f"{place} was never passed"
    run_up(frames, state_dir)
    assert [] == differences(state_dir, frames)


PLACES = ("append:1", "append:700", "before_flush:1", "after_flush:1", "after_flush:4")


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("part", "place"),
    # The recorder confirms each append by its callback, and flushes once: when it ends.
    [(part, place) for part in PARTS for place in PLACES if (part, place) != ("ws", "after_flush:4")],
)
def test_a_part_that_dies_at_any_place(frames, tmp_path, part, place):
    """In its first batch, in a middle one, and in the one that its successor takes over."""
    die_and_go_on(frames, tmp_path, f"{part}.{place}")
