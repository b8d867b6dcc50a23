"""`tapefold simulate kalshi`."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from producers.iem.clock import Clock
from tapefold import begin, wiring
from tapefold.cli_options import (
    ArchivePaths,
    Day,
    DisconnectEvery,
    DropSeq,
    Duplicate,
    Frames,
    Outage,
    RestFault,
    RestLimit,
    ScenarioFile,
    Seed,
    Speed,
    Stall,
    StallAfter,
    StateDir,
    listed,
    rest_fault_of,
    speed_of,
    tape_of,
)
from tapefold.settings import DEFAULT_STATE_DIR
from tapefold.simulators import scenario as scenarios
from tapefold.simulators.kalshi import server
from tapefold.simulators.kalshi.archive import Archive
from tapefold.simulators.kalshi.faults import Faults, RestFaults
from tapefold.simulators.kalshi.keys import ensure_keypair
from tapefold.simulators.kalshi.made_up import MadeUp, made_up_of
from topics.units import NS_PER_S


class _Upstream(NamedTuple):
    """What there is to tell. variables: what points the recorders at it, beside address and key."""

    frames: list[Path]
    archive: Archive | None
    clock: Clock | None
    variables: dict[str, str]


def simulate(  # noqa: PLR0917  # each is a flag
    frames: Frames = [],  # noqa: B006  # typer reads the default, nobody changes it
    archive: ArchivePaths = [],  # noqa: B006
    make_up: Annotated[str, typer.Option(help="Weather series to make up, separated by commas.")] = "",
    date: Day = datetime(2026, 3, 8),  # noqa: DTZ001  # a day; typer reads the default
    days: Annotated[int, typer.Option(help="Climate days of what is made up.")] = 1,
    pause_s: Annotated[float, typer.Option("--pause-s", help="Between two happenings of a made-up market.")] = 120.0,
    at: Annotated[str | None, typer.Option(help="Simulated time of REST at the start; else where it begins.")] = None,
    rest_fault: RestFault = [],  # noqa: B006
    rest_limit: RestLimit = 0,
    speed: Speed = "1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    drop_seq: DropSeq = None,
    stall: Stall = None,
    stall_after: StallAfter = 1_000,
    disconnect_every: DisconnectEvery = None,
    outage_s: Outage = 2.0,
    duplicate: Duplicate = 0.0,
    seed: Seed = 1,
    scenario: ScenarioFile = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Kalshi's WebSocket and REST API, of recorded frames and answers or made up. Prints where they are."""
    if bool(make_up) == bool(frames or archive):
        raise typer.BadParameter("expected --frames or --archive, or both, or else --make-up")
    settings = begin.service("simulator")
    folder = begin.state_dir(state_dir, settings)
    try:
        faults = Faults(
            drop_seq=drop_seq,
            stall_s=stall,
            stall_after_frames=stall_after,
            disconnect_every_frames=disconnect_every,
            outage_s=outage_s,
            duplicate_probability=duplicate,
            scenario=scenarios.read(scenario, "kalshi.ws"),
        )
        rest_script = scenarios.read(scenario, "kalshi.rest")
        rest_faults = RestFaults(tuple(map(rest_fault_of, rest_fault)), rest_limit, rest_script)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if make_up:
        series, weather = listed(make_up), scenarios.read(scenario, "iem")
        made = made_up_of(series, date.date(), days, seed=seed, weather=weather, pause_s=pause_s)
        upstream = _made_up(made, series, folder / "made-up" / "frames.ndjson", at, speed_of(speed))
    else:
        upstream = _Upstream(frames, Archive(archive) if archive else None, None, {})
    asyncio.run(_serve(upstream, folder / "keys", faults, rest_faults, port=port, speed=speed_of(speed), seed=seed))


async def _serve(
    upstream: _Upstream,
    keys: Path,
    faults: Faults,
    rest_faults: RestFaults,
    *,
    port: int,
    speed: float | None,
    seed: int,
) -> None:
    key_id, key_path, public_key = ensure_keypair(keys)

    def ready(url: str) -> None:
        rest_url = f"{url.replace('ws://', 'http://').removesuffix('/ws/v2')}/v2"
        typer.echo(f"KALSHI_WS_URL={url}\nKALSHI_REST_URL={rest_url}")
        typer.echo(f"KALSHI_API_KEY_ID={key_id}\nKALSHI_PRIVATE_KEY_PATH={key_path}")
        for name, value in upstream.variables.items():
            typer.echo(f"{name}={value}")

    stop = wiring.stop_of_loop()
    counters = await server.serve(
        upstream.frames,
        public_key=public_key,
        key_id=key_id,
        port=port,
        speed=speed,
        faults=faults,
        seed=seed,
        on_ready=ready,
        clock_ms=wiring.now_ms,
        stop=stop,
        archive=upstream.archive,
        rest_faults=rest_faults,
        tape_ns=None if upstream.clock is None else upstream.clock.now_ns,
    )
    typer.echo(str(counters))


def _made_up(made: MadeUp, series: list[str], path: Path, at: str | None, speed: float | None) -> _Upstream:
    """The made-up markets: the socket's frames as a file, REST by its clock; as fast as can be, REST has it all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\n".join(made.lines) + b"\n")
    variables = {
        "KALSHI_SERIES": ",".join(series), "KALSHI_MARKETS": ",".join(made.tickers),
        "WS_CLOCK": "tape", "WS_FAILURE_THRESHOLD": "0",
    }  # fmt: skip
    if speed is None:
        return _Upstream([path], Archive((), told=made.told), None, variables)
    clock = tape_of(at, made.start_ns, speed)
    variables["REST_TAPE"] = clock.text
    archive = Archive((), told=made.told, now_s=lambda: clock.now_ns() / NS_PER_S)
    return _Upstream([path], archive, clock, variables)
