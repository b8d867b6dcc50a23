"""The folder of a local service: who owns it, what runs in it, where it listens, how much disk is left.

This is the only module that asks the system about processes (psutil) and locks (fcntl).
"""

import errno
import fcntl
import json
import os
import shutil
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped,unused-ignore]  # untyped unless types-psutil is there

from tapefold.local.errors import FolderLocked, NoDiskSpace

HOST = "127.0.0.1"
"""Local services listen here and nowhere else."""

# Below the range from which systems take ports for outgoing connections (Linux 32768, macOS and Windows 49152),
# so that a port which is kept for the next start is not lent to some browser meanwhile.
_PORT_MIN = 20_000
_PORT_COUNT = 10_000

# The start time of a process is computed from the boot time, which moves when the clock is set.
_START_TOLERANCE_S = 5.0

STEP_BACK_NICE = 4
"""How far a process that can wait steps back: at 10 its rows came 7 s late on two busy cores, at 2 the bars did."""

_KILL_TIMEOUT_S = 10.0
_POLL_S = 0.02
_TAIL_BYTES_MAX = 16_384


class FolderLock:
    """The right to run one service in one folder; a context manager.

    The lock is the system's own (flock): it ends with the process that holds it, so it can not go stale.
    folder: created if it is missing; the lock is its file `lock`, which also names the holder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._fd: int | None = None

    def acquire(self) -> None:
        """Takes the lock, or raises FolderLocked at once. Does nothing if this object holds it already."""
        if self._fd is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(fd, 20).strip()
            os.close(fd)
            raise FolderLocked(self.folder, int(holder) if holder.isdigit() else None) from None
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        except OSError:  # a full disk
            os.close(fd)
            raise
        self._fd = fd

    def release(self) -> None:
        """Gives the lock back; does nothing if it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Holds the file `path` (created if missing) as a lock; waits for other holders, however long they take."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class ServiceProcess:
    """A process that was started in a folder.

    pid: process id.
    started_s: start time as the system tells it, Unix seconds; with `pid` it names a process for good.
    marker: argument on its command line that no process outside the folder has.
    """

    pid: int
    started_s: float
    marker: str

    @classmethod
    def of(cls, pid: int, marker: str) -> Self:
        """Describes the running process `pid`; raises ProcessLookupError if there is none."""
        try:
            return cls(pid, psutil.Process(pid).create_time(), marker)
        except psutil.NoSuchProcess as error:
            raise ProcessLookupError(errno.ESRCH, "no such process", str(pid)) from error

    def alive(self) -> bool:
        """Whether this very process runs: same id, same start, same marker; one that awaits burial does not."""
        return self._found() is not None

    def terminate(self, timeout_s: float) -> None:
        """Asks the process to end, and kills it if it has not after `timeout_s` seconds; returns when it is gone.

        Does nothing if this very process does not run any more. Raises TimeoutError if not even the kill ends it,
        as with a process that waits for a broken disk.
        """
        for ask, wait_s in ((psutil.Process.terminate, timeout_s), (psutil.Process.kill, _KILL_TIMEOUT_S)):
            process = self._found()
            if process is None:
                return
            with suppress(psutil.NoSuchProcess):
                ask(process)
            if self._gone_within(wait_s):
                return
        raise TimeoutError(errno.ETIMEDOUT, "process does not end", str(self.pid))

    def rss_bytes(self) -> int:
        """Resident memory in bytes; 0 if the process is gone."""
        process = self._found()
        return int(process.memory_info().rss) if process else 0

    def _gone_within(self, timeout_s: float) -> bool:
        # Not psutil's wait: of a process that is not our child it would wait until somebody else buries it,
        # which the first process of some containers never does.
        deadline_s = time.monotonic() + timeout_s
        while self.alive():
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(_POLL_S)
        return True

    def _found(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_s) <= _START_TOLERANCE_S
            if same and process.status() != psutil.STATUS_ZOMBIE and self.marker in process.cmdline():
                return process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return None
        return None


@dataclass(frozen=True)
class Runtime:
    """What a service remembers in its folder (file `runtime.json`), also after it stopped.

    ports: its TCP ports by role, kept so that clients find the service again after a restart.
    process: the process, running or dead; None after an orderly stop.
    """

    ports: dict[str, int]
    process: ServiceProcess | None

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Reads the file of the folder; None if there is none, or one that no version of this class wrote."""
        try:
            fields = json.loads((folder / "runtime.json").read_bytes())
            process = fields["process"]
            ports = {str(role): int(port) for role, port in fields["ports"].items()}
            return cls(ports, ServiceProcess(**process) if process else None)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, folder: Path) -> None:
        """Replaces the file of the folder; a reader sees the old one or the new one."""
        write_atomically(folder / "runtime.json", json.dumps(asdict(self), indent=1).encode() + b"\n")


def step_back(pid: int) -> None:
    """Let all others go first where processors are short. To be called before the process makes threads of its own.

    Linux shares its processors between sessions first and between their processes afterwards (`man 7 sched`, "The
    autogroup feature"), so the session of `pid` is told as well, where that can be.
    """
    with suppress(ProcessLookupError):  # gone already: whoever started it will see
        os.setpriority(os.PRIO_PROCESS, pid, max(STEP_BACK_NICE, os.getpriority(os.PRIO_PROCESS, pid)))
        with suppress(OSError):  # no Linux, or a container that may not
            Path(f"/proc/{pid}/autogroup").write_text(str(STEP_BACK_NICE), "ascii")


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces the file `path` so that it holds the old content or the new, whatever dies."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def port_free(port: int) -> bool:
    """Whether a service could listen on the port of 127.0.0.1 now; it may be taken a moment later."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of a stopped server that linger do not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
        return True


def free_port(folder: Path, taken: frozenset[int] = frozenset()) -> int:
    """A free port of 127.0.0.1 that is not in `taken`; the search begins at a place of the folder's own.

    So two folders seldom want the same port, and one folder gets the same again if it is free.
    Raises OSError (EADDRINUSE) if none of 10,000 is free.
    """
    first = zlib.crc32(os.fsencode(folder.absolute()))
    for step in range(_PORT_COUNT):
        port = _PORT_MIN + (first + step) % _PORT_COUNT
        if port not in taken and port_free(port):
            return port
    raise OSError(errno.EADDRINUSE, f"no free port from {_PORT_MIN} to {_PORT_MIN + _PORT_COUNT - 1}")


def port_owner(port: int) -> str | None:
    """Who listens on the TCP port, such as "nginx (process 812)"; None where the system does not tell."""
    try:
        connections = psutil.net_connections(kind="tcp")
        for connection in connections:
            local = connection.laddr
            if connection.status == psutil.CONN_LISTEN and local and local.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return None
    return None


def require_disk(folder: Path, needed_bytes: int, move_with: str = "--state-dir") -> None:
    """Raises NoDiskSpace if the disk of the folder (which must exist) has fewer free bytes than needed."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise NoDiskSpace(folder, free_bytes, needed_bytes, move_with)


def log_tail(path: Path, start_bytes: int, lines_max: int = 15) -> str:
    """The last lines of a log, of what was written after its first `start_bytes` bytes; "" if there is no log.

    Frames of Java stack traces are left out: they push the line that says what happened out of sight.
    """
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, os.SEEK_END)
            file.seek(max(start_bytes, size_bytes - _TAIL_BYTES_MAX))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join([line for line in lines if not line.startswith("\tat ")][-lines_max:])
