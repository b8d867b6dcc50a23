"""A note on disk of what the recorder covers, so that its successor can tell of a crash.

The file is rewritten atomically before a change of subscriptions reaches the log, and removed once a clean end is
confirmed by it. A file that is there at the start therefore means: the predecessor died without a word.
"""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from producers import notes
from producers.beat import Beater
from producers.kalshi.notices import SOURCE, Subscription, coverage_ends, gap
from producers.publish import Outgoing
from topics.errors import Refused
from topics.events import Channel


class Covered(Struct, frozen=True):
    """One subscription. markets: ticker -> when its coverage began, nanoseconds of the recorder's clock."""

    sid: int
    channel: Channel
    markets: dict[str, int]


class Journal(Struct, frozen=True):
    """What stood when the file was written."""

    conn: str
    clock: Literal["wall", "tape"]
    subscriptions: list[Covered]


def save(path: Path, journal: Journal) -> None:
    """Replace the file. Raises OSError."""
    notes.replace(path, msgspec.json.encode(journal))


def load(path: Path) -> Journal | None:
    """What the predecessor left; None after a clean end. Raises Refused for a file that is no journal."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise Refused(f"{path} is no journal of a recorder ({error}); move it away and start again") from error


def remove(path: Path) -> None:
    """The end was clean."""
    path.unlink(missing_ok=True)


def crash_notices(journal: Journal, clock_ns: int, lease_ns: int) -> list[Outgoing]:
    """What the dead recorder could not say: a gap per market and sid, the end of its coverage, and its last beat.

    How many frames are lost is unknown. The beat's clock is 0, see `Beater.bye`.
    """
    subs = [Subscription(covered.sid, covered.channel, covered.markets) for covered in journal.subscriptions]
    pairs = [(sub, ticker) for sub in subs for ticker in sub.markets]
    gaps = [gap(journal.conn, sub, "crash", ticker, clock_ns) for sub, ticker in pairs]
    closed = [coverage_ends(journal.conn, sub, ticker, clock_ns, ended_by="gap") for sub, ticker in pairs]
    bye = Beater(SOURCE, journal.conn, lease_ns=lease_ns).bye(0, None)
    return [*gaps, *closed, Outgoing(bye, None, clock_ns)]
