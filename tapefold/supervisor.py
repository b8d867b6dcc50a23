"""Keeps services running: starts each as a process, starts it again when it dies, stops all in order.

A service that refuses (exit 78) is not started again: its message says what to do.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from tapefold.local.errors import LocalError, StartFailed
from tapefold.local.state import log_tail, step_back, write_atomically
from tapefold.services import PARENT_VARIABLE
from tapefold.settings import child_environment
from topics.errors import Refused

EXIT_REFUSED = 78  # sysexits EX_CONFIG: starting again cannot mend it
EXIT_UNAVAILABLE = 75  # sysexits EX_TEMPFAIL: a part was away; starting again may find it
RESTART_FIRST_S = 0.5
RESTART_MAX_S = 10.0
STABLE_AFTER_S = 30.0
STOP_TIMEOUT_S = 30.0
LOCAL_STARTS_MAX = 3


class Local(Protocol):
    """An embedded part that the supervisor owns: the broker or the store."""

    def start(self) -> object:
        """Start it; raises LocalError."""

    def check(self) -> None:
        """Raise LocalError when it died."""

    def stop(self) -> None:
        """Stop it in order."""


@dataclass
class Service:
    """One process.

    once: it is meant to end by itself, with exit code 0, and is then left alone. behind: it can wait for all others.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    once: bool = False
    behind: bool = False
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    restarts: int = 0
    pause_s: float = RESTART_FIRST_S
    due_s: float = 0.0
    ended: bool = False


class Supervisor:
    """Services of one state folder. logs: `<state>/logs/<service>.log`; pids: `<state>/services.json`."""

    def __init__(self, state_dir: Path, say: Callable[[str], None]) -> None:
        self._state_dir = state_dir
        self._say = say
        self._services: list[Service] = []
        self._locals: list[tuple[str, Local]] = []

    @property
    def services(self) -> list[Service]:
        """All services, in the order of their start."""
        return self._services

    def adopt(self, name: str, local: Local) -> None:
        """Start an embedded part and keep it running."""
        self._start(name, local)
        self._locals.append((name, local))

    def start(self, service: Service) -> None:
        """Start a service and keep it running."""
        self._services.append(service)
        self._launch(service)

    def look(self) -> None:
        """Start again what died. Raises Refused when a service refused."""
        for name, local in self._locals:
            try:
                local.check()
            except LocalError as error:
                self._say(f"{name} died and is started again: {str(error).splitlines()[0]}")
                self._start(name, local)
        now_s = time.monotonic()
        for service in self._services:
            if service.process is None:
                if not service.ended and now_s >= service.due_s:
                    self._launch(service)
            elif (code := service.process.poll()) is not None:
                self._ended(service, code, now_s)

    def stop(self, names: Iterable[str] | None = None) -> None:
        """Stop services, the last started last, then (without `names`) the embedded parts, the last started first."""
        chosen = [s for s in self._services if (names is None or s.name in names) and s.process is not None]
        for service in chosen:
            service.ended = True
            self._terminate(service)
        if names is None:
            for _, local in reversed(self._locals):
                local.stop()
            self._locals = []
            (self._state_dir / "services.json").unlink(missing_ok=True)

    def _start(self, name: str, local: Local) -> None:
        """Start an embedded part; one that dies on the way (kill -9 asks nobody) gets two more tries."""
        for _ in range(LOCAL_STARTS_MAX - 1):
            try:
                local.start()
            except StartFailed as error:
                self._say(f"{name} died while it started and is started again: {str(error).splitlines()[0]}")
            else:
                return
        local.start()

    def _launch(self, service: Service) -> None:
        folder = self._state_dir / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        environment = child_environment(**{**service.environment, PARENT_VARIABLE: str(os.getpid())})
        with (folder / f"{service.name}.log").open("ab") as log:
            service.process = subprocess.Popen(
                [sys.executable, "-m", "tapefold", *service.arguments, "--state-dir", str(self._state_dir)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches us alone; we stop the services in order
            )
        if service.behind:
            step_back(service.process.pid)
        service.started_s = time.monotonic()
        self._write_pids()

    def _ended(self, service: Service, code: int, now_s: float) -> None:
        service.process = None
        if code == 0 and service.once:
            service.ended = True
            return
        if code == EXIT_REFUSED:
            raise Refused(f"{service.name} refused to start:\n{self.tail(service.name)}")
        if now_s - service.started_s > STABLE_AFTER_S:
            service.pause_s = RESTART_FIRST_S
        service.restarts += 1
        service.due_s = now_s + service.pause_s
        self._say(f"{service.name} ended with code {code}; starting again in {service.pause_s:.1f} s")
        service.pause_s = min(service.pause_s * 2, RESTART_MAX_S)

    def tail(self, name: str) -> str:
        """The last lines of a service's log."""
        return log_tail(self._state_dir / "logs" / f"{name}.log", 0)

    def _terminate(self, service: Service) -> None:
        process = service.process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._say(f"{service.name} did not stop within {STOP_TIMEOUT_S:.0f} s and is killed")
            process.kill()
            process.wait()
        service.process = None

    def _write_pids(self) -> None:
        pids = {service.name: service.process.pid for service in self._services if service.process is not None}
        write_atomically(self._state_dir / "services.json", msgspec.json.encode(pids))
