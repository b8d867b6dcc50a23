"""`tapefold audit NAME`: one command for each audit; exit code 1 when it finds something."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import stamina
import typer

from tapefold import audits, query, wiring
from tapefold.begin import state_dir as begun_state_dir
from tapefold.cli_options import StateDir
from tapefold.local import kafka as local_kafka
from tapefold.settings import DEFAULT_STATE_DIR, Settings, load_settings
from topics.catalog import RAW_TOPICS
from topics.errors import Unavailable
from topics.kafka import KafkaLog

app = typer.Typer(no_args_is_help=True, help="Ask the store to prove what it promises; exit code 1 if it can not.")
_SHOWN_MAX = 100

Full = Annotated[bool, typer.Option("--full", help="Look at everything, not at a sample; as long as it takes.")]


@contextlib.contextmanager
def _opened_log(settings: Settings, state_dir: Path) -> Iterator[KafkaLog]:
    """The log that runs, or the embedded broker started for this audit alone."""
    if settings.kafka_bootstrap or local_kafka.running(state_dir) is not None:
        yield wiring.open_log(settings, state_dir)
        return
    with local_kafka.LocalKafka(state_dir) as broker:
        log = KafkaLog(broker.address.bootstrap)
        _wait_for_leaders(log)
        yield log


@stamina.retry(on=Unavailable, timeout=30.0, attempts=30, wait_max=1.0)
def _wait_for_leaders(log: KafkaLog) -> None:
    """A broker that has just started needs a moment before it answers for its partitions."""
    log.watermarks(RAW_TOPICS)


def _command(name: str) -> Callable[..., None]:
    def command(full: Full = False, state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
        settings = load_settings()
        folder = begun_state_dir(state_dir, settings)
        with query.opened_tables(settings, folder) as tables, _opened_log(settings, folder) as log:
            outcome = audits.run(name, audits.Scene(settings, log, tables, full, wiring.now_ns()))
        for finding in outcome.findings[:_SHOWN_MAX]:
            typer.echo(f"{finding.problem}: {finding.place}: expected {finding.expected}, was {finding.was}")
        if any(finding.problem == "offset_missing" for finding in outcome.findings):
            typer.echo("rows that the store lost come back by `tapefold sink repair`")
        typer.echo(f"{name}: {len(outcome.findings)} findings in {outcome.checked} {outcome.checked_what}")
        if outcome.findings:
            raise typer.Exit(1)

    command.__doc__ = audits.AUDITS[name].__doc__
    return command


for _name in audits.AUDITS:
    app.command(_name)(_command(_name))
