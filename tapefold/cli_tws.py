"""`tapefold run tws` and `tapefold simulate tws`."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from tapefold import begin, manifests, services, wiring
from tapefold.cli_options import Day, ScenarioFile, listed, time_ns_of
from tapefold.manifests import Run
from tapefold.payloads.tws import Given
from tapefold.settings import DEFAULT_STATE_DIR
from tapefold.simulators import scenario as scenarios
from tapefold.simulators.tws.faults import Faults
from tapefold.simulators.tws.server import Clock, serve
from tapefold.simulators.tws.world import World, made_up, recorded
from topics.failpoint import with_failpoints
from topics.units import NS_PER_S

StateDir = Annotated[Path, typer.Option("--state-dir", help="Folder of the broker, and of what is owed.")]
Every = Annotated[int | None, typer.Option(help="Every Nth request for history meets it.")]


def run(
    date: Annotated[
        list[str], typer.Option("--date", help="Fetch YYYY-MM-DD, or FIRST..LAST, and end; repeatable.")
    ] = [],  # noqa: B006  # typer reads the default, nobody changes it
    symbol: Annotated[
        list[str], typer.Option("--symbol", help="Fetch these of TWS_SYMBOLS, and end; repeatable.")
    ] = [],  # noqa: B006
    backfill: Annotated[
        bool, typer.Option("--backfill", help="Fetch what outages and failures left, and end.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Print what --backfill would fetch, and end.")] = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Record bars of Interactive Brokers (TWS_SYMBOLS, TWS_HOST, TWS_PORT): live ones, and each day's after its close."""
    from tapefold import services_tws  # noqa: PLC0415  # ib_async, for this alone

    settings = begin.service("tws")
    folder = begin.state_dir(state_dir, settings)
    owed = services_tws.owed(settings, folder)
    if plan:
        for one in owed:
            typer.echo(f"{one.unit.date} {one.unit.symbol} {one.unit.what_to_show} {one.unit.bar_size}: {one.reason}")
        typer.echo(f"{len(owed)} to fetch")
        return
    log = wiring.open_log(settings, folder)
    clock = services_tws.clock_of(settings)
    configured = services_tws.configuration(settings, folder, wiring.partitions_of(log))
    units = None
    if date or symbol:
        units = services_tws.units_of(configured, clock, date, symbol)
    elif backfill:
        units = [one.unit for one in owed if one.unit.symbol in configured.specs]
    services.own(configured.folder)
    appender = with_failpoints(log.appender(), "tws", wiring.failpoints(settings))
    inputs = {"symbols": settings.tws_symbols, "units": "" if units is None else str(len(units))}
    counts = Run("tws", inputs, entity_of=str)
    with manifests.kept(counts, folder, ends=units is not None, now_ns=wiring.now_ns):
        results = services_tws.run_tws(configured, clock, appender, units, counts)
    if units is None:
        return
    for unit, fetched in sorted(results.items()):
        said = (
            f"{fetched.bars} bars"
            if fetched.reason is None
            else f"{fetched.reason} {fetched.code or ''} {fetched.text or ''}"
        )
        typer.echo(f"{unit.date} {unit.symbol}: {fetched.status}, {said.strip()}")
    if any(fetched.status == "failed" for fetched in results.values()):
        raise typer.Exit(1)


def simulate(  # noqa: PLR0917  # each is a flag
    bars: Annotated[
        list[Path],
        typer.Option("--bars", help="Recorded bars: files or folders; repeatable. None: made up from --seed."),
    ] = [],  # noqa: B006  # typer reads the default, nobody changes it
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    symbol: Annotated[str | None, typer.Option(help="The symbol, of files that name none.")] = None,
    zone: Annotated[str | None, typer.Option(help="The IANA time zone, of times that name none.")] = None,
    make_up: Annotated[str, typer.Option(help="Symbols to make up, separated by commas.")] = "AAPL,MSFT",
    date: Day = datetime(2025, 1, 13),  # noqa: DTZ001  # a day; typer reads the default
    days: Annotated[int, typer.Option(help="Days of what is made up.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of what is made up.")] = 1,
    at: Annotated[
        str | None, typer.Option(help="Simulated time at the start (ISO, UTC); else the last bar's end.")
    ] = None,
    speed: Annotated[float, typer.Option(help="Simulated seconds per second.")] = 1.0,
    strict_pacing: Annotated[bool, typer.Option("--strict-pacing", help="Rules of small bars hold for all.")] = False,
    pacing_every: Every = None,
    empty_every: Every = None,
    silent_every: Every = None,
    late_every: Every = None,
    late_s: Annotated[float, typer.Option("--late-s", help="How late, in seconds.")] = 5.0,
    disconnect_every: Every = None,
    lose_after: Annotated[int | None, typer.Option(help="After so many requests 1100, once.")] = None,
    outage_s: Annotated[float, typer.Option("--outage-s", help="Seconds until the line is restored.")] = 5.0,
    restored: Annotated[Literal["1101", "1102"], typer.Option(help="What is said then.")] = "1101",
    revise_every: Annotated[int | None, typer.Option(help="Every Nth bar is another one when asked for again.")] = None,
    scenario: ScenarioFile = None,
) -> None:
    """Interactive Brokers' TWS at its socket. Prints the variables that point `run tws` at it."""
    begin.service("simulator")
    try:
        faults = Faults(
            pacing_every=pacing_every,
            empty_every=empty_every,
            silent_every=silent_every,
            late_every=late_every,
            late_s=late_s,
            disconnect_every=disconnect_every,
            lose_after=lose_after,
            outage_s=outage_s,
            restored=1101 if restored == "1101" else 1102,
            revise_every=revise_every,
            scenario=scenarios.read(scenario, "tws"),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    at_ns = time_ns_of(at, "--at")
    world = recorded(bars, Given(symbol, zone)) if bars else made_up(listed(make_up), date.date(), days, seed)
    begin_ns = world.end_s() * NS_PER_S if at_ns is None else at_ns
    asyncio.run(_serve(world, faults, port=port, at_ns=begin_ns, speed=speed, strict_pacing=strict_pacing))


async def _serve(world: World, faults: Faults, *, port: int, at_ns: int, speed: float, strict_pacing: bool) -> None:
    stop = wiring.stop_of_loop()
    begun_ns = wiring.now_ns()
    clock = Clock(lambda: (wiring.now_ns() - begun_ns) / NS_PER_S, at_ns / NS_PER_S, speed, begun_s=0.0)

    def ready(host: str, taken: int) -> None:
        typer.echo(f"TWS_HOST={host}")
        typer.echo(f"TWS_PORT={taken}")
        typer.echo(f"TWS_TAPE={at_ns}:{begun_ns}:{speed}")
        typer.echo(f"TWS_SYMBOLS={','.join(world.contracts)}")

    counters = await serve(
        world, faults=faults, clock=clock, strict_pacing=strict_pacing, port=port, on_ready=ready, stop=stop
    )
    typer.echo(str(counters))
