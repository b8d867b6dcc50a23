"""`tapefold policy`: the as-of policies, which are facts on the log."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from tapefold import policies, wiring
from tapefold.settings import DEFAULT_STATE_DIR, load_settings
from topics.errors import Refused
from topics.kafka import KafkaLog
from topics.policies import Policy

app = typer.Typer(no_args_is_help=True, help="As-of policies: when forecasts are asked for, and what counts as known.")
StateDir = Annotated[Path, typer.Option("--state-dir", help="Folder of the embedded broker.")]


def _log(given: Path) -> KafkaLog:
    settings = load_settings()
    folder = settings.tapefold_state_dir if given == DEFAULT_STATE_DIR else given
    return wiring.open_log(settings, folder.resolve())


@app.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="JSON, as `policy show` prints it; without `version` the next one.")],
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Append a policy, or a new version of one; all days on the tape are answered for it as well."""
    log = _log(state_dir)
    policy = policies.read_file(file, policies.known(log))
    new = policies.publish(log, [policy])
    typer.echo(f"{policy.key}: {'added' if new else 'was there already'}")


@app.command("show")
def show(
    policy_id: Annotated[str, typer.Argument(help="An id, for its latest version; or id@version.")],
    state_dir: StateDir = DEFAULT_STATE_DIR,
) -> None:
    """Print a policy as JSON."""
    found = [policy for policy in policies.known(_log(state_dir)) if policy_id in {policy.policy_id, policy.key}]
    if not found:
        raise Refused(f"no policy {policy_id!r}; `tapefold policy list` names those that are there")
    words = msgspec.json.encode(msgspec.structs.asdict(found[-1]))
    typer.echo(msgspec.json.format(words, indent=2).decode())


@app.command("list")
def list_all(state_dir: StateDir = DEFAULT_STATE_DIR) -> None:
    """Print all policies, each version on a line."""
    table = Table("policy", "version", "as of", "knowledge", "patience", "models", "what for")
    for policy in policies.known(_log(state_dir)):
        table.add_row(*_cells(policy))
    Console().print(table)


def _cells(policy: Policy) -> tuple[str, ...]:
    knowledge = f"{policy.knowledge}{' (unsafe)' if policy.unsafe else ''}"
    hours = f"{policy.max_staleness_s / 3600:g} h"
    models = " ".join(policy.models)
    return policy.policy_id, str(policy.version), policy.at, knowledge, hours, models, policy.description
