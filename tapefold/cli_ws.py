"""`tapefold run ws`."""

from typing import Annotated

import typer

from tapefold import begin, services_ws
from tapefold.cli_options import StateDir
from tapefold.settings import DEFAULT_STATE_DIR


def run(
    until_closed: Annotated[
        bool, typer.Option("--until-closed", help="End when the exchange closes in order.")
    ] = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Record Kalshi's WebSocket (KALSHI_SERIES, KALSHI_MARKETS, KALSHI_API_KEY_ID, KALSHI_PRIVATE_KEY_PATH)."""
    settings = begin.service("ws")
    services_ws.run_ws(settings, begin.state_dir(state_dir, settings), until_closed=until_closed)
