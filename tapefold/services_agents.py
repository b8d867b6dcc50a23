"""What `tapefold run ingest` and `tapefold run fold` do."""

from pathlib import Path

from stream_processors import app as agents
from stream_processors.names import Stage, changelog_topic
from tapefold import wiring
from tapefold.settings import Settings
from topics.failpoint import with_failpoints


def run_agents(settings: Settings, state_dir: Path, stage: Stage, slot: str) -> None:
    """Run one worker of a stage until SIGTERM."""
    log = wiring.open_log(settings, state_dir)
    worker = agents.WorkerSettings(
        bootstrap=log.bootstrap,
        stage=stage,
        data_dir=state_dir / stage / slot,
        partitions=wiring.partitions_of(log),
        slot=slot,
        log_id=wiring.log_id(log, [changelog_topic()]),
    )
    agents.run(worker, with_failpoints(log.appender(), stage, wiring.failpoints(settings)))
