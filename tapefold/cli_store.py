"""`tapefold sql` and `tapefold migrate`."""

import sys
from typing import Annotated, Literal

import typer

from tapefold import begin, migrating, query, stores, wiring
from tapefold.cli_options import StateDir
from tapefold.settings import DEFAULT_STATE_DIR, load_settings


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
    with query.opened_tables(settings, begin.state_dir(state_dir, settings)) as tables:
        sys.stdout.buffer.write(query.answer(tables, statement, output_format))
        sys.stdout.flush()


def migrate(state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """Create the topics and the tables on the running (or configured) broker and store."""
    settings = load_settings()
    folder = begin.state_dir(state_dir, settings)
    log, tables = wiring.open_log(settings, folder), stores.open_tables(settings, folder)
    created, applied, version = migrating.migrate(settings, log, tables)
    typer.echo(f"topics created: {', '.join(created) or 'none'}")
    typer.echo(f"migrations applied: {', '.join(applied) or 'none'}; schema version {version}")
