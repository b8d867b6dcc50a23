"""The embedded store as a process: what survives its death, who may start it, how it ends."""

# the expected value stands on the left, by the rule of this repo

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client

from tapefold.local.errors import AlreadyRunning, FolderLocked, PortTaken, ServiceDied, StartFailed
from tapefold.local.state import port_free
from tapefold.local.store.engine import Engine
from tapefold.local.store.process import LocalStore, running, stop
from tapefold.local.store.protocol import Request
from tapefold.local.store.server import NotLoopback, serve
from tapefold.local.store.service import Service

ROWS = 1000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    """A store of its own for the test."""
    with LocalStore(tmp_path) as store:
        yield store


def connect(store: LocalStore) -> Client:
    """A client of the store."""
    address = store.address
    return clickhouse_connect.get_client(host=address.host, port=address.port, autogenerate_session_id=False)


def ask(store: LocalStore, query: str, timeout_s: float = 30) -> bytes:
    """The answer to a query by POST."""
    with urllib.request.urlopen(store.address.url, query.encode(), timeout_s) as response:
        return bytes(response.read())


def test_acknowledged_rows_survive_a_kill(store: LocalStore, tmp_path: Path) -> None:
    """Whatever insert was acknowledged is there after a kill -9 in the next moment, with the same port."""
    ask(store, "CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a SETTINGS fsync_after_insert = 1")
    port = store.address.port
    for round_ in range(3):
        with connect(store) as client:
            for batch in range(5):
                numbers = pa.array(range(ROWS * (5 * round_ + batch), ROWS * (5 * round_ + batch + 1)), pa.uint64())
                client.insert_arrow("t", pa.table({"a": numbers, "b": ["x"] * ROWS}))
            client.insert("t", [[0, "native"]], column_names=["a", "b"])
            store.kill()
        assert running(tmp_path) is None
        assert port == store.start().port
        rows = (round_ + 1) * 5 * ROWS
        assert f"{rows + round_ + 1}\t{rows * (rows - 1) // 2}\n".encode() == ask(
            store, "SELECT count(), sum(a) FROM t"
        )


