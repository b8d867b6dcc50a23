"""`tapefold sink`: what an operator answers a stopped sink, and an audit that misses rows."""

from typing import Annotated

import structlog
import typer

from sinks.assignment import gap_to_accept
from sinks.delivery import Delivery
from sinks.evolution import Compatible
from sinks.ledger import Ledger
from sinks.repair import repair as mend
from tapefold import begin, services_sink, stores, wiring
from tapefold.cli_options import StateDir
from tapefold.settings import DEFAULT_STATE_DIR, load_settings
from topics.catalog import CODE_VERSION, SINK_TOPICS
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
    folder = begin.state_dir(state_dir, settings)
    log, tables = wiring.open_log(settings, folder), stores.open_tables(settings, folder)
    ledger = Ledger(tables, sink="main", now_ns=wiring.now_ns)
    marks = log.watermarks([topic])
    if (topic, partition) not in marks:
        raise Refused(f"{topic}: expected one of its {len(marks)} partitions, was {partition}")
    committed = ledger.committed().get((topic, partition))
    gap = gap_to_accept((topic, partition), committed, log.identity([topic]), marks[topic, partition], note)
    ledger.accept_gap(gap)
    typer.echo(f"{topic}-{partition}: offsets [{gap.first},{gap.next}) are given up; start the sink again")


@app.command()
def repair(
    topic: Annotated[list[str], typer.Option("--topic", help="Only these topics; without it, all.")] = [],  # noqa: B006
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Bring back rows that the store lost: every committed range is read from the log again and compared with the tables."""
    settings = load_settings()
    folder = begin.state_dir(state_dir, settings)
    wiring.configure_logging(settings, "sink repair")
    log, tables = wiring.open_log(settings, folder), stores.open_tables(settings, folder)
    if unknown := set(topic) - set(SINK_TOPICS):
        raise Refused(f"--topic: expected one of {', '.join(SINK_TOPICS)}, was {', '.join(sorted(unknown))}")
    delivery = Delivery(
        log,
        tables,
        sink="main",
        now_ns=wiring.now_ns,
        logger=structlog.get_logger("sink"),
        code_version=CODE_VERSION,
        hit=wiring.failpoints(settings),
        compatible=Compatible(settings.schema_validate, settings.schema_compat_min, settings.schema_compat_max),
    )
    rounds = gone = 0
    topics, stamp, refusable = topic or SINK_TOPICS, str(wiring.now_ns()), settings.refusable()
    for looked in mend(log, tables, delivery, topics, sink="main", stamp=stamp, refusable=refusable):
        rounds += 1
        gone += len(looked.gone)
        if looked.mended:
            ranges = ", ".join(map(str, looked.shares))
            typer.echo(f"round {looked.number}: brought back rows of {', '.join(looked.mended)} in {ranges}")
    typer.echo(f"{rounds} rounds looked at; {gone} ranges are not on the log any more")


def run(state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """Write the log into ClickHouse."""
    settings = begin.service("sink")
    services_sink.run_sink(settings, begin.state_dir(state_dir, settings))
