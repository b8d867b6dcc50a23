"""`tapefold run iem`, `tapefold simulate iem`, `tapefold availability`."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from tapefold import begin, query, services_iem, wiring
from tapefold.cli_options import ScenarioFile, StateDir, listed, tape_of
from tapefold.settings import DEFAULT_STATE_DIR, load_settings
from tapefold.simulators import scenario as scenarios
from tapefold.simulators.iem.archive import Archive
from tapefold.simulators.iem.faults import KINDS, Faults, Kind
from tapefold.simulators.iem.generated import Chances, Generated
from tapefold.simulators.iem.server import Simulator, serve
from topics.iem import MODELS
from topics.units import NS_PER_DAY, NS_PER_S

Chance = Annotated[float, typer.Option(help="Chance of each, from 0 to 1.")]
_DAY = "%Y-%m-%d"


def run(  # noqa: PLR0917  # each is a flag
    since: Annotated[
        datetime | None, typer.Option("--from", formats=[_DAY], help="First UTC day of history; without it, live only.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=[_DAY], help="Last UTC day of history; without it, yesterday.")
    ] = None,
    live: Annotated[bool, typer.Option(help="Watch for new runs and reports.")] = True,
    until_done: Annotated[bool, typer.Option("--until-done", help="End when history is over.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Ask for history that earlier runs completed, too.")] = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Record forecasts and climate reports of IEM (IEM_STATIONS, IEM_MODELS), live and of the past."""
    settings = begin.service("iem")
    span_ns: tuple[int, int] | None = None
    if since is not None:
        end_ns = wiring.now_ns() // NS_PER_DAY * NS_PER_DAY if until is None else _ns(until) + NS_PER_DAY
        if end_ns <= _ns(since):
            raise typer.BadParameter(f"expected a day not before --from, was {until}", param_hint="--to")
        span_ns = (_ns(since), end_ns)
    folder = begin.state_dir(state_dir, settings)
    services_iem.run_iem(settings, folder, span_ns=span_ns, live=live, until_done=until_done, again=again)


def availability(
    output_format: Annotated[Literal["table", "json", "csv", "arrow"], typer.Option("--format")] = "table",
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """How long after its nominal time each run could be used: p50, p90, p99, max, by model, station and cycle."""
    settings = load_settings()
    statement = "SELECT * FROM tapefold_api.availability ORDER BY source, model, station, cycle, known_by"
    with query.opened_tables(settings, begin.state_dir(state_dir, settings)) as tables:
        sys.stdout.buffer.write(query.answer(tables, statement, output_format))
        sys.stdout.flush()


def simulate(  # noqa: PLR0917  # each is a flag
    archive: Annotated[
        list[Path],
        typer.Option("--archive", help="Recorded answers: files or folders; repeatable. None: made up from --seed."),
    ] = [],  # noqa: B006  # typer reads the default, nobody changes it
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    make_up: Annotated[str, typer.Option(help="Stations to make up, separated by commas.")] = "KNYC,KMIA,KMDW",
    seed: Annotated[int, typer.Option(help="Seed of what is made up, and of the faults.")] = 1,
    at: Annotated[
        str | None, typer.Option(help="Simulated time at the start (ISO, UTC); else the wall, or before the archive.")
    ] = None,
    speed: Annotated[float, typer.Option(help="Simulated seconds per second.")] = 1.0,
    late: Chance = 0.0,
    missing: Chance = 0.0,
    duplicate: Chance = 0.0,
    conflict: Chance = 0.0,
    correction: Chance = 0.0,
    fault: Annotated[
        list[str], typer.Option(help=f"KIND:CHANCE for every answer; KIND of {', '.join(KINDS)}; repeatable.")
    ] = [],  # noqa: B006
    scenario: ScenarioFile = None,
    limit_per_second: Annotated[int, typer.Option(help="More requests in a second are 429; 0: any.")] = 0,
) -> None:
    """IEM's tables, reports and lists over HTTP. Prints the variables that point `run iem` at it."""
    begin.service("simulator")
    try:
        chances = Chances(late, missing, duplicate, conflict, correction)
        script = scenarios.read(scenario, "iem")
        made_up = Generated(listed(make_up), seed=seed, chances=chances, scenario=script)
        holdings = Archive(archive) if archive else made_up
        faults = Faults(tuple(map(_fault, fault)), script, limit_per_second)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    clock = tape_of(at, holdings.span_ns()[0] if isinstance(holdings, Archive) else wiring.now_ns(), speed)
    simulator = Simulator(holdings, clock, faults=faults, seed=seed)

    def ready(url: str) -> None:
        typer.echo(f"IEM_BASE_URL={url}")
        typer.echo(f"IEM_STATIONS={','.join(holdings.stations())}")
        typer.echo(f"IEM_MODELS={','.join(MODELS)}")
        typer.echo(f"IEM_TAPE={clock.text}")

    async def until_stopped() -> None:
        stop = wiring.stop_of_loop()
        await serve(simulator, port=port, on_ready=ready, stop=stop)

    asyncio.run(until_stopped())
    typer.echo(str(simulator.counters))


def _fault(text: str) -> tuple[Kind, float]:
    name, _, chance = text.partition(":")
    for kind in KINDS:
        if kind == name:
            return kind, float(chance)
    raise ValueError(f"--fault: expected KIND:CHANCE with a kind of {', '.join(KINDS)}, was {text!r}")


def _ns(day: datetime) -> int:
    return int(day.replace(tzinfo=UTC).timestamp()) * NS_PER_S
