"""The producer's clock: the wall, or for a simulated upstream the time that its tape has reached. Pure."""

from collections.abc import Callable

from producers.publish import ClockName
from topics.units import NS_PER_S


class Clock:
    """Tape time `tape_ns` stood at wall time `wall_ns`, and goes `speed` times as fast. It never goes back.

    The wall itself is the clock with no tape: both at 0, speed 1.
    """

    def __init__(
        self,
        read_ns: Callable[[], int],
        *,
        tape_ns: int = 0,
        wall_ns: int = 0,
        speed: float = 1.0,
        name: ClockName = "wall",
    ) -> None:
        self.name: ClockName = name
        self.speed = speed
        self._read_ns = read_ns
        self._tape_ns = tape_ns
        self._wall_ns = wall_ns
        self._latest_ns = 0

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        past_ns = self._read_ns() - self._wall_ns
        self._latest_ns = max(
            self._latest_ns, self._tape_ns + (past_ns if self.speed == 1.0 else int(past_ns * self.speed))
        )
        return self._latest_ns

    @property
    def text(self) -> str:
        """`TAPE_NS:WALL_NS:SPEED`, which `tape_clock` reads."""
        return f"{self._tape_ns}:{self._wall_ns}:{self.speed}"

    def wall_s(self, tape_ns: int) -> float:
        """How long a span of this clock takes on the wall, in seconds."""
        return tape_ns / NS_PER_S / self.speed


def tape_clock(text: str, read_ns: Callable[[], int]) -> Clock:
    """`TAPE_NS:WALL_NS:SPEED`, as `tapefold simulate iem` prints it. Raises ValueError."""
    parts = text.split(":")
    if len(parts) != 3 or not (parts[0].isdigit() and parts[1].isdigit()):  # noqa: PLR2004  # the form has three parts
        raise ValueError(f"expected TAPE_NS:WALL_NS:SPEED, was {text!r}")
    speed = float(parts[2])
    if not 0 < speed < 1e6:  # noqa: PLR2004  # faster than any test needs; refuses NaN too
        raise ValueError(f"expected a speed above 0, was {text!r}")
    return Clock(read_ns, tape_ns=int(parts[0]), wall_ns=int(parts[1]), speed=speed, name="tape")
