"""Named places at which a process may be made to die, to prove that dying there does no harm. Pure.

A place costs one call of a function that does nothing, unless the process was started to die there.
"""

from collections.abc import Callable, Sequence

from topics.log import Appender

Hit = Callable[[str], None]


def nothing(name: str) -> None:
    """Pass the place."""


def failpoints(spec: str, die: Callable[[], None]) -> Hit:
    """What to call at each named place. spec: `name` or `name:N` to die at the N-th passing, several with commas.

    Raises ValueError that names the part which is none.
    """
    left: dict[str, int] = {}
    for part in filter(None, spec.split(",")):
        name, _, count = part.strip().partition(":")
        if not name or not (count or "1").isdigit():
            raise ValueError(f"expected NAME or NAME:N, was {part!r}")
        left[name] = int(count or "1")
    if not left:
        return nothing

    def hit(name: str) -> None:
        if name in left:
            left[name] -= 1
            if not left[name]:
                die()

    return hit


class TrippingAppender:
    """An appender with failpoints `<part>.append`, `<part>.before_flush` and `<part>.after_flush`.

    Agents and producers confirm through their appender whatever they do, so that these are their places to die at.
    """

    def __init__(self, appender: Appender, part: str, hit: Hit) -> None:
        self.stored = appender.stored
        self._appender = appender
        self._part = part
        self._hit = hit

    def append(
        self,
        topic: str,
        value: bytes,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int = 0,
    ) -> None:
        """Queue one record."""
        self._hit(f"{self._part}.append")
        self._appender.append(topic, value, key=key, partition=partition, headers=headers, timestamp_ms=timestamp_ms)

    def poll(self) -> None:
        """Take news of deliveries."""
        self._appender.poll()

    def pending(self) -> int:
        """Records that are queued or in flight."""
        return self._appender.pending()

    def flush(self, timeout_s: float = 30.0) -> None:
        """Return when every queued record is confirmed."""
        self._hit(f"{self._part}.before_flush")
        self._appender.flush(timeout_s)
        self._hit(f"{self._part}.after_flush")

    def close(self) -> None:
        """Flush and let go."""
        self._appender.close()


def with_failpoints(appender: Appender, part: str, hit: Hit) -> Appender:
    """The appender itself, unless there are places to die at."""
    return appender if hit is nothing else TrippingAppender(appender, part, hit)
