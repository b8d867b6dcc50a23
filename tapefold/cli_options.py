"""Options that several commands share, and what their values mean."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from producers.iem.clock import Clock
from tapefold import wiring
from tapefold.simulators.kalshi.faults import REST_KINDS
from topics.units import NS_PER_S

StateDir = Annotated[Path, typer.Option("--state-dir", help="Folder of the broker, the store and the agents' states.")]
Speed = Annotated[str, typer.Option(help="Recorded seconds per second: a number such as 1 or 60, or max.")]

ArchivePaths = Annotated[
    list[Path], typer.Option("--archive", exists=True, help="Recorded REST answers: files or folders; repeatable.")
]
RestFault = Annotated[
    list[str], typer.Option(help=f"KIND:CHANCE for every REST answer; KIND of {', '.join(REST_KINDS)}; repeatable.")
]
RestLimit = Annotated[int, typer.Option(help="More REST requests in a second get 429; 0: any.")]

Frames = Annotated[
    list[Path],
    typer.Option("--frames", exists=True, help="Recorded frames: NDJSON files (gzip or plain) or folders; repeatable."),
]
DropSeq = Annotated[int | None, typer.Option(help="Do not send the frame with this seq, once per subscription.")]
Stall = Annotated[float | None, typer.Option(help="Fall silent once, for this many seconds.")]
DisconnectEvery = Annotated[int | None, typer.Option(help="Cut the connection after every N frames.")]
Duplicate = Annotated[float, typer.Option(help="Send each frame twice with this probability.")]
Seed = Annotated[int, typer.Option(help="Seed of the simulator's chance.")]
StallAfter = Annotated[int, typer.Option(help="Frames before the silence of --stall begins.")]
Outage = Annotated[float, typer.Option("--outage-s", help="Recorded seconds that pass unheard after each cut.")]
ScenarioFile = Annotated[
    Path | None, typer.Option("--scenario", help="TOML: which faults, and when. See tapefold/simulators/scenario.py.")
]
Day = Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="First day of what is made up.")]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def speed_of(text: str) -> float | None:
    """Recorded seconds per second; None for `max`. Raises BadParameter."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not speed > 0:
        raise typer.BadParameter(f"expected a number above 0, or max, was {text!r}", param_hint="--speed")
    return speed


def time_ns_of(text: str | None, option: str) -> int | None:
    """A time such as 2025-04-04T12:00:00Z in nanoseconds; without a zone it is UTC. Raises BadParameter."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"expected a time such as 2025-04-04T12:00:00Z, was {text!r}", param_hint=option
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


def tape_of(at: str | None, otherwise_ns: int, speed: float) -> Clock:
    """A simulator's clock, which starts now: at `--at` or else at `otherwise_ns`. Raises BadParameter."""
    if not speed > 0:
        raise typer.BadParameter(f"expected a number above 0, was {speed}", param_hint="--speed")
    given_ns = time_ns_of(at, "--at")
    start_ns = otherwise_ns if given_ns is None else given_ns
    return Clock(wiring.now_ns, tape_ns=start_ns, wall_ns=wiring.now_ns(), speed=speed, name="tape")


def listed(text: str) -> list[str]:
    """The parts of `A,B`, in capitals."""
    return [part.strip().upper() for part in text.split(",") if part.strip()]


def time_text_of(time_ns: int) -> str:
    """Nanoseconds since the epoch as a time in UTC, exact."""
    seconds, rest_ns = divmod(time_ns, NS_PER_S)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"


def rest_fault_of(text: str) -> tuple[str, float]:
    """`503:0.1` -> kind and chance. Raises ValueError."""
    kind, _, chance = text.partition(":")
    return kind, float(chance)
