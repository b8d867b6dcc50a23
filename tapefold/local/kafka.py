"""A real Kafka broker in a state folder: one node, on this machine's loopback, without an installed Java or Docker.

    with LocalKafka(Path(".tapefold")) as kafka:
        print(kafka.address.bootstrap)

The folder `kafka` inside the state folder holds: `data/` (the log), `server.properties` and `log4j2.properties`
(written anew at each start), `kafka.log` (warnings and errors of the broker), `runtime.json` (ports and process)
and `lock`.
"""

import base64
import errno
import shutil
import socket
import struct
import subprocess
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tapefold.local.errors import AlreadyRunning, LocalError, NoDiskSpace, PortTaken, ServiceDied, StartFailed
from tapefold.local.jars import Progress, ensure_jars, find_java, silent
from tapefold.local.kafka_files import DATA_DIR, broker_command, configuration, format_command
from tapefold.local.state import (
    HOST,
    FolderLock,
    Runtime,
    ServiceProcess,
    free_port,
    log_tail,
    port_free,
    port_owner,
    require_disk,
    write_atomically,
)

SERVICE = "Kafka"
DISK_BYTES_MIN = 512 * 1024 * 1024

_LOG_FILE = "kafka.log"
_META_FILE = Path(DATA_DIR) / "meta.properties"
_LOG_BYTES_MAX = 4 * 1024 * 1024
_LOG_LINES_SEARCHED = 500
_POLL_S = 0.05
_PROBE_TIMEOUT_S = 1.0
_FORMAT_TIMEOUT_S = 60.0
_ORPHAN_STOP_S = 20.0
_PORT_TRIES_MAX = 3


@dataclass(frozen=True)
class BrokerAddress:
    """Where a broker is.

    bootstrap: "127.0.0.1:PORT", for the setting `bootstrap.servers` of any Kafka client.
    pid: its process.
    """

    bootstrap: str
    pid: int


