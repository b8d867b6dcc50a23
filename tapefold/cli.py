"""The command `tapefold`."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from rich.console import Console

from sinks.tables import StatementRefused
from tapefold import (
    cli_audit,
    cli_iem,
    cli_kalshi,
    cli_policy,
    cli_portal,
    cli_proofs,
    cli_quality,
    cli_rag,
    cli_rest,
    cli_sink,
    cli_standing,
    cli_tws,
    cli_webhook,
    query,
    services,
    wiring,
)
from tapefold import demo as demo_queries
from tapefold.begin import service as _service
from tapefold.begin import state_dir as _state_dir
from tapefold.cli_options import (
    ArchivePaths,
    DisconnectEvery,
    DropSeq,
    Duplicate,
    Frames,
    Outage,
    ScenarioFile,
    Seed,
    Speed,
    Stall,
    StallAfter,
    StateDir,
)
from tapefold.cli_options import speed_of as _speed
from tapefold.local.errors import LocalError
from tapefold.local.jars import ensure_jars
from tapefold.payloads import records
from tapefold.payloads import tws as tws_payloads
from tapefold.payloads.sources import SOURCES, Source
from tapefold.screen import Screen
from tapefold.settings import DEFAULT_STATE_DIR, load_settings
from tapefold.simulators.kalshi.recording import BadRecording
from tapefold.simulators.tws.world import NoBars
from tapefold.stack import POLL_S, Recording, Stack
from tapefold.supervisor import EXIT_REFUSED, EXIT_UNAVAILABLE
from topics.errors import TapefoldError, Unavailable
from topics.tws import WhatToShow

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
run_app = typer.Typer(no_args_is_help=True, help="Run one service in this terminal.")
simulate_app = typer.Typer(no_args_is_help=True, help="Simulate an upstream, in its own protocol.")
run_app.command("iem")(cli_iem.run)
run_app.command("rest")(cli_rest.run)
simulate_app.command("iem")(cli_iem.simulate)
simulate_app.command("kalshi")(cli_kalshi.simulate)
run_app.command("tws")(cli_tws.run)
simulate_app.command("tws")(cli_tws.simulate)
app.add_typer(cli_proofs.app)
app.command("availability")(cli_iem.availability)
app.add_typer(run_app, name="run")
cli_standing.add_to(cli_audit.app)  # another kind of audit joins the same app
app.add_typer(cli_audit.app, name="audit")
app.add_typer(cli_sink.app, name="sink")
app.add_typer(simulate_app, name="simulate")
app.add_typer(cli_policy.app, name="policy")
app.add_typer(cli_quality.app, name="quality")
app.add_typer(cli_webhook.app, name="webhook")
run_app.command("webhook")(cli_webhook.receive)
run_app.command("portal")(cli_portal.run)
run_app.command("rag")(cli_rag.run)
simulate_app.command("webhook")(cli_webhook.simulate)

SourceName = Annotated[str, typer.Argument(metavar="SOURCE", help=f"One of {', '.join(SOURCES)}.")]
Symbol = Annotated[str | None, typer.Option("--symbol", help="tws: the symbol, of files that name none.")]
Zone = Annotated[str | None, typer.Option("--zone", help="tws: the IANA time zone, of times that name none.")]
What = Annotated[WhatToShow | None, typer.Option("--what-to-show", help="tws: what bars without a volume are of.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Recorded payloads, plain or gzip; or folders.")]
Recorder = Annotated[
    str | None, typer.Option(help="Who recorded the files and stamped them; without it, the name of their folder.")
]
Once = Annotated[bool, typer.Option("--once", help="End when the upstream has closed and every stage has drained.")]


@app.command()
def up(  # noqa: PLR0917  # each is a flag
    frames: Frames = [],  # noqa: B006  # typer reads the default, nobody changes it
    archive: ArchivePaths = [],  # noqa: B006
    speed: Speed = "1",
    once: Once = False,
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
    """Run broker, store, migrations, producers, agents and sink in this terminal; Ctrl-C stops them in order."""
    _speed(speed)
    options = ["--stall-after", str(stall_after), "--outage-s", str(outage_s), "--duplicate", str(duplicate)]
    options += ["--seed", str(seed)]
    given = {"--drop-seq": drop_seq, "--stall": stall, "--disconnect-every": disconnect_every, "--scenario": scenario}
    options += [part for flag, value in given.items() if value is not None for part in (flag, str(value))]
    recording = Recording(tuple(frames), speed, tuple(options), tuple(archive)) if frames or archive else None
    _run_stack(state_dir, recording, once=once, show_demo=False)


@app.command()
def demo(once: Once = False, speed: Speed = "max", state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """Record the shipped weather market days, print what came of it and three queries with their answers."""
    _speed(speed)
    _run_stack(state_dir, Recording((demo_queries.FRAMES,), speed), once=once, show_demo=True)


def _run_stack(given: Path, recording: Recording | None, *, once: bool, show_demo: bool) -> None:
    settings = load_settings()
    console = Console()
    screen = Screen(console)
    stack = Stack(settings, _state_dir(given, settings), screen.say)
    with wiring.stop_on_signals() as stop:
        try:
            stack.start(recording, until_closed=once or recording is not None)
            drained = told = False
            with screen.live():
                while not stop.is_set() and not (once and drained):
                    stack.supervisor.look()
                    screen.look(stack.supervisor, stack.log, stack.tables)
                    if not drained and stack.upstream_ended():
                        screen.note("the upstream has closed; draining")
                        drained = stack.drain(stop, lambda text: _tick(screen, stack, text))
                    if drained and not told:
                        told = True
                        screen.note("drained; Ctrl-C stops all services in order")
                        if show_demo:
                            demo_queries.show(console, stack.tables)
                    stop.wait(POLL_S)
        finally:
            screen.say("stopping")
            stack.stop()


def _tick(screen: Screen, stack: Stack, text: str) -> None:
    screen.note(text)
    screen.look(stack.supervisor, stack.log, stack.tables)


@app.command()
def sql(
    statement: Annotated[str, typer.Argument(help="A statement in ClickHouse's SQL.")],
    output_format: Annotated[
        Literal["table", "json", "csv", "arrow"],
        typer.Option("--format", help="json: an array of rows, decimals as strings; arrow: a stream."),
    ] = "table",
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Ask the store, whether the stack runs or not."""
    settings = load_settings()
    with query.opened_tables(settings, _state_dir(state_dir, settings)) as tables:
        sys.stdout.buffer.write(query.answer(tables, statement, output_format))
        sys.stdout.flush()


