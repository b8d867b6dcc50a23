"""The store as a running service: one folder, one port of the loopback, until a signal ends it."""

import errno
import ipaddress
import logging
import os
import signal
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tapefold.local.errors import LocalError, PortTaken
from tapefold.local.state import FolderLock, Runtime, ServiceProcess, free_port, port_free, port_owner, require_disk
from tapefold.local.store.engine import Engine
from tapefold.local.store.handler import StoreHandler
from tapefold.local.store.service import Service

_LOG = logging.getLogger(__name__)

FOLDER = "store"
DISK_BYTES_MIN = 256 * 1024 * 1024
PORT_ROLE = "http"
GRACE_S = 30.0
"""Seconds that requests may still take after a signal; then they are cancelled."""

_CANCEL_S = 5.0
_ACCEPT_POLL_S = 0.05


class NotLoopback(LocalError):
    """The store was asked to listen where other machines could reach it; it has no passwords.

    host: the address.
    """

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host

    def __str__(self) -> str:
        return f"the store listens on the loopback only, not on {self.host}: use 127.0.0.1, or run a ClickHouse server"


class StoreServer(socketserver.ThreadingTCPServer):
    """Accepts connections, and knows which of them are amid a request."""

    allow_reuse_address = True
    daemon_threads = True  # a client that never hangs up must not keep the process
    request_queue_size = 256

    def __init__(self, host: str, port: int, service: Service) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), StoreHandler)
        self.service = service
        self._changed = threading.Condition()
        self._connections: dict[socket.socket, bool] = {}
        self._ending = False

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Notes the connection and gives it a thread."""
        assert isinstance(request, socket.socket)
        with self._changed:
            self._connections[request] = False
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Forgets the connection and closes it."""
        assert isinstance(request, socket.socket)
        with self._changed:
            self._connections.pop(request, None)
            self._changed.notify_all()
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Logs what a handler let through."""
        del request
        _LOG.warning("connection from %s failed", client_address, exc_info=True)

    def begin(self, connection: socket.socket) -> bool:
        """A request begins; returns whether it may."""
        with self._changed:
            self._connections[connection] = not self._ending
            return not self._ending

    def end(self, connection: socket.socket) -> bool:
        """A request is over; returns whether the connection may bring another."""
        with self._changed:
            self._connections[connection] = False
            self._changed.notify_all()
            return not self._ending

    def drain(self, grace_s: float) -> None:
        """Lets the requests that run end, cancels them after `grace_s` seconds, and hangs up on everybody."""
        with self._changed:
            self._ending = True
        self._hang_up(busy=False)
        if not self._wait_idle(grace_s):
            _LOG.warning("requests still run after %g s: they are cancelled", grace_s)
            self.service.engine.cancel_all()
            self._hang_up(busy=True)
            self._wait_idle(_CANCEL_S)

    def _wait_idle(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not any(self._connections.values()), timeout_s)

    def _hang_up(self, *, busy: bool) -> None:
        with self._changed:
            for connection, is_busy in self._connections.items():
                if is_busy == busy:
                    try:
                        connection.shutdown(socket.SHUT_RD)
                    except OSError:
                        continue  # the client was faster


def serve(
    state_dir: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[str], None],
    grace_s: float = GRACE_S,
) -> None:
    """Serves the store of a state folder until SIGTERM, SIGINT or `request_stop`; then ends in order and returns.

    Runs in the main thread of a process of its own. The data stands in the folder `store/data` of `state_dir`.
    host: a loopback address. port: TCP port; 0 takes the port of the last start, or another one that is free.
    on_ready: is told the URL, such as "http://127.0.0.1:28123", when the store answers.
    grace_s: seconds that running requests may take to end.
    Errors: NotLoopback, FolderLocked, PortTaken, NoDiskSpace, StoreFault if chdb can not open its folder.
    """
    host = _loopback(host)
    folder = (state_dir / FOLDER).resolve()
    stop = threading.Event()
    with FolderLock(folder), _signals(stop):
        require_disk(folder, DISK_BYTES_MIN)
        chosen = _choose_port(folder, host, port)
        with (
            Engine(folder / "data") as engine,
            _listening(host, chosen, Service(engine, socket.gethostname())) as server,
        ):
            Runtime({PORT_ROLE: chosen}, ServiceProcess.of(os.getpid(), _marker(state_dir))).write(folder)
            shown = f"[{host}]" if ":" in host else host
            _LOG.info("serving %s on http://%s:%d", folder, shown, chosen)
            on_ready(f"http://{shown}:{chosen}")
            while not stop.wait(1):  # a bare wait would keep signals from their handlers on some systems
                pass
            _LOG.info("stopping")
            started_s = time.monotonic()
            server.shutdown()
            server.drain(grace_s)
            _LOG.info("requests ended within %.1f s", time.monotonic() - started_s)
        Runtime({PORT_ROLE: chosen}, None).write(folder)


def request_stop() -> None:
    """Ends `serve` of this process as SIGTERM does; may be called from any thread."""
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _listening(host: str, port: int, service: Service) -> Iterator[StoreServer]:
    try:
        server = StoreServer(host, port, service)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(port, port_owner(port)) from error
        raise
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(_ACCEPT_POLL_S,), name="accept", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    def on_signal(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _choose_port(folder: Path, host: str, port: int) -> int:
    if port:
        return port
    found = Runtime.read(folder)
    last = found.ports.get(PORT_ROLE, 0) if found else 0
    if last and (host != "127.0.0.1" or port_free(last)):
        return last
    return free_port(folder)


def _loopback(host: str) -> str:
    if host.lower() == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise NotLoopback(host) from None
    if not address.is_loopback:
        raise NotLoopback(host)
    return str(address)


def _marker(state_dir: Path) -> str:
    """An argument of this process's command line: the folder if it is one, else the last."""
    return str(state_dir) if str(state_dir) in sys.orig_argv else sys.orig_argv[-1]
