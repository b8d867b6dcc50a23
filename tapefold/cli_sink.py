"""`tapefold sink`: what an operator answers a stopped sink."""

from typing import Annotated

import typer

from sinks.assignment import gap_to_accept
from sinks.ledger import Ledger
from tapefold import wiring
from tapefold.begin import state_dir as begun_state_dir
from tapefold.cli_options import StateDir
from tapefold.settings import DEFAULT_STATE_DIR, load_settings
from topics.errors import Refused

app = typer.Typer(no_args_is_help=True, help="Answer a sink that stopped.")


@app.callback()
def sink() -> None:
    """Answer a sink that stopped."""


@app.command("accept-gap")
def accept_gap(
    topic: Annotated[str, typer.Argument(help="The topic that the error names.")],
    partition: Annotated[int, typer.Argument(help="The partition that it names.")],
    note: Annotated[str, typer.Option(help="Why; it is kept beside the gap.")] = "",
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Give up the records that retention took before the sink read them: a row says so, and the sink goes on."""
    settings = load_settings()
    folder = begun_state_dir(state_dir, settings)
    log, tables = wiring.open_log(settings, folder), wiring.open_tables(settings, folder)
    ledger = Ledger(tables, sink="main", now_ns=wiring.now_ns)
    marks = log.watermarks([topic])
    if (topic, partition) not in marks:
        raise Refused(f"{topic}: expected one of its {len(marks)} partitions, was {partition}")
    committed = ledger.committed().get((topic, partition))
    gap = gap_to_accept((topic, partition), committed, log.identity([topic]), marks[topic, partition], note)
    ledger.accept_gap(gap)
    typer.echo(f"{topic}-{partition}: offsets [{gap.first},{gap.next}) are given up; start the sink again")
