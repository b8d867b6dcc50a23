"""`tapefold up` and `tapefold demo`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tapefold import begin, progress, wiring
from tapefold import demo as demo_queries
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
    speed_of,
)
from tapefold.screen import Screen
from tapefold.settings import DEFAULT_STATE_DIR, load_settings
from tapefold.stack import POLL_S, Recording, Stack
from topics.errors import Unavailable

Once = Annotated[bool, typer.Option("--once", help="End when the upstream has closed and every stage has drained.")]


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
    speed_of(speed)
    options = ["--stall-after", str(stall_after), "--outage-s", str(outage_s), "--duplicate", str(duplicate)]
    options += ["--seed", str(seed)]
    given = {"--drop-seq": drop_seq, "--stall": stall, "--disconnect-every": disconnect_every, "--scenario": scenario}
    options += [part for flag, value in given.items() if value is not None for part in (flag, str(value))]
    recording = Recording(tuple(frames), speed, tuple(options), tuple(archive)) if frames or archive else None
    _run_stack(state_dir, recording, once=once, show_demo=False)


def demo(once: Once = False, speed: Speed = "max", state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """Record the shipped weather market days, print what came of it and three queries with their answers."""
    speed_of(speed)
    _run_stack(state_dir, Recording((demo_queries.FRAMES,), speed), once=once, show_demo=True)


def _run_stack(given: Path, recording: Recording | None, *, once: bool, show_demo: bool) -> None:
    settings = load_settings()
    console = Console()
    screen = Screen(console)
    stack = Stack(settings, begin.state_dir(given, settings), screen.say)
    with wiring.stop_on_signals() as stop:
        try:
            stack.start(recording, until_closed=once or recording is not None)
            drained = told = False
            with screen.live():
                while not stop.is_set() and not (once and told):
                    stack.supervisor.look()
                    screen.look(stack.supervisor, stack.log, stack.tables)
                    if not drained and stack.upstream_ended():
                        screen.note("the upstream has closed; draining")
                        drained = stack.drain(stop, lambda text: _tick(screen, stack, text))
                    if drained and not told:
                        told = _told(screen, stack)
                        if told and show_demo:
                            demo_queries.show(console, stack.tables)
                    stop.wait(POLL_S)
        finally:
            screen.say("stopping")
            stack.stop()


def _told(screen: Screen, stack: Stack) -> bool:
    """Say that all is drained, and what is missing; False while the store is away, which the supervisor starts again."""
    try:
        missing = progress.missing(stack.tables)
    except Unavailable as error:
        screen.say(f"waiting: {error}")
        return False
    screen.note("drained; Ctrl-C stops all services in order")
    if missing:
        screen.say(missing)
    return True


def _tick(screen: Screen, stack: Stack, text: str) -> None:
    screen.note(text)
    screen.look(stack.supervisor, stack.log, stack.tables)
