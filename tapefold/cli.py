"""The command `tapefold`: which module does what, and how it ends."""

import sys
from importlib import import_module
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from tapefold.local.errors import LocalError
from tapefold.supervisor import EXIT_REFUSED, EXIT_UNAVAILABLE
from topics.errors import TapefoldError, Unavailable

# Command -> the function, or the group of commands, that it is. A module is imported when its command is called: all of
# them together take 1.5 s of a processor and 100 MB, of each of a dozen services.
_RUN = {
    "broker": "cli_local:broker",
    "store": "cli_local:store",
    "ws": "cli_ws:run",
    "rest": "cli_rest:run",
    "iem": "cli_iem:run",
    "tws": "cli_tws:run",
    "webhook": "cli_webhook:receive",
    "rag": "cli_rag:run",
    "ingest": "cli_agents:ingest",
    "fold": "cli_agents:fold",
    "sink": "cli_sink:run",
    "portal": "cli_portal:run",
}
_SIMULATE = {
    "kalshi": "cli_kalshi:simulate",
    "iem": "cli_iem:simulate",
    "tws": "cli_tws:simulate",
    "webhook": "cli_webhook:simulate",
}
_COMMANDS = {
    "up": "cli_stack:up",
    "demo": "cli_stack:demo",
    "sql": "cli_store:sql",
    "run": "cli:run_app",
    "simulate": "cli:simulate_app",
    "parse": "cli_records:parse",
    "load": "cli_records:load",
    "replay": "cli_proofs:replay",
    "explain": "cli_proofs:explain",
    "audit": "cli_standing:app",
    "availability": "cli_iem:availability",
    "policy": "cli_policy:app",
    "quality": "cli_quality:app",
    "sink": "cli_sink:app",
    "webhook": "cli_webhook:app",
    "migrate": "cli_store:migrate",
    "setup": "cli_local:setup",
}


class _Later(TyperGroup):
    """A group of commands, each of which is imported when it is asked for."""

    places: dict[str, str]

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # typer's own, whose types it does not export
        return [*self.places]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  # typer's own, whose types it does not export
        if cmd_name not in self.places:
            return None
        module, name = self.places[cmd_name].split(":")
        found = getattr(import_module(f"tapefold.{module}"), name)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False)
            alone.command(cmd_name)(found)
            return typer.main.get_command(alone)
        group = typer.main.get_group(found)
        group.name = cmd_name
        return group


def _group(places: dict[str, str], text: str) -> typer.Typer:
    kind = type("Later", (_Later,), {"places": places})
    group = typer.Typer(cls=kind, no_args_is_help=True, add_completion=False, help=text, pretty_exceptions_enable=False)
    group.callback()(lambda: None)  # without one, or two commands of its own, it is no group to typer
    return group


run_app = _group(_RUN, "Run one service in this terminal.")
simulate_app = _group(_SIMULATE, "Simulate an upstream, in its own protocol.")
app = _group(_COMMANDS, "The command `tapefold`.")

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
    except (TapefoldError, LocalError) as error:
        typer.echo(f"tapefold: {error}", err=True)
        sys.exit(EXIT_REFUSED)
    sys.exit(0)
