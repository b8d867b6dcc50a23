"""`tapefold quality`: how datasets do, and the ledger of what people decided about them."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.console import Console
from rich.table import Table

from tapefold import ledger, quality, query, wiring
from tapefold.begin import state_dir as folder_of
from tapefold.cli_options import StateDir, time_ns_of, time_text_of
from tapefold.settings import DEFAULT_STATE_DIR, load_settings
from topics.annotations import Annotation, Dataset, Verdict
from topics.errors import Refused
from topics.kafka import KafkaLog

app = typer.Typer(no_args_is_help=True, help="How datasets do, and what was decided about ranges of them.")
_DATASETS: tuple[Dataset, ...] = get_args(Dataset)

Name = Annotated[str, typer.Argument(metavar="DATASET", help=f"One of {', '.join(_DATASETS)}.")]
From = Annotated[str, typer.Option("--from", help="First moment, such as 2025-01-13T14:30:00Z or 2025-01-13.")]
To = Annotated[str, typer.Option("--to", help="End, not included.")]
Keys = Annotated[list[str], typer.Option("--key", help="Symbol, market, series or station; repeatable. None: all.")]
Note = Annotated[str, typer.Option("--note", help="Why.")]
Author = Annotated[str, typer.Option("--author", help="Who decides.")]

_HELP: dict[Verdict, tuple[str, str]] = {
    "accepted": ("accept", "The data are as they must be: they are used, and their health needs no alert."),
    "annotated": ("annotate", "Something is worth knowing; the data are used."),
    "unusable": ("unusable", "Nothing may be trained on these rows, nor on rows that lean on them."),
}


@app.command("summary")
def summary(
    dataset: Name,
    first: Annotated[str, typer.Option("--from", help="First day.")],
    last: Annotated[str, typer.Option("--to", help="Last day, included.")],
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Print the figures of a dataset by key: nulls, gaps, outliers, late rows."""
    settings = load_settings()
    with query.opened_tables(settings, folder_of(state_dir, settings)) as tables:
        figures = quality.get_data_quality_summary(tables, _dataset(dataset), first, last)
    table = Table(*quality.Figures._fields[1:])
    for each in figures:
        table.add_row(*map(str, each[1:]))
    Console().print(table)


@app.command("health")
def health(
    dataset: Name,
    day: Annotated[str, typer.Option("--day", help="Such as 2025-01-13.")],
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Print GREEN, YELLOW or RED, why, and what was decided; exit code 1 for a RED that nobody accepted."""
    settings = load_settings()
    with query.opened_tables(settings, folder_of(state_dir, settings)) as tables:
        found = quality.get_dataset_health(tables, _dataset(dataset), day)
    accepted = " (accepted)" if found.accepted else ""
    typer.echo(f"{found.status}{accepted}: {', '.join(found.reasons) or 'all within the rules'}; {found.rows} rows")
    for line in found.annotations:
        typer.echo(line)
    if found.status == "RED" and not found.accepted:
        raise typer.Exit(1)


@app.command("ledger")
def show(
    dataset: Annotated[str, typer.Option("--dataset", help="Only of this one.")] = "",
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Print the decisions that hold, from the log."""
    table = Table("decision", "version", "dataset", "keys", "from", "to", "verdict", "note", "author", "written")
    for versions in ledger.versions(_log(state_dir)).values():
        held = versions[-1]
        if held.verdict != "withdrawn" and dataset in {"", held.dataset}:
            table.add_row(
                held.annotation_id, str(held.version), held.dataset, " ".join(held.keys) or "all",
                time_text_of(held.from_ns), time_text_of(held.to_ns), held.verdict, held.note, held.author,
                time_text_of(held.known_ns),
            )  # fmt: skip
    Console().print(table)


@app.command("withdraw")
def withdraw(
    decision: Annotated[str, typer.Argument(help="As `quality ledger` names it.")],
    note: Note,
    author: Author = "",
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Take a decision back; it stays in the ledger, and what was known before is not changed."""
    taken = ledger.withdraw(_log(state_dir), decision, note=note, author=author, now_ns=wiring.now_ns())
    typer.echo(f"{taken.annotation_id}: withdrawn by version {taken.version}")


def _decide(verdict: Verdict) -> Callable[..., None]:
    def command(  # noqa: PLR0917  # each is a flag
        dataset: Name,
        first: From,
        end: To,
        note: Note,
        key: Keys = [],  # noqa: B006  # typer reads the default, nobody changes it
        author: Author = "",
        state_dir: StateDir = DEFAULT_STATE_DIR,
    ) -> None:
        from_ns, to_ns = time_ns_of(first, "--from"), time_ns_of(end, "--to")
        assert from_ns is not None and to_ns is not None  # noqa: PT018  # both options are required
        if from_ns >= to_ns:
            raise typer.BadParameter(f"expected a time after {first}, was {end}", param_hint="--to")
        keys = tuple(sorted(key))
        name = f"{dataset}/{'+'.join(keys) or 'all'}/{time_text_of(from_ns)}..{time_text_of(to_ns)}"
        wanted = Annotation(
            annotation_id=name, version=1, dataset=_dataset(dataset), keys=keys, from_ns=from_ns, to_ns=to_ns,
            verdict=verdict, note=note, author=author, known_ns=wiring.now_ns(),
        )  # fmt: skip
        held = ledger.add(_log(state_dir), wanted)
        typer.echo(f"{held.annotation_id}: {held.verdict}, version {held.version}")

    command.__doc__ = _HELP[verdict][1]
    return command


for _verdict, (_name, _) in _HELP.items():
    app.command(_name)(_decide(_verdict))


def _dataset(name: str) -> Dataset:
    for known in _DATASETS:
        if name == known:
            return known
    raise Refused(f"dataset {name!r}: expected one of {', '.join(_DATASETS)}")


def _log(state_dir: Path) -> KafkaLog:
    settings = load_settings()
    return wiring.open_log(settings, folder_of(state_dir, settings))