def test_rows_survive_an_orderly_stop(store: LocalStore, tmp_path: Path) -> None:
    """A stop keeps the data, and leaves nothing running."""
    ask(store, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    ask(store, "INSERT INTO t SELECT number FROM numbers(1000)")
    address = store.address
    store.stop()
    assert running(tmp_path) is None
    assert port_free(address.port)
    store.start()
    assert b"1000\n" == ask(store, "SELECT count() FROM t")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_lets_requests_end(tmp_path: Path, number: signal.Signals) -> None:
    """After a signal the requests that run are answered, new ones are not, and the exit status is 0."""
    command = [sys.executable, "-m", "tapefold.local.store", "--state-dir", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        url = child.stdout.readline().decode().strip()
        answers: list[bytes] = []

        def ask_slowly() -> None:
            with urllib.request.urlopen(url, b"SELECT sleep(1.5)", 30) as response:
                answers.append(response.read())

        slow = threading.Thread(target=ask_slowly)
        slow.start()
        time.sleep(0.5)
        child.send_signal(number)
        slow.join()
        assert [b"0\n"] == answers
        assert 0 == child.wait(10)


def test_requests_beyond_the_grace_are_cancelled(tmp_path: Path) -> None:
    """A request that outlasts the grace after a signal is cancelled, and the exit status is still 0."""
    command = [sys.executable, "-m", "tapefold.local.store", "--state-dir", str(tmp_path), "--grace-s", "0.5"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        url = child.stdout.readline().decode().strip()
        query = b"SELECT sleepEachRow(0.1) FROM numbers(600) SETTINGS max_block_size = 1 FORMAT Null"
        faults: list[Exception] = []

        def ask_slowly() -> None:
            try:
                urllib.request.urlopen(url, query, 90).close()
            except OSError as error:
                faults.append(error)

        slow = threading.Thread(target=ask_slowly)
        slow.start()
        time.sleep(0.5)
        child.terminate()
        assert 0 == child.wait(10)
        slow.join()
        assert 1 == len(faults)


def test_second_store_names_the_first(store: LocalStore, tmp_path: Path) -> None:
    """A second store of the folder is refused with the process that holds it, however it is started."""
    with pytest.raises(FolderLocked) as caught:
        LocalStore(tmp_path).start()
    assert store.address.pid == caught.value.pid
    with pytest.raises(FolderLocked) as caught:
        serve(tmp_path, on_ready=print)
    assert store.address.pid == caught.value.pid
    with pytest.raises(AlreadyRunning):
        store.start()
    assert running(tmp_path) == store.address


def test_port_of_another(store: LocalStore, tmp_path: Path) -> None:
    """A port that is taken is told with its owner."""
    with pytest.raises(PortTaken) as caught:
        LocalStore(tmp_path / "other", port=store.address.port).start()
    assert store.address.port == caught.value.port
    assert str(store.address.pid) in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_only_the_loopback(tmp_path: Path, host: str) -> None:
    """An address that other machines could reach is refused, and named."""
    with pytest.raises(NotLoopback, match=host.replace(".", r"\.")):
        serve(tmp_path, host=host, on_ready=print)


def test_death_is_told(store: LocalStore) -> None:
    """A store that was killed from outside is told as dead."""
    store.check()
    os.kill(store.address.pid, signal.SIGKILL)
    time.sleep(0.3)
    with pytest.raises(ServiceDied):
        store.check()


def test_spoiled_folder(tmp_path: Path) -> None:
    """A store that can not open its folder says so with the words of its log."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "data").write_text("no folder")
    with pytest.raises(StartFailed, match=r"store\.log"):
        LocalStore(tmp_path).start()
    assert running(tmp_path) is None


def test_store_ends_with_its_program(tmp_path: Path) -> None:
    """The store of a program that was killed ends too, and its folder is free."""
    code = (
        "import sys, time; from pathlib import Path; from tapefold.local.store.process import LocalStore;"
        "print(LocalStore(Path(sys.argv[1])).start().pid, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env=environment
    ) as program:
        assert program.stdout is not None
        assert int(program.stdout.readline()) > 0
        program.kill()
    with LocalStore(tmp_path) as store:
        assert b"1\n" == ask(store, "SELECT 1")


def test_stop_by_folder(store: LocalStore, tmp_path: Path) -> None:
    """A store can be stopped by its folder alone."""
    pid = store.address.pid
    assert stop(tmp_path)
    assert not stop(tmp_path)
    assert running(tmp_path) is None
    assert pid == store.address.pid


def test_web_pages_are_refused(store: LocalStore) -> None:
    """A request that a web page could have sent is forbidden: by its origin, or by a host name that is not ours."""
    for headers in ({"Origin": "https://example.org"}, {"Host": "example.org"}):
        request = urllib.request.Request(store.address.url, b"SELECT 1", headers)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=5)
        assert 403 == caught.value.code
        caught.value.close()


def test_client_that_hangs_up(store: LocalStore) -> None:
    """An insert whose client goes away amid its body leaves no rows, and the store goes on."""
    ask(store, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    with socket.create_connection((store.address.host, store.address.port)) as connection:
        head = b"POST /?query=INSERT+INTO+t+FORMAT+TSV HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
        connection.sendall(head + b"1\n2\n3\n")
    time.sleep(0.3)
    assert b"0\n" == ask(store, "SELECT count() FROM t")


def test_answers_keep_their_memory(tmp_path: Path) -> None:
    """An answer that waits to be sent is not overwritten by those made after it."""
    with Engine(tmp_path / "data") as engine:
        service = Service(engine, "test")
        queries = [b"SELECT number FROM numbers(%d, 200000) FORMAT TSV" % (step * 1_000_000) for step in range(20)]
        answers = [service.answer(Request(query, {"max_threads": b"1"}, {}), iter(())) for query in queries]
        for step, answer in enumerate(answers):
            expected = b"".join(b"%d\n" % number for number in range(step * 1_000_000, step * 1_000_000 + 200_000))
            assert expected == b"".join(answer.pieces)
