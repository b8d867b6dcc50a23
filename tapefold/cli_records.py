"""`tapefold parse` and `tapefold load`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tapefold import begin, manifests, wiring
from tapefold.cli_options import StateDir
from tapefold.payloads import kalshi_ws, records
from tapefold.payloads import tws as tws_payloads
from tapefold.payloads.sources import SOURCES, Source
from tapefold.settings import DEFAULT_STATE_DIR, load_settings
from topics.domains import series_of
from topics.tws import WhatToShow

SourceName = Annotated[str, typer.Argument(metavar="SOURCE", help=f"One of {', '.join(SOURCES)}.")]
Symbol = Annotated[str | None, typer.Option("--symbol", help="tws: the symbol, of files that name none.")]
Zone = Annotated[
    str | None, typer.Option("--zone", help="tws, kalshi.ws: the IANA time zone, of times that name none.")
]
What = Annotated[WhatToShow | None, typer.Option("--what-to-show", help="tws: what bars without a volume are of.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Recorded payloads, plain or gzip; or folders.")]
Recorder = Annotated[
    str | None, typer.Option(help="Who recorded the files and stamped them; without it, the name of their folder.")
]


def _source(name: str, given: tws_payloads.Given) -> Source:
    if name not in SOURCES:
        raise typer.BadParameter(f"expected one of {', '.join(SOURCES)}, was {name!r}", param_hint="SOURCE")
    source = SOURCES[name]
    if name == "kalshi.ws":
        return source._replace(payloads=partial(kalshi_ws.payloads, zone=given.zone))
    return source._replace(payloads=partial(tws_payloads.payloads, given=given)) if name == "tws" else source


def parse(  # noqa: PLR0917  # each is a flag
    source: SourceName,
    files: Files,
    recorder: Recorder = None,
    symbol: Symbol = None,
    zone: Zone = None,
    what_to_show: What = None,
) -> None:
    """Print the facts and refusals of recorded payloads as NDJSON, by the parser of the live path."""
    load_settings()  # the stations that a user has set hold here, too
    found = _source(source, tws_payloads.Given(symbol, zone, what_to_show))
    counts = records.parse(source, found, files, recorder, now_ns=wiring.now_ns, out=typer.echo)
    typer.echo(", ".join(f"{count} {name}" for name, count in counts.items()), err=True)


def load(  # noqa: PLR0917  # each is a flag
    source: SourceName,
    files: Files,
    recorder: Recorder = None,
    symbol: Symbol = None,
    zone: Zone = None,
    what_to_show: What = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Append recorded payloads to the log of the running (or configured) broker."""
    settings = load_settings()
    folder = begin.state_dir(state_dir, settings)
    log = wiring.open_log(settings, folder)
    found = _source(source, tws_payloads.Given(symbol, zone, what_to_show))
    # A series, a station or a symbol is an entity; a webhook's key is that of one event.
    entity_of = {"kalshi.rest": series_of, "kalshi.ws": series_of, "webhook": lambda _: "*"}.get(source, str)
    run = manifests.Run("load", {"source": source, "files": ",".join(map(str, files))}, entity_of=entity_of)
    with manifests.kept(run, folder, ends=True, now_ns=wiring.now_ns):
        appender = run.counting(log.appender())
        partitions = wiring.partitions_of(log)
        loaded = records.load(
            source, found, files, recorder, appender=appender, partitions=partitions, now_ns=wiring.now_ns
        )
        appender.close()
    typer.echo(f"{loaded} payloads of {source} appended")
