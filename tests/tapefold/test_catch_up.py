from tapefold.catch_up import CatchUp, catch_up


def test_the_time_left_is_what_is_left_by_what_was_done() -> None:
    """Ten seconds, 5,000 records, 2,000 left: four seconds."""
    assert CatchUp(2_000, 500.0, 4.0) == catch_up(1_000, 6_000, 10.0, 2_000)


def test_no_time_is_told_that_nobody_can_know() -> None:
    """A sink that stands still will never arrive, one without a lag has arrived."""
    assert CatchUp(7, 0.0, None) == catch_up(5, 5, 10.0, 7)
    assert CatchUp(0, 1.0, None) == catch_up(0, 10, 10.0, 0)
