"""`tapefold run rest`."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from producers.kalshi.rest.recorder import Span
from tapefold import begin, services_rest, wiring
from tapefold.cli_options import StateDir
from tapefold.settings import DEFAULT_STATE_DIR
from topics.units import NS_PER_S

_DAY = "%Y-%m-%d"
_S_PER_DAY = 86_400


def run(
    since: Annotated[
        datetime | None, typer.Option("--from", formats=[_DAY], help="First UTC day of closes; without it, no history.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=[_DAY], help="Last UTC day of closes; without it, today.")
    ] = None,
    until_done: Annotated[bool, typer.Option("--until-done", help="One round of everything, then end.")] = False,
    leave_out: Annotated[
        bool,
        typer.Option(
            "--leave-out-unresolved",
            help="Name series and markets without a station of the registry as gaps, and end without an error.",
        ),
    ] = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Record series, events, markets, outcomes, trades, candles of KALSHI_SERIES over REST, now and of the past."""
    settings = begin.service("rest")
    span: Span | None = None
    if since is not None:
        end_s = wiring.now_ns() // NS_PER_S if until is None else _seconds(until) + _S_PER_DAY
        if end_s <= _seconds(since):
            raise typer.BadParameter(f"expected a day not before --from, was {until}", param_hint="--to")
        span = Span(_seconds(since), end_s)
    folder = begin.state_dir(state_dir, settings)
    services_rest.run_rest(settings, folder, services_rest.Asked(span, until_done, leave_out))


def _seconds(day: datetime) -> int:
    return int(day.replace(tzinfo=UTC).timestamp())
