"""The clock of a producer: the wall, or the tape of the simulator that it asks."""

from producers.iem.clock import Clock, tape_clock
from tapefold import wiring
from topics.errors import SettingsError


def clock_of(text: str, variable: str) -> Clock:
    """`TAPE_NS:WALL_NS:SPEED`, as a simulator prints it; empty: the wall. Raises SettingsError that names the variable."""
    if not text:
        return Clock(wiring.now_ns)
    try:
        return tape_clock(text, wiring.now_ns)
    except ValueError as error:
        raise SettingsError(f"{variable}: {error}") from error
