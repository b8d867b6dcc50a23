"""`tapefold run rag`."""

from typing import Annotated

import typer

from tapefold import begin, services_rag
from tapefold.cli_options import StateDir
from tapefold.settings import DEFAULT_STATE_DIR


def run(
    once: Annotated[bool, typer.Option("--once", help="One round of questions, then end.")] = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Ask the predictor at RAG_URL about the open markets of KALSHI_SERIES, with what is known now; needs PREDICTION_ENABLE=1."""
    settings = begin.service("rag")
    services_rag.run_rag(settings, begin.state_dir(state_dir, settings), once=once)
