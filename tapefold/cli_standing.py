"""The standing audits as commands of `tapefold audit`; exit code 1 when one finds something."""

from collections.abc import Callable
from typing import get_args

import structlog
import typer

from tapefold import audits, query, standing, wiring
from tapefold.begin import state_dir as folder_of
from tapefold.cli_audit import app  # of one group with the audits of the sink
from tapefold.cli_options import StateDir
from tapefold.settings import DEFAULT_STATE_DIR, load_settings

_SHOWN_MAX = 100
_HELP: dict[standing.Name, str] = {
    "leakage": "Nothing says or knows what nobody could have known by then: bars, facts, results, as-of forecasts.",
    "completeness": "No minute, bar or reason is missing; how much is missing per model, and why.",
    "consistency": "No row contradicts itself or another.",
}


def _command(name: standing.Name) -> Callable[..., None]:
    def command(state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
        settings = load_settings()
        wiring.configure_logging(settings, f"audit {name}")
        began_ns = wiring.now_ns()
        with query.opened_tables(settings, folder_of(state_dir, settings)) as tables:
            found = list(standing.findings(tables, settings.sql_dir, name))
            figures = standing.figures(tables, settings.sql_dir, name)
            audits.keep(tables, name, found, len(standing.parts(settings.sql_dir, name)), began_ns)
        for finding in found[:_SHOWN_MAX]:
            typer.echo(f"{finding.kind}: {finding.row_id}: {finding.detail}")
        for row in figures:
            typer.echo(", ".join(f"{key} {value}" for key, value in row.items()))
            structlog.get_logger("audit").info("metric", metric=f"audit.{name}", **row)
        typer.echo(f"{name}: {len(found)} findings")
        if found:
            raise typer.Exit(1)

    command.__doc__ = _HELP[name]
    return command


for _name in get_args(standing.Name):
    app.command(_name)(_command(_name))
