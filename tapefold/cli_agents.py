"""`tapefold run ingest` and `tapefold run fold`."""

from typing import Annotated

import typer

from tapefold import begin, services_agents
from tapefold.cli_options import StateDir
from tapefold.settings import DEFAULT_STATE_DIR


def ingest(slot: Annotated[str, typer.Option()] = "0", state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """Parse raw records into facts."""
    settings = begin.service("ingest")
    services_agents.run_agents(settings, begin.state_dir(state_dir, settings), "ingest", slot)


def fold(slot: Annotated[str, typer.Option()] = "0", state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """Fold facts into books, bars and gaps."""
    settings = begin.service("fold")
    services_agents.run_agents(settings, begin.state_dir(state_dir, settings), "fold", slot)
