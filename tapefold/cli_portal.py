"""`tapefold run portal`."""

import typer

from tapefold import begin
from tapefold.cli_options import StateDir
from tapefold.portal import serving
from tapefold.settings import DEFAULT_STATE_DIR


def run(state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """The health page on 127.0.0.1 (WEB_PORTAL_PORT, 8403): /health, and /healthz with 503 when something is RED."""
    settings = begin.service("portal")
    serving.run(settings, begin.state_dir(state_dir, settings), typer.echo)