def _source(name: str, given: tws_payloads.Given) -> Source:
    if name not in SOURCES:
        raise typer.BadParameter(f"expected one of {', '.join(SOURCES)}, was {name!r}", param_hint="SOURCE")
    source = SOURCES[name]
    return source._replace(payloads=partial(tws_payloads.payloads, given=given)) if name == "tws" else source


@app.command()
def parse(  # noqa: PLR0917  # each is a flag
    source: SourceName,
    files: Files,
    recorder: Recorder = None,
    symbol: Symbol = None,
    zone: Zone = None,
    what_to_show: What = None,
) -> None:
    """Print the facts and refusals of recorded payloads as NDJSON, by the parser of the live path."""
    load_settings()  # the stations that a user has set hold here, too
    found = _source(source, tws_payloads.Given(symbol, zone, what_to_show))
    counts = records.parse(source, found, files, recorder, now_ns=wiring.now_ns, out=typer.echo)
    typer.echo(", ".join(f"{count} {name}" for name, count in counts.items()), err=True)


@app.command()
def load(  # noqa: PLR0917  # each is a flag
    source: SourceName,
    files: Files,
    recorder: Recorder = None,
    symbol: Symbol = None,
    zone: Zone = None,
    what_to_show: What = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Append recorded payloads to the log of the running (or configured) broker."""
    settings = load_settings()
    log = wiring.open_log(settings, _state_dir(state_dir, settings))
    appender = log.appender()
    loaded = records.load(
        source,
        _source(source, tws_payloads.Given(symbol, zone, what_to_show)),
        files,
        recorder,
        appender=appender,
        partitions=wiring.partitions_of(log),
        now_ns=wiring.now_ns,
    )
    appender.close()
    typer.echo(f"{loaded} payloads of {source} appended")


@app.command()
def migrate(state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """Create the topics and the tables on the running (or configured) broker and store."""
    settings = load_settings()
    folder = _state_dir(state_dir, settings)
    log, tables = wiring.open_log(settings, folder), wiring.open_tables(settings, folder)
    created, applied, version = wiring.migrate(settings, log, tables)
    typer.echo(f"topics created: {', '.join(created) or 'none'}")
    typer.echo(f"migrations applied: {', '.join(applied) or 'none'}; schema version {version}")


@app.command()
def setup() -> None:
    """Fetch what the embedded broker needs (once per machine)."""
    ensure_jars(typer.echo)


@run_app.command("store")
def run_store(
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    host: Annotated[str, typer.Option(help="A loopback address; others are refused.")] = "127.0.0.1",
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """The embedded store: ClickHouse's HTTP interface over chdb."""
    from tapefold.local.store.server import serve  # noqa: PLC0415  # chdb: 200 MB and a third of a second, for this alone

    serve(_state_dir(state_dir, load_settings()), host=host, port=port, on_ready=typer.echo)


@run_app.command("broker")
def run_broker(
    port: Annotated[int | None, typer.Option(help="Without it the last one, or a free one.")] = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """The embedded Kafka broker."""
    from tapefold.local.kafka import LocalKafka  # noqa: PLC0415  # only this command needs it

    with (
        wiring.stop_on_signals() as stop,
        LocalKafka(_state_dir(state_dir, load_settings()), port=port, progress=typer.echo) as broker,
    ):
        typer.echo(broker.address.bootstrap)
        while not stop.wait(1.0):
            broker.check()


@run_app.command("ws")
def run_ws(
    until_closed: Annotated[
        bool, typer.Option("--until-closed", help="End when the exchange closes in order.")
    ] = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Record Kalshi's WebSocket (KALSHI_SERIES, KALSHI_MARKETS, KALSHI_API_KEY_ID, KALSHI_PRIVATE_KEY_PATH)."""
    settings = _service("ws")
    services.run_ws(settings, _state_dir(state_dir, settings), until_closed=until_closed)


@run_app.command("ingest")
def run_ingest(slot: Annotated[str, typer.Option()] = "0", state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """Parse raw records into facts."""
    settings = _service("ingest")
    services.run_agents(settings, _state_dir(state_dir, settings), "ingest", slot)


@run_app.command("fold")
def run_fold(slot: Annotated[str, typer.Option()] = "0", state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """Fold facts into books, bars and gaps."""
    settings = _service("fold")
    services.run_agents(settings, _state_dir(state_dir, settings), "fold", slot)


@run_app.command("sink")
def run_sink(state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """Write the log into ClickHouse."""
    settings = _service("sink")
    services.run_sink(settings, _state_dir(state_dir, settings))


# What one command needs and the others do without.
_NEEDED_FOR = {
    "chdb": "the embedded store",
    "ib_async": "`run tws`",
    "jgo": "the embedded broker",
}


def main() -> NoReturn:
    """Run the command; errors that we raise on purpose end it with their words alone."""
    try:
        app(standalone_mode=True)
    except Unavailable as error:
        typer.echo(f"tapefold: {error}", err=True)
        sys.exit(EXIT_UNAVAILABLE)
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED_FOR:
            raise
        typer.echo(
            f"tapefold: {error.name} is required for {_NEEDED_FOR[error.name]}: install it, or requirements.lock",
            err=True,
        )
        sys.exit(EXIT_REFUSED)
    except (TapefoldError, LocalError, BadRecording, NoBars, StatementRefused) as error:
        typer.echo(f"tapefold: {error}", err=True)
        sys.exit(EXIT_REFUSED)
    sys.exit(0)
