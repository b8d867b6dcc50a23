"""Options that several commands share, and what their values mean."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from tapefold.simulators.kalshi.faults import REST_KINDS
from topics.units import NS_PER_S

StateDir = Annotated[Path, typer.Option("--state-dir", help="Folder of the broker, the store and the agents' states.")]
Speed = Annotated[str, typer.Option(help="Recorded seconds per second: a number such as 1 or 60, or max.")]

ArchivePaths = Annotated[
    list[Path], typer.Option("--archive", help="Recorded REST answers: files or folders; repeatable.")
]
RestFault = Annotated[
    list[str], typer.Option(help=f"KIND:CHANCE for every REST answer; KIND of {', '.join(REST_KINDS)}; repeatable.")
]
RestLimit = Annotated[int, typer.Option(help="More REST requests in a second get 429; 0: any.")]

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


def time_text_of(time_ns: int) -> str:
    """Nanoseconds since the epoch as a time in UTC, exact."""
    seconds, rest_ns = divmod(time_ns, NS_PER_S)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"


def rest_fault_of(text: str) -> tuple[str, float]:
    """`503:0.1` -> kind and chance. Raises ValueError."""
    kind, _, chance = text.partition(":")
    return kind, float(chance)
