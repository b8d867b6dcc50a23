"""`tapefold webhook`, `tapefold run webhook`, `tapefold simulate webhook`: markers, dead letters, receiver, sender."""

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from producers.iem.clock import Clock
from producers.webhook.markers import look_up
from tapefold import begin, wiring
from tapefold.cli_options import Day, ScenarioFile, StateDir, listed, tape_of
from tapefold.settings import DEFAULT_STATE_DIR, load_settings
from tapefold.simulators import scenario as scenarios
from tapefold.simulators.kalshi.made_up import made_up_of
from tapefold.simulators.scenario import Scenario
from tapefold.simulators.webhook.events import Delivery, Mix, deliveries, mix_at
from tapefold.simulators.webhook.sender import Plan, Report, bodies_of, run
from tapefold.webhook import serving
from tapefold.webhook.redrive import letters, redrive
from topics.catalog import RAW_WEBHOOK
from topics.errors import Refused, SettingsError
from topics.units import NS_PER_S

app = typer.Typer(no_args_is_help=True, help="Markers and dead letters of the webhook receiver.")


@app.command("marker")
def marker(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="The sender's id of the event.")],
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Show what was stored under an event's id, and where it stands on the log; at most a second behind."""
    found = look_up(begin.state_dir(state_dir, load_settings()) / serving.FOLDER, event_id)
    if found is None:
        raise Refused(f"no receiver keeps markers in {state_dir}; name its folder with --state-dir")
    if not found:
        raise Refused(
            f"no marker for {event_id!r}: it was not stored, or longer ago than WEBHOOK_DEDUPE_HORIZON_SECONDS"
        )
    for each in found:
        row = {
            "provider": each.provider,
            "webhook_id": each.event_id,
            "content": each.content.hex(),
            "received_ns": each.received_ns,
            "record": [RAW_WEBHOOK, each.partition, each.offset],
        }
        typer.echo(json.dumps(row))


