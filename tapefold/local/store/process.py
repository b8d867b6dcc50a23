"""The store as a process of its own, started from a program or a test.

    with LocalStore(Path(".tapefold")) as store:
        client = clickhouse_connect.get_client(dsn=store.address.url, autogenerate_session_id=False)

The folder `store` inside the state folder holds: `data/` (chdb's), `store.log`, `runtime.json` (port and process) and
`lock`. Does not load chdb into the program.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self

from tapefold.local.errors import AlreadyRunning, FolderLocked, PortTaken, ServiceDied, StartFailed
from tapefold.local.state import HOST, FolderLock, Runtime, log_tail, port_free, port_owner, require_disk, step_back

SERVICE = "the store"
DISK_BYTES_MIN = 256 * 1024 * 1024

_PORT_ROLE = "http"
_LOG_FILE = "store.log"
_LOG_BYTES_MAX = 4 * 1024 * 1024
_POLL_S = 0.02
_PROBE_TIMEOUT_S = 1.0
_LOCK_WAIT_S = 10.0
_KILLED_WAIT_S = 10.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class StoreAddress:
    """Where a store is.

    url: such as "http://127.0.0.1:28123", without a path. host, port: its parts.
    pid: its process.
    """

    url: str
    host: str
    port: int
    pid: int


class LocalStore:
    """One store in one state folder; a context manager that starts and stops it.

    state_dir: the store lives in its folder `store`; created if missing, kept after the stop.
    port: TCP port that must be used; None takes the port of the last start, or another one that is free.
    progress: is told a line when the store starts.
    disk_bytes_min: free bytes without which a start is refused.
    behind: it lets all others go first where processors are short.
    The store also ends, in order, when the process that started it does.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        port: int | None = None,
        progress: Progress = lambda line: None,  # noqa: ARG005 -- nobody wants to see it
        disk_bytes_min: int = DISK_BYTES_MIN,
        behind: bool = False,
    ) -> None:
        self.folder = _folder(state_dir)
        self._state_dir = state_dir.resolve()
        self._port = port
        self._progress = progress
        self._disk_bytes_min = disk_bytes_min
        self._behind = behind
        self._log_path = self.folder / _LOG_FILE
        self._log_start_bytes = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._address: StoreAddress | None = None

    @property
    def address(self) -> StoreAddress:
        """Where the store is. Raises RuntimeError if this instance has not started it."""
        if self._address is None:
            raise RuntimeError("not started")
        return self._address

    def start(self, ready_timeout_s: float = 60) -> StoreAddress:
        """Starts the store and returns when it answers; takes about a second, mostly for loading chdb.

        ready_timeout_s: seconds it may take.
        Errors: AlreadyRunning, FolderLocked, PortTaken, NoDiskSpace, StartFailed; after each of them nothing runs
        that did not run before.
        """
        if self._child is not None and self._child.poll() is None:
            raise AlreadyRunning(SERVICE, self.folder, self._child.pid)
        self._require_unlocked()
        require_disk(self.folder, self._disk_bytes_min)
        if self._port is not None and not port_free(self._port):
            raise PortTaken(self._port, port_owner(self._port))
        self._progress(f"{SERVICE}: starting in {self.folder}")
        self._child = self._launch()
        try:
            self._address = self._wait_until_served(self._child, ready_timeout_s)
        except BaseException:  # also Ctrl-C: the store has a session of its own and would live on
            self._child.kill()
            self._reap(self._child)
            raise
        self._progress(f"{SERVICE}: serving {self._address.url}")
        return self._address

    def check(self) -> None:
        """Returns if the store runs. Errors: ServiceDied if it died."""
        if self._child is not None and self._child.poll() is not None:
            raise ServiceDied(SERVICE, self._log_path, log_tail(self._log_path, self._log_start_bytes))

    def stop(self, timeout_s: float = 40) -> None:
        """Stops the store in order, or kills it if it has not ended after `timeout_s` seconds; keeps its data.

        Requests that run get 30 s to end. Does nothing if this instance has not started it.
        """
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
        self._reap(self._child)

    def kill(self) -> None:
        """Ends the store as a power cut of the process would (SIGKILL): for tests of what survives."""
        if self._child is not None:
            self._child.kill()
            self._reap(self._child)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _require_unlocked(self) -> None:
        """Raises FolderLocked, after a short wait for the store of a program that has just died."""
        deadline_s = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                with FolderLock(self.folder):
                    return
            except FolderLocked:
                if time.monotonic() > deadline_s:
                    raise
            time.sleep(_POLL_S)

    def _launch(self) -> subprocess.Popen[bytes]:
        size_bytes = self._log_path.stat().st_size if self._log_path.exists() else 0
        if size_bytes > _LOG_BYTES_MAX:
            self._log_path.replace(self._log_path.with_name(_LOG_FILE + ".1"))
            size_bytes = 0
        self._log_start_bytes = size_bytes
        command = [sys.executable, "-m", "tapefold.local.store", "--stop-with-stdin"]
        command += ["--port", str(self._port or 0), "--state-dir", str(self._state_dir)]
        with self._log_path.open("ab") as log:
            # A session of its own, because Ctrl-C in the terminal must not reach the store before its clients stop.
            child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, env=_environment(),
            )  # fmt: skip
        if self._behind:
            step_back(child.pid)
        return child

    def _wait_until_served(self, child: subprocess.Popen[bytes], timeout_s: float) -> StoreAddress:
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s and child.poll() is None:
            address = running(self._state_dir)
            if address is not None and address.pid == child.pid and answers(address):
                return address
            time.sleep(_POLL_S)
        said = log_tail(self._log_path, self._log_start_bytes)
        if self._port is not None and not port_free(self._port):
            raise PortTaken(self._port, port_owner(self._port))
        raise StartFailed(SERVICE, self._log_path, said)

    def _reap(self, child: subprocess.Popen[bytes]) -> None:
        child.wait(_KILLED_WAIT_S)
        if child.stdin is not None:
            child.stdin.close()
        self._child = None
        self._address = None


def running(state_dir: Path) -> StoreAddress | None:
    """The store that runs in the state folder, whoever started it; None if there is none.

    A process that only has the id of a store that died is not taken for it: start time and command line must fit.
    """
    runtime = Runtime.read(_folder(state_dir))
    if runtime is None or runtime.process is None or not runtime.process.alive():
        return None
    port = runtime.ports[_PORT_ROLE]
    return StoreAddress(f"http://{HOST}:{port}", HOST, port, runtime.process.pid)


def stop(state_dir: Path, timeout_s: float = 40) -> bool:
    """Stops the store that runs in the state folder, whoever started it; returns whether there was one.

    timeout_s: seconds it may take to end in order; then it is killed. Its data is kept.
    """
    runtime = Runtime.read(_folder(state_dir))
    if runtime is None or runtime.process is None or not runtime.process.alive():
        return False
    runtime.process.terminate(timeout_s)
    return True


def answers(address: StoreAddress) -> bool:
    """Whether the store answers /ping."""
    connection = HTTPConnection(address.host, address.port, timeout=_PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().read() == b"Ok.\n"
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _folder(state_dir: Path) -> Path:
    return (state_dir / "store").resolve()


def _environment() -> dict[str, str]:
    """The environment of this process, in which another Python finds the same modules."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
