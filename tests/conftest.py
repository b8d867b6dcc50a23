"""What all tests may ask for: a log and a store, started when the first test asks, stopped by who started them.

A cluster of KAFKA_BOOTSTRAP or a Docker engine wins over the embedded broker; the tests are the same.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tapefold.local.kafka import LocalKafka
from tapefold.local.store.process import LocalStore
from topics.kafka import KafkaLog

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one embedded store, started when the first test asks for it."""
    with LocalStore(tmp_path_factory.mktemp("store")) as store:
        yield store.address.url


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaLog]:
    """A real Kafka for tests that bring topics of their own."""
    if bootstrap := os.environ.get("KAFKA_BOOTSTRAP"):
        yield KafkaLog(bootstrap)
    elif _docker_answers():
        from testcontainers.kafka import KafkaContainer  # noqa: PLC0415  # only where Docker is

        with KafkaContainer("apache/kafka:4.1.0").with_kraft() as container:
            yield KafkaLog(container.get_bootstrap_server())
    else:
        with LocalKafka(tmp_path_factory.mktemp("kafka")) as broker:
            yield KafkaLog(broker.address.bootstrap)


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaLog]:
    """A broker of the test's own, with no topics: for workers, whose topics and groups have fixed names."""
    with LocalKafka(tmp_path / "kafka") as broker:
        yield KafkaLog(broker.address.bootstrap)


@pytest.fixture
def recordings() -> Path:
    """Recordings whose licence does not let us ship them; skips where they are not."""
    folder = SHARED_DATA / "kalshi-ws" / "gold15m"
    if not folder.is_dir():
        pytest.skip(f"needs the recordings of {folder.name}, which are not shipped (no licence)")
    return folder


def _docker_answers() -> bool:
    docker: Any = pytest.importorskip("docker")
    try:
        docker.from_env().ping()
    except docker.errors.DockerException:
        return False
    return True
