"""The embedded parts: `tapefold setup`, `tapefold run broker`, `tapefold run store`."""

from typing import Annotated

import typer

from tapefold import begin, wiring
from tapefold.cli_options import StateDir
from tapefold.local.jars import ensure_jars
from tapefold.local.kafka import LocalKafka
from tapefold.settings import DEFAULT_STATE_DIR, load_settings


def setup() -> None:
    """Fetch what the embedded broker needs (once per machine)."""
    ensure_jars(typer.echo)


def store(
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    host: Annotated[str, typer.Option(help="A loopback address; others are refused.")] = "127.0.0.1",
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """The embedded store: ClickHouse's HTTP interface over chdb."""
    from tapefold.local.store.server import serve  # noqa: PLC0415  # chdb: 200 MB and a third of a second, for this alone

    serve(begin.state_dir(state_dir, load_settings()), host=host, port=port, on_ready=typer.echo)


def broker(
    port: Annotated[int | None, typer.Option(help="Without it the last one, or a free one.")] = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """The embedded Kafka broker."""
    with (
        wiring.stop_on_signals() as stop,
        LocalKafka(begin.state_dir(state_dir, load_settings()), port=port, progress=typer.echo) as embedded,
    ):
        typer.echo(embedded.address.bootstrap)
        while not stop.wait(1.0):
            embedded.check()
