"""A store for the contract tests: the embedded one always, a ClickHouse server where one can be had.

The server is the one of CLICKHOUSE_URL, or one in Docker; without either its half is skipped.
"""

import os
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from tapefold.local.store.process import LocalStore


@dataclass(frozen=True)
class Reply:
    """An answer as HTTP brings it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def status_and_body(self) -> tuple[int, bytes]:
        """What most tests look at."""
        return self.status, self.body

    @property
    def code(self) -> str | None:
        """ClickHouse's number of the error."""
        return self.headers.get("X-ClickHouse-Exception-Code")


@dataclass(frozen=True)
class Store:
    """A store under test, and the ways to speak to it."""

    url: str

    @property
    def parts(self) -> urllib.parse.SplitResult:
        """The URL in parts."""
        return urllib.parse.urlsplit(self.url)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that let a request in."""
        if not self.parts.username:
            return {}
        return {"X-ClickHouse-User": self.parts.username, "X-ClickHouse-Key": self.parts.password or ""}

    def connect(self, compress: bool | str = False) -> Client:
        """A client of its own."""
        return clickhouse_connect.get_client(
            host=self.parts.hostname,
            port=self.parts.port or 8123,
            username=self.parts.username,
            password=self.parts.password or "",
            interface=self.parts.scheme,
            compress=compress,
            autogenerate_session_id=False,
        )

    def ask(
        self, path: str = "/", *, body: bytes | None = None, headers: dict[str, str] | None = None, **params: str
    ) -> Reply:
        """One request without a client library: GET, or POST if it has a body."""
        target = f"{self.parts.scheme}://{self.parts.hostname}:{self.parts.port}{path}"
        if params:
            target += "?" + urllib.parse.urlencode(params)
        request = urllib.request.Request(target, body, self.headers | (headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return Reply(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, dict(error.headers), error.read())


@dataclass(frozen=True)
class Table:
    """A fresh table (a UInt64, b String) and a client to it."""

    name: str
    client: Client

    def found(self) -> tuple[int, int]:
        """Count of the rows, and the sum of a."""
        rows = self.client.query(f"SELECT count(), sum(a) FROM {self.name}").result_rows
        return rows[0][0], rows[0][1]


@pytest.fixture(scope="session", params=["embedded", "server"])
def store_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a store that runs: the same cases for each."""
    if request.param == "embedded":
        with LocalStore(tmp_path_factory.mktemp("store")) as store:
            yield store.address.url
    elif os.environ.get("CLICKHOUSE_URL"):
        yield os.environ["CLICKHOUSE_URL"]
    else:
        yield from _server_in_docker()


def _server_in_docker() -> Iterator[str]:
    docker: Any = pytest.importorskip("docker")
    try:
        docker.from_env().ping()
    except docker.errors.DockerException as error:
        pytest.skip(f"no CLICKHOUSE_URL, and no Docker engine answers: {error}")
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 -- only where Docker is
    from testcontainers.core.wait_strategies import HttpWaitStrategy  # noqa: PLC0415

    container = DockerContainer("clickhouse/clickhouse-server:latest").with_env("CLICKHOUSE_SKIP_USER_SETUP", "1")
    container = container.with_exposed_ports(8123).waiting_for(HttpWaitStrategy(8123, "/ping"))
    with container:
        yield f"http://{container.get_container_host_ip()}:{container.get_exposed_port(8123)}"


@pytest.fixture(scope="session")
def store(store_url: str) -> Store:
    """The store under test."""
    return Store(store_url)


@pytest.fixture
def client(store: Store) -> Iterator[Client]:
    """A client of the store."""
    with store.connect() as client:
        yield client


@pytest.fixture
def table(client: Client) -> Iterator[Table]:
    """A fresh table, gone after the test."""
    name = f"t_{uuid.uuid4().hex}"
    client.command(
        f"CREATE TABLE {name} (a UInt64, b String) ENGINE = MergeTree ORDER BY a "
        "SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1"
    )
    yield Table(name, client)
    client.command(f"DROP TABLE {name}")
