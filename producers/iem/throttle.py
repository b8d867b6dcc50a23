"""One throttle for all that ask IEM from this machine: a slot is taken from a file, under its lock.

The time of the next free slot stands in the file, in nanoseconds. A process that dies with the lock lets go of it.
"""

import fcntl
import os
from pathlib import Path

from topics.units import NS_PER_S

_HOLD_MAX_NS = 600 * NS_PER_S  # a slot further away was written by a clock that has been set back since


class Throttle:
    """Slots `interval_ns` apart. path: a file of this machine, shared by all who ask; its folder is made."""

    def __init__(self, path: Path, interval_ns: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._interval_ns = interval_ns

    def reserve(self, now_ns: int) -> int:
        """Take the next slot; returns how long to wait for it, in nanoseconds."""
        return self._move(now_ns, 0)

    def hold(self, now_ns: int, pause_ns: int) -> None:
        """Nobody asks for `pause_ns` from now on: the upstream said so, or is not well."""
        self._move(now_ns, min(pause_ns, _HOLD_MAX_NS))

    def _move(self, now_ns: int, pause_ns: int) -> int:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            text = os.read(descriptor, 32)
            free_ns = int(text) if text.isdigit() else 0
            if free_ns - now_ns > _HOLD_MAX_NS + self._interval_ns:
                free_ns = 0
            slot_ns = max(now_ns, free_ns)
            after_ns = max(free_ns, now_ns + pause_ns) if pause_ns else slot_ns + self._interval_ns
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d" % after_ns, 0)
            return slot_ns - now_ns
        finally:
            os.close(descriptor)
