"""What the agents are called on the log. Pure; who only asks how far they are need not load Faust."""

from typing import Literal

TABLE = "state"
CHANGELOG_SUFFIX = "-changelog"
STATE_LAYOUT = 2  # of what the fold stores; one more with each change of it: facts are then folded anew, from the first

Stage = Literal["ingest", "fold"]


def version(stage: Stage) -> int:
    """Faust's version of a stage's app: each has a consumer group, a changelog and a folder of its own."""
    return STATE_LAYOUT if stage == "fold" else 1


def app_id(stage: Stage) -> str:
    """The Faust app and consumer group of a stage, with its version as Faust writes it."""
    number = version(stage)
    return f"tapefold-{stage}" if number == 1 else f"tapefold-{stage}-v{number}"


def changelog_topic() -> str:
    """The fold's changelog, created by `tapefold migrate` like any topic (compacted)."""
    return f"{app_id('fold')}-{TABLE}{CHANGELOG_SUFFIX}"
