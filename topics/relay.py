"""An appender before another one, for those who want to see what passes. Pure."""

from collections.abc import Sequence

from topics.log import Appender


class Relay:
    """Hands everything on to `appender`; whoever looks at one of its calls overrides that one."""

    def __init__(self, appender: Appender) -> None:
        self.stored = appender.stored
        self._appender = appender

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
        self.before_append()
        self._appender.append(topic, value, key=key, partition=partition, headers=headers, timestamp_ms=timestamp_ms)
        self.after_append(value, key, headers)

    def before_append(self) -> None:
        """A record comes."""

    def after_append(self, value: bytes, key: bytes | None, headers: Sequence[tuple[str, bytes]]) -> None:
        """A record is queued."""

    def poll(self) -> None:
        """Take news of deliveries."""
        self._appender.poll()

    def pending(self) -> int:
        """Records that are queued or in flight."""
        return self._appender.pending()

    def flush(self, timeout_s: float = 30.0) -> None:
        """Return when every queued record is confirmed."""
        self._appender.flush(timeout_s)

    def close(self) -> None:
        """Flush and let go."""
        self._appender.close()
