"""What the agents are called on the log. Pure; who only asks how far they are need not load Faust."""

from typing import Literal

TABLE = "state"
CHANGELOG_SUFFIX = "-changelog"

Stage = Literal["ingest", "fold"]


def app_id(stage: Stage) -> str:
    """The Faust app and consumer group of a stage."""
    return f"tapefold-{stage}"


def changelog_topic() -> str:
    """The fold's changelog, created by `tapefold migrate` like any topic (compacted)."""
    return f"{app_id('fold')}-{TABLE}{CHANGELOG_SUFFIX}"