class LocalKafka:
    """One broker in one state folder; a context manager that starts and stops it.

    state_dir: the broker lives in its folder `kafka`; created if missing, kept after the stop.
    port: TCP port that must be used; None takes the port of the last start, or another one that is free.
    heap_mb: the most that the Java heap may take, MiB.
    progress: is told a line now and then while jars are downloaded, and when the broker starts.
    disk_bytes_min: free bytes without which a start is refused.
    cache_dir: where the jars stand; the cache folder of the user if None.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        port: int | None = None,
        heap_mb: int = 512,
        progress: Progress = silent,
        disk_bytes_min: int = DISK_BYTES_MIN,
        cache_dir: Path | None = None,
    ) -> None:
        self.folder = _folder(state_dir)
        self._port = port
        self._heap_mb = heap_mb
        self._progress = progress
        self._disk_bytes_min = disk_bytes_min
        self._cache_dir = cache_dir
        self._lock = FolderLock(self.folder)
        self._log_path = self.folder / _LOG_FILE
        self._log_start_bytes = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._runtime: Runtime | None = None

    @property
    def address(self) -> BrokerAddress:
        """Where the broker is. Raises RuntimeError if this instance has not started it."""
        if self._runtime is None:
            raise RuntimeError("not started")
        return _address(self._runtime)

    def start(self, ready_timeout_s: float = 60) -> BrokerAddress:
        """Starts the broker and returns when it serves clients.

        ready_timeout_s: seconds it may take to serve, without the first download and format.
        A broker of this folder whose owner was killed is taken over as it runs, unless another port was asked for.
        Errors: AlreadyRunning, FolderLocked, PortTaken, NoDiskSpace, JavaMissing, DownloadFailed, StartFailed;
        after each of them nothing runs that did not run before.
        """
        if self._runtime is not None and self._alive():
            raise AlreadyRunning(SERVICE, self.folder, self.address.pid)
        try:
            self._lock.acquire()
            self._runtime = self._take_over() or self._start_new(ready_timeout_s)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise _no_disk_space(self.folder, self._disk_bytes_min) from error
            raise
        finally:
            if self._runtime is None:
                self._lock.release()
        return self.address

    def check(self) -> None:
        """Returns if the broker runs. Errors: ServiceDied or NoDiskSpace if it died, by which it is told why."""
        if self._runtime is not None and not self._alive():
            raise self._failure(ServiceDied(SERVICE, self._log_path, log_tail(self._log_path, self._log_start_bytes)))

    def stop(self, timeout_s: float = 20) -> None:
        """Stops the broker in order, or kills it if it has not ended after `timeout_s` seconds; keeps its data.

        Does nothing if this instance has not started it.
        """
        if self._runtime is None:
            return
        self._end(self._runtime, timeout_s)
        self._runtime = None
        self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _alive(self) -> bool:
        assert self._runtime is not None
        assert self._runtime.process is not None
        return self._runtime.process.alive()

    def _take_over(self) -> Runtime | None:
        """The broker that a killed owner left behind, if it will do; if not, it is stopped."""
        found = Runtime.read(self.folder)
        if found is None or found.process is None or not found.process.alive():
            return None
        if self._port in {None, found.ports["broker"]} and _serves(found.ports["broker"], self._cluster_id()):
            self._progress(f"{SERVICE} runs already as process {found.process.pid}, its last owner is gone")
            self._log_start_bytes = self._log_path.stat().st_size if self._log_path.exists() else 0
            return found
        self._end(found, _ORPHAN_STOP_S)
        return None

    def _start_new(self, ready_timeout_s: float) -> Runtime:
        require_disk(self.folder, self._disk_bytes_min)
        for tries_left in reversed(range(_PORT_TRIES_MAX)):
            ports = self._choose_ports()
            self._prepare(ports)
            runtime = self._launch(ports)
            try:
                self._wait_until_served(runtime, ready_timeout_s)
            except PortTaken:
                # Somebody took the port between our look and the broker's bind.
                self._end(runtime, 0)
                if self._port is not None or not tries_left:
                    raise
            except BaseException:  # also Ctrl-C: the broker has a session of its own and would live on
                self._end(runtime, 0)
                raise
            else:
                return runtime
        raise AssertionError("the last try returns or raises")

    def _choose_ports(self) -> dict[str, int]:
        found = Runtime.read(self.folder)
        last = found.ports if found else {}
        port = self._port or last.get("broker", 0)
        if not port_free(port) and self._port is not None:
            raise PortTaken(port, port_owner(port))
        if not port or not port_free(port):
            port = free_port(self.folder)
        controller_port = last.get("controller", 0)
        if controller_port in {0, port} or not port_free(controller_port):
            controller_port = free_port(self.folder, taken=frozenset({port}))
        return {"broker": port, "controller": controller_port}

    def _prepare(self, ports: dict[str, int]) -> None:
        """Writes the configuration, and formats the data folder if that was not done."""
        for name, content in configuration(ports["broker"], ports["controller"]).items():
            write_atomically(self.folder / name, content.encode())
        # Kafka writes this file last when it formats.
        if (self.folder / _META_FILE).exists():
            return
        command = format_command(find_java(), ensure_jars(self._progress, self._cache_dir), _new_cluster_id())
        self._progress(f"{SERVICE}: preparing {self.folder / DATA_DIR}")
        self._open_log()
        with self._log_path.open("ab") as log:
            try:
                done = subprocess.run(
                    command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    timeout=_FORMAT_TIMEOUT_S, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                raise self._failure(self._start_failed()) from None
        if done.returncode:
            raise self._failure(self._start_failed())

    def _launch(self, ports: dict[str, int]) -> Runtime:
        jars = ensure_jars(self._progress, self._cache_dir)
        marker = _marker(self.folder)
        self._progress(f"{SERVICE}: starting on {HOST}:{ports['broker']}")
        self._open_log()
        with self._log_path.open("ab") as log:
            # A session of its own, because Ctrl-C in the terminal must not reach the broker before its clients stop.
            self._child = subprocess.Popen(
                broker_command(find_java(), jars, self._heap_mb, marker),
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        runtime = Runtime(ports, ServiceProcess.of(self._child.pid, marker))
        runtime.write(self.folder)
        return runtime

    def _wait_until_served(self, runtime: Runtime, timeout_s: float) -> None:
        assert self._child is not None
        deadline_s = time.monotonic() + timeout_s
        cluster_id = self._cluster_id()
        while time.monotonic() < deadline_s:
            if self._child.poll() is not None:
                raise self._failure(self._start_failed())
            if _serves(runtime.ports["broker"], cluster_id):
                return
            time.sleep(_POLL_S)
        raise self._failure(self._start_failed())

    def _end(self, runtime: Runtime, timeout_s: float) -> None:
        assert runtime.process is not None
        runtime.process.terminate(timeout_s)
        if self._child is not None:
            self._child.wait()
            self._child = None
        # A note only: readers look whether the process lives. A full disk must not keep anybody from stopping.
        with suppress(OSError):
            Runtime(runtime.ports, None).write(self.folder)

    def _cluster_id(self) -> str | None:
        """What the formatted data folder says of itself; None where it was cut or taken away: no broker is known by that."""
        if not (self.folder / _META_FILE).exists():
            return None
        lines = (self.folder / _META_FILE).read_text("ascii").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line).get("cluster.id")

    def _open_log(self) -> None:
        """Remembers where the log of this run begins; an overlong log of older runs is put aside."""
        size_bytes = self._log_path.stat().st_size if self._log_path.exists() else 0
        if size_bytes > _LOG_BYTES_MAX:
            self._log_path.replace(self._log_path.with_name(_LOG_FILE + ".1"))
            size_bytes = 0
        self._log_start_bytes = size_bytes

    def _start_failed(self) -> StartFailed:
        return StartFailed(SERVICE, self._log_path, log_tail(self._log_path, self._log_start_bytes))

    def _failure(self, otherwise: StartFailed | ServiceDied) -> LocalError:
        """The error that the log of this run speaks of, or `otherwise`."""
        said = log_tail(self._log_path, self._log_start_bytes, _LOG_LINES_SEARCHED)
        if "No space left on device" in said:
            return _no_disk_space(self.folder, self._disk_bytes_min)
        if "Address already in use" in said:
            taken = [port for port in self._ports() if not port_free(port)]
            return PortTaken(taken[0], port_owner(taken[0])) if taken else otherwise
        return otherwise

    def _ports(self) -> list[int]:
        found = Runtime.read(self.folder)
        return list(found.ports.values()) if found else []


def running(state_dir: Path) -> BrokerAddress | None:
    """The broker that runs in the state folder, whoever started it; None if there is none.

    A process that only has the id of a broker that died is not taken for it: start time and command line must fit.
    """
    runtime = Runtime.read(_folder(state_dir))
    if runtime is None or runtime.process is None or not runtime.process.alive():
        return None
    return _address(runtime)


def stop(state_dir: Path, timeout_s: float = 20) -> bool:
    """Stops the broker that runs in the state folder, whoever started it; returns whether there was one.

    timeout_s: seconds it may take to end in order; then it is killed. Its data is kept.
    """
    runtime = Runtime.read(_folder(state_dir))
    if runtime is None or runtime.process is None or not runtime.process.alive():
        return False
    runtime.process.terminate(timeout_s)
    return True


def _folder(state_dir: Path) -> Path:
    return (state_dir / "kafka").resolve()


def _marker(folder: Path) -> str:
    return f"-Dtapefold.folder={folder}"


def _address(runtime: Runtime) -> BrokerAddress:
    assert runtime.process is not None
    return BrokerAddress(f"{HOST}:{runtime.ports['broker']}", runtime.process.pid)


def _no_disk_space(folder: Path, needed_bytes: int) -> NoDiskSpace:
    return NoDiskSpace(folder, shutil.disk_usage(folder).free, needed_bytes)


def _new_cluster_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _serves(port: int, cluster_id: str | None) -> bool:
    """Whether the broker of this cluster lists itself on the port as ready for clients.

    Asks Metadata, version 2, for no topics (https://kafka.apache.org/41/design/protocol/): an open port is not enough,
    the list of brokers stays empty until the controller has let the broker in. And it may be another folder's broker
    that answers there, one that took the port while ours was on its way to it and will die of that.
    """
    correlation = 1
    request = struct.pack(">hhihi", 3, 2, correlation, -1, 0)  # key, version, correlation, no client id, no topics
    try:
        with socket.create_connection((HOST, port), timeout=_PROBE_TIMEOUT_S) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as answer:
                (size_bytes,) = struct.unpack(">i", answer.read(4))
                body = answer.read(size_bytes)
        echoed, broker_count = struct.unpack_from(">ii", body)
    except (OSError, struct.error):
        return False
    ours = cluster_id is not None and cluster_id.encode() in body
    return bool(echoed == correlation and broker_count > 0 and ours)