@app.command("redrive")
def redrive_dead(
    reason: Annotated[str | None, typer.Option(help="Only what was refused for this reason.")] = None,
    accept_conflicts: Annotated[
        bool, typer.Option("--accept-conflicts", help="Take the other content of a known id as a second event.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Also what was redriven before, three times at most.")] = False,
    apply: Annotated[
        bool, typer.Option("--apply/--dry-run", help="Append what is accepted; else only show it.")
    ] = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Bring dead letters before today's parser, one line of JSON each; append those that it accepts."""
    settings = load_settings()
    log = wiring.open_log(settings, begin.state_dir(state_dir, settings))
    accepted = []
    for letter in letters(log, reason=reason, accept_conflicts=accept_conflicts, again=again):
        row = {
            "record": [RAW_WEBHOOK, *letter.place],
            "webhook_id": letter.webhook_id,
            "refused": letter.refused,
            "verdict": letter.verdict,
            "now": letter.now,
        }
        typer.echo(json.dumps(row))
        accepted += [letter] if letter.verdict == "accepted now" else []
    if apply and accepted:
        appender = log.appender()
        redrive(appender, accepted)
        appender.close()
    typer.echo(f"{'redriven' if apply else 'would be redriven (--apply does it)'}: {len(accepted)}", err=True)


def receive(state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """Receive signed webhooks (WEBHOOK_SECRET or WEBHOOK_SECRETS_FILE, WEBHOOK_SCHEME, WEBHOOK_PORT)."""
    settings = begin.service("webhook")
    serving.run(settings, begin.state_dir(state_dir, settings), typer.echo)


def simulate(  # noqa: PLR0917  # each is a flag
    url: Annotated[str, typer.Option(help="Such as http://127.0.0.1:8402/webhooks/default.")],
    count: Annotated[int, typer.Option(help="Deliveries in all.")] = 100,
    rate: Annotated[float | None, typer.Option(help="Deliveries a second; without it as fast as they go.")] = None,
    scheme: Annotated[Literal["standard", "stripe"] | None, typer.Option(help="Without it WEBHOOK_SCHEME.")] = None,
    connections: Annotated[int, typer.Option(help="Kept connections.")] = 20,
    duplicate: Annotated[float, typer.Option(help="Part of the deliveries that repeat an earlier one.")] = 0.0,
    conflict: Annotated[float, typer.Option(help="Part that has an earlier id and other content.")] = 0.0,
    unreadable: Annotated[float, typer.Option(help="Part that is rightly signed and no JSON.")] = 0.0,
    wrong: Annotated[float, typer.Option(help="Part with a wrong signature.")] = 0.0,
    old: Annotated[float, typer.Option(help="Part that was signed an hour ago.")] = 0.0,
    future: Annotated[float, typer.Option(help="Part that is signed an hour ahead.")] = 0.0,
    slow: Annotated[int, typer.Option(help="Slow loris sockets beside the deliveries.")] = 0,
    huge: Annotated[int, typer.Option(help="Bytes of one endless body; 0 for none.")] = 0,
    retries: Annotated[int, typer.Option(help="Attempts after the first, on 429, 5xx and no answer.")] = 5,
    retry_s: Annotated[float, typer.Option(help="Seconds before each.")] = 0.5,
    payloads: Annotated[Path | None, typer.Option(help="Recorded payloads, JSON, one a line.")] = None,
    make_up: Annotated[
        str, typer.Option(help="Weather series whose made-up markets the events tell of, separated by commas.")
    ] = "",
    date: Day = datetime(2026, 3, 8),  # noqa: DTZ001  # a day; typer reads the default
    days: Annotated[int, typer.Option(help="Climate days of what is made up.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of events and faults; ids carry it.")] = 1,
    at: Annotated[
        str | None, typer.Option(help="Simulated time at the start, for the scenario; else the wall.")
    ] = None,
    speed: Annotated[float, typer.Option(help="Simulated seconds per second.")] = 1.0,
    scenario: ScenarioFile = None,
) -> None:
    """A sender of signed webhooks (secret: WEBHOOK_SECRET); prints what came of them as JSON."""
    settings = load_settings()
    mix = Mix(duplicate, conflict, unreadable, wrong, old, future)
    if min(mix) < 0 or sum(mix) > 1:
        raise typer.BadParameter(f"expected parts of at least 0 and at most 1 in all, were {sum(mix)}")
    if settings.webhook_secret is None:
        raise SettingsError("WEBHOOK_SECRET: expected the secret to sign with, was not set")
    script, clock = scenarios.read(scenario, "webhook"), tape_of(at, wiring.now_ns(), speed)
    plan = Plan(
        scheme=scheme or settings.webhook_scheme,
        secret=settings.webhook_secret.get_secret_value().partition(",")[0].strip(),
        rate=rate,
        count=count,
        connections=connections,
        retries=retries,
        retry_s=retry_s,
        slow=slow,
        huge_bytes=huge,
        slow_within=_slow_within(script, clock),
    )
    bodies = () if payloads is None else bodies_of(payloads.read_bytes())
    if make_up:
        weather = scenarios.read(scenario, "iem")
        bodies = tuple(made_up_of(listed(make_up), date.date(), days, seed=seed, weather=weather).notices())
    source = deliveries(seed, plan.scheme, lambda: mix_at(mix, script, clock.now_ns()), bodies)
    report = asyncio.run(_send(url, plan, source, script, clock))
    typer.echo(json.dumps(report.summary()))
    if report.unexpected or report.given_up:
        raise typer.Exit(1)


def _slow_within(script: Scenario, clock: Clock) -> tuple[tuple[float, float, int], ...]:
    """The scenario's slow sockets: from and to, in seconds of the wall from now, and how many."""
    now_ns = clock.now_ns()
    return tuple(
        (clock.wall_s(one.from_ns - now_ns), clock.wall_s(one.to_ns - now_ns), one.sockets)
        for one in script.faults
        if one.kind == "slow" and one.to_ns > now_ns
    )


async def _send(url: str, plan: Plan, source: Iterator[Delivery], script: Scenario, clock: Clock) -> Report:
    def now_s() -> int:
        return wiring.now_ns() // NS_PER_S + int(script.seconds("skew", clock.now_ns()))

    stop = wiring.stop_of_loop()
    return await run(url, plan, source, now_s=now_s, stop=stop)
