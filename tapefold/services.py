"""What the services have in common, each a process of its own: whom they follow, which folder is theirs."""

import os
import signal
import threading
from pathlib import Path

from tapefold.local.errors import FolderLocked
from tapefold.local.state import FolderLock

PARENT_VARIABLE = "TAPEFOLD_PARENT_PID"
_PARENT_POLL_S = 0.5
_LOCK_ATTEMPTS = 40  # 20 s: a recorder whose supervisor was killed still flushes


def follow_parent(parent_pid: int) -> None:
    """End this process, in order, when the one that started it is gone: no stray service holds a folder for ever."""

    def watch() -> None:
        waiting = threading.Event()
        while os.getppid() == parent_pid:
            waiting.wait(_PARENT_POLL_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="follow-parent", daemon=True).start()


def own(folder: Path) -> None:
    """Hold a recorder's folder for the life of the process: two would write and remove one journal."""
    lock = FolderLock(folder)
    waiting = threading.Event()
    for attempt in range(_LOCK_ATTEMPTS):
        try:
            lock.acquire()
        except FolderLocked:
            if attempt + 1 == _LOCK_ATTEMPTS:
                raise
            waiting.wait(_PARENT_POLL_S)
        else:
            return
