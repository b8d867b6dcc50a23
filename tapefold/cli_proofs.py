"""The commands that prove: replay and explain."""

from typing import Annotated

import typer

from tapefold import explain as explaining
from tapefold import query
from tapefold.begin import state_dir as folder_of
from tapefold.cli_options import Speed, StateDir, speed_of, time_ns_of, time_text_of
from tapefold.replay import check as replay_check
from tapefold.replay import workers
from tapefold.settings import DEFAULT_STATE_DIR, load_settings


def replay(  # noqa: PLR0917  # each is a flag
    since: Annotated[
        str | None,
        typer.Option(
            "--from", help="Play the tape at --speed, and compare rows, from this time on: 2025-04-04T12:00Z."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--to", help="Up to this time. The tape ends there; with --check the rest is folded to compare."),
    ] = None,
    topics: Annotated[
        str | None, typer.Option(help="raw (the default), facts, or names of topics of one kind.")
    ] = None,
    speed: Speed = "max",
    generation: Annotated[
        str | None,
        typer.Option(help="Keep the rows, as tables of database tapefold_gen_NAME; an earlier one of the name goes."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with the live rows; exit 1 when any differs.")
    ] = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Fold the tape again beside the live tables; --check compares row by row.

    All before --from is folded too, as fast as can be, for rows depend on it. The tape's time is that of receipt.
    """
    settings = load_settings()
    folder = folder_of(state_dir, settings)
    request = replay_check.Request(
        topics=workers.topics_of(topics),
        speed=speed_of(speed),
        window=(time_ns_of(since, "--from"), time_ns_of(until, "--to")),
        generation=generation,
        check=check,
    )
    with replay_check.opened_log(settings, folder) as log, query.opened_tables(settings, folder) as store:
        report = replay_check.Replay((settings, folder, log, store), request, typer.echo).run()
    counts = report.counts
    typer.echo(
        f"folded {counts.records:,} records in {report.seconds:.1f} s ({counts.records / report.seconds:,.0f}/s)"
    )
    if counts.refused:
        typer.echo(f"{counts.refused:,} rows that the store refused for what they hold are told in `dead`")
    for name, (rows, content) in report.tables.items():
        typer.echo(f"{name:16}{rows:>12,} rows  {content}")
    if not check:
        return
    for difference in report.differences:
        typer.echo(str(difference))
    if report.moving:
        typer.echo(f"{report.moving:,} rows still change; compare again when the stack rests")
    typer.echo(f"{report.differing:,} differing rows")
    if report.differing:
        raise typer.Exit(1)


def explain(
    row_id: Annotated[
        str,
        typer.Argument(metavar="ROW_ID", help="Column row_id of a table of rows or of features."),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs: times in ns, prices in e6, sizes in e4.")
    ] = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Say why a row is as it is: its inputs, what was not chosen or too late; then make it again. Exit 1 if it differs."""
    settings = load_settings()
    with query.opened_tables(settings, folder_of(state_dir, settings)) as store:
        answer = explaining.Explainer(store, explaining.partitions_of(store)).explain(row_id)
    typer.echo(explaining.as_json(answer).decode() if as_json else explaining.as_text(answer, time_text_of))
    if not answer.identical:
        raise typer.Exit(1)
