"""Named places at which a process may be made to die, to prove that dying there does no harm. Pure.

A place costs one call of a function that does nothing, unless the process was started to die there.
"""

from collections.abc import Callable

from topics.errors import Undelivered
from topics.log import Appender
from topics.relay import Relay
from topics.storer import Entry, OnStored, Place, Storer

Hit = Callable[[str], None]

APPENDING = ("ws", "rest", "iem", "tws", "rag", "ingest", "fold")
_SINK = (
    "before_intent",
    "after_intent",
    "before_insert",
    "after_insert",
    "after_verify",
    "before_commit",
    "after_commit",
)
PLACES = frozenset(
    {f"{part}.{at}" for part in APPENDING for at in ("append", "before_flush", "after_flush")}
    | {f"sink.{at}" for at in _SINK}
    | {"webhook.before_store", "webhook.after_store"}
)
"""All there are; a misspelt one would prove nothing, so it is refused."""


def nothing(name: str) -> None:
    """Pass the place."""


def failpoints(spec: str, die: Callable[[], None]) -> Hit:
    """What to call at each named place. spec: `name` or `name:N` to die at the N-th passing, several with commas.

    Raises ValueError that names the part which is none of PLACES.
    """
    left: dict[str, int] = {}
    for part in filter(None, spec.split(",")):
        name, _, count = part.strip().partition(":")
        if not name or not (count or "1").isdigit():
            raise ValueError(f"expected NAME or NAME:N, was {part!r}")
        if name not in PLACES:
            raise ValueError(f"expected one of {', '.join(sorted(PLACES))}, was {name!r}")
        left[name] = int(count or "1")
    if not left:
        return nothing

    def hit(name: str) -> None:
        if name in left:
            left[name] -= 1
            if not left[name]:
                die()

    return hit


class TrippingAppender(Relay):
    """An appender with failpoints `<part>.append`, `<part>.before_flush` and `<part>.after_flush`.

    Agents and recorders confirm through their appender whatever they do, so that these are their places to die at.
    """

    def __init__(self, appender: Appender, part: str, hit: Hit) -> None:
        super().__init__(appender)
        self._part = part
        self._hit = hit

    def before_append(self) -> None:
        """Pass the place."""
        self._hit(f"{self._part}.append")

    def flush(self, timeout_s: float = 30.0) -> None:
        """Return when every queued record is confirmed."""
        self._hit(f"{self._part}.before_flush")
        super().flush(timeout_s)
        self._hit(f"{self._part}.after_flush")


class TrippingStorer:
    """A storer with the failpoints `<part>.before_store`, and `<part>.after_store`: stored, and nobody was told so."""

    def __init__(self, storer: Storer, part: str, hit: Hit) -> None:
        self._storer = storer
        self._part = part
        self._hit = hit

    def store(self, entry: Entry, on_stored: OnStored) -> None:
        """Queue one record."""

        def stored(place: Place | Undelivered) -> None:
            self._hit(f"{self._part}.after_store")
            on_stored(place)

        self._hit(f"{self._part}.before_store")
        self._storer.store(entry, stored)

    def poll(self) -> None:
        """Make the callbacks that are due."""
        self._storer.poll()

    def pending(self) -> int:
        """Records whose fate is not known yet."""
        return self._storer.pending()

    def close(self, timeout_s: float) -> None:
        """Wait for the callbacks of all that is queued, and let go."""
        self._storer.close(timeout_s)


def storer_with_failpoints(storer: Storer, part: str, hit: Hit) -> Storer:
    """The storer itself, unless there are places to die at."""
    return storer if hit is nothing else TrippingStorer(storer, part, hit)


def with_failpoints(appender: Appender, part: str, hit: Hit) -> Appender:
    """The appender itself, unless there are places to die at."""
    return appender if hit is nothing else TrippingAppender(appender, part, hit)
