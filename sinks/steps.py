"""What the sink's protocol says and hears: commands to the shell, and the events by which they end. Pure."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from sinks.batch import Round, Share
from sinks.generation import LIVE

# --- commands: what the shell is to do next --------------------------------------------------------------------------


class WriteIntent(NamedTuple):
    """Insert these rows of `sink_intents`, with this token."""

    round: Round
    token: str


class ReadRound(NamedTuple):
    """Read the commits of this number and later, and, unless a commit of ours is all that is asked for, its intents."""

    number: int
    intents: bool = True


class Load(NamedTuple):
    """Read these ranges from the log and build their rows: another writer chose them."""

    shares: tuple[Share, ...]


class Insert(NamedTuple):
    """Insert the rows of these places, each with its token.

    lacking: of a place in which the last Verify did not find all, only those that it did not find.
    """

    tokens: Mapping[str, str]
    lacking: bool


class Sift(NamedTuple):
    """Insert the rows of a place by halves, with tokens made of this one, down to those that the store refuses."""

    place: str
    token: str


class Verify(NamedTuple):
    """Read these places back."""

    places: tuple[str, ...]


class WriteCommit(NamedTuple):
    """Insert these rows of `sink_commits`, with this token. written: the generations that hold the rows."""

    round: Round
    token: str
    written: tuple[str, ...]


class Wait(NamedTuple):
    """Do nothing until then."""

    until_ns: int


class Finished(NamedTuple):
    """The end.

    committed: the round stands as `shares` say, by us or with our content. beaten: others have gone on, read the
    positions anew. free: nobody has an intent under this number. void: it has one, and nothing of it may still be
    written; go on with the next number.
    """

    outcome: Literal["committed", "beaten", "free", "void"]
    shares: tuple[Share, ...] = ()


Command = WriteIntent | ReadRound | Load | Insert | Sift | Verify | WriteCommit | Wait | Finished


# --- events: how that ended ------------------------------------------------------------------------------------------


class Done(NamedTuple):
    """The store acknowledged the last write; or the wait is over."""


class Failed(NamedTuple):
    """The store did not answer, or not well: the end of the last command is unknown.

    too_many_parts: it asks for fewer and larger inserts (code 252), so the wait is the longest at once.
    """

    too_many_parts: bool = False


class RoundSeen(NamedTuple):
    """What stands under the number. intents: by their attempt. commit: its ranges, None without one.

    passed: a later number is committed. written: the generations that are to hold rows from now on.
    """

    intents: tuple[Round, ...]
    commit: tuple[Share, ...] | None
    passed: bool
    written: tuple[str, ...] = (LIVE,)


class Loaded(NamedTuple):
    """The log's content of the ranges asked for, and the tables that have rows of it."""

    shares: tuple[Share, ...]
    tables: tuple[str, ...]


class Verified(NamedTuple):
    """The places that lack rows; altered: what was found to be other than the log's, None when nothing was."""

    lacking: frozenset[str]
    altered: str | None = None


class RowsRefused(NamedTuple):
    """The store refuses rows of this place for what they hold; those of places before it are written."""

    place: str


class Sifted(NamedTuple):
    """The other rows of the place are written, and the refused ones are rows of `dead` from now on.

    tables: those with rows of the round now. changed: the tables whose rows are other ones than before. mark: made of what
    is refused, the same for every writer. refused: how many rows of the place are, of `rows`. why: the store's word of the first.
    """

    tables: tuple[str, ...]
    changed: tuple[str, ...]
    mark: str
    refused: int
    rows: int
    why: str


Event = Done | Failed | RoundSeen | Loaded | Verified | RowsRefused | Sifted
