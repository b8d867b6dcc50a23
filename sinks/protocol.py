"""How a sink brings one round of records into the tables, exactly, whoever else tries to. Pure: events in, commands out.

A round is a set of offset ranges, one per partition, under a number. Its steps:

1. intent: the ranges are written under the round's number with a token that the store takes once. What is then read
   is the winner, whoever wrote it; who lost adopts it, so two writers behave as one.
2. insert: the rows of exactly these ranges, with tokens made of the round. Who adopts, or does not know how an insert
   of its own ended, looks first and inserts what is lacking under the same token: an insert that lands late is the same.
3. verify: the tables are read back. Rows that an acknowledged insert did not leave get the next token, since the store
   may remember a token of rows that it lost. Rows that the store refuses for what they hold are sifted out: found by halves
   of the same rows, so that each writer finds the same ones, and told as rows of `dead` in their place.
4. commit: one row per partition, again under a token that is taken once, and only where the round has none: whoever stood
   still meanwhile cannot commit it again, though a store that lost power forgot the token. Read back. Then the next round.

Any failure leads back to the reading of the round, after a wait. Nothing here knows a clock: the time is an argument.
"""

from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

from sinks.batch import Round, Share, restricted, token
from sinks.generation import LIVE, placed, split
from sinks.steps import (
    Command,
    Done,
    Event,
    Failed,
    Finished,
    Insert,
    Load,
    Loaded,
    ReadRound,
    RoundSeen,
    RowsRefused,
    Sift,
    Sifted,
    Verified,
    Verify,
    Wait,
    WriteCommit,
    WriteIntent,
)
from topics.errors import Refused
from topics.log import TopicPartition

ATTEMPTS_MAX = 8  # of one statement that the store acknowledges and does not keep
RETRY_FIRST_NS = 200_000_000
RETRY_MAX_NS = 5_000_000_000
# A store may know a token some moments before it shows the rows, and take an equal insert of another writer for a repeat:
# what was acknowledged and is not seen is looked for again, 3 s in all, before it counts as lost.
PATIENCE = 4
TAKE_ANYTHING = frozenset({"raw_records", "dead"})  # tables whose columns hold any bytes: no row of theirs is refused
REFUSED_MAX = 1_000  # rows of one table in one round; more, or all of several, is a table not made for our rows

HaltReason = Literal[
    "rows_do_not_stay",  # the store acknowledges inserts and the read-back does not find them
    "content_mismatch",  # the store holds other content at these offsets
    "intent_content_mismatch",  # the log no longer holds what the intent was made of
    "intent_of_other_code",  # the rows of the intent were made by code whose rows differ from ours
    "rows_refused",  # the store refuses more rows of a table than single bad records would explain, or all of several
]
_REMEDY: dict[HaltReason, str] = {
    "rows_do_not_stay": "check the store's disk and its logs, then start the sink again",
    "content_mismatch": "delete that row: `ALTER TABLE tapefold.raw_records DELETE WHERE _topic = 'TOPIC' AND"
    " _partition = PARTITION AND _offset = OFFSET`, then start the sink again; it comes back from the log",
    "intent_content_mismatch": "the log was cut or changed; run `tapefold audit contiguity --full` before anything else",
    "intent_of_other_code": "start the version that wrote the intent once, let it drain, then upgrade",
    "rows_refused": "compare the table with `tapefold migrate` on an empty store, undo what was changed, start the sink again;"
    " if it is as it should be and the records are wrong, name it in SINK_REFUSABLE until they are in `dead`",
}


class Halted(Refused):
    """The round can not be finished by trying again."""

    def __init__(self, reason: HaltReason, number: int, detail: str) -> None:
        super().__init__(reason, number, detail)
        self.reason: HaltReason = reason
        self.number = number
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: round {self.number}: {self.detail}; {_REMEDY[self.reason]}"


class Level(NamedTuple):
    """How far a place is. repair: the number of inserts that were acknowledged and did not stay."""

    repair: int = 0
    acknowledged: bool = False


class State(NamedTuple):
    """A round under way.

    proposal: what we would write, empty for one who only finishes what others began; tables: those with rows of it.
    written: the generations that hold them once the round is committed; as they stood when the round was last read.
    positions: what may be adopted begins here. doubt: rows may be there already, so look before the insert.
    acknowledged: the last write of an intent or commit was. patience: looks for what was acknowledged. marks: table -> mark of
    the rows that were sifted out of it or came into it by that; other rows, so other tokens.
    failures: steps that failed since the last that did not. refusing: places that took none of their rows when they last had some,
    with the round since when. refusable: the tables of which that is no reason to stop.
    """

    sink: str
    owner: str
    code: int
    number: int
    positions: Mapping[TopicPartition, int]
    proposal: tuple[Share, ...]
    tables: tuple[str, ...]
    doubt: bool
    phase: Literal["intent", "insert", "commit"] = "intent"
    shares: tuple[Share, ...] = ()
    written: tuple[str, ...] = (LIVE,)
    attempt: int = 0
    commit_attempt: int = 0
    acknowledged: bool = False
    levels: Mapping[str, Level] = {}
    marks: Mapping[str, str] = {}
    failures: int = 0
    patience: int = 0
    refusing: Mapping[str, int] = {}
    refusable: Collection[str] = ()
    last: Command | None = None


def begin(
    *,
    sink: str,
    owner: str,
    code: int,
    number: int,
    positions: Mapping[TopicPartition, int],
    proposal: tuple[Share, ...] = (),
    tables: tuple[str, ...] = (),
    doubt: bool = False,
    refusing: Mapping[str, int] = {},
    refusable: Collection[str] = (),
) -> tuple[State, Command]:
    """Begin the round `number`, or take it up: with a proposal by its intent, without one by reading.

    refusing: what the state of the round before this one said at its end, if this writer took part in that.
    """
    state = State(sink, owner, code, number, positions, proposal, tables, doubt, refusing=refusing, refusable=refusable)
    return _told(state, _intent(state) if proposal else ReadRound(number))


def step(state: State, event: Event, now_ns: int) -> tuple[State, Command]:
    """The state after `event`, and what to do next. Raises Halted."""
    match event:
        case Failed():
            grown_ns = RETRY_FIRST_NS << min(state.failures, 10)
            wait_ns = RETRY_MAX_NS if event.too_many_parts else min(grown_ns, RETRY_MAX_NS)
            failed = state._replace(failures=state.failures + 1, doubt=True, acknowledged=False)
            return _told(failed, Wait(now_ns + wait_ns))
        case Done():
            return _after(state)
        case RoundSeen():
            return _seen(state._replace(failures=0), event, now_ns)
        case Loaded(shares, tables):
            if shares != state.shares:
                raise Halted("intent_content_mismatch", state.number, f"expected {state.shares}, was {shares}")
            return _verify(state._replace(tables=tables, failures=0, phase="insert"))
        case Verified():
            return _verified(state._replace(failures=0), event, now_ns)
        case RowsRefused() | Sifted():
            return _refused(state._replace(failures=0), event)


def _after(state: State) -> tuple[State, Command]:
    """What follows the end of a write or a wait."""
    match state.last:
        case Insert(tokens):
            levels = dict(state.levels)
            for place in tokens:
                levels[place] = levels.get(place, Level())._replace(acknowledged=True)
            refusing = {place: since for place, since in state.refusing.items() if place not in tokens}
            return _verify(state._replace(levels=levels, failures=0, refusing=refusing))
        case Wait():
            return _told(state, ReadRound(state.number))
        case _:
            written = state._replace(acknowledged=True, failures=0)
            return _told(written, ReadRound(state.number, intents=state.phase != "commit"))


def _seen(state: State, seen: RoundSeen, now_ns: int) -> tuple[State, Command]:
    """Someone's commit ends the round; else the intent that won says what to write."""
    if seen.commit is not None:
        same = bool(state.shares) and set(seen.commit) == set(state.shares)
        return _told(state, Finished("committed", state.shares) if same else Finished("beaten"))
    if seen.passed:
        return _told(state, Finished("beaten"))
    if state.phase == "commit" or not seen.intents:
        return _missed(state, now_ns)
    state = state._replace(written=seen.written)  # a commit says what was verified: never changed behind that
    winner = max(seen.intents, key=lambda each: (each.attempt, each.owner))
    return _adopt(state._replace(acknowledged=False), winner)


def _missed(state: State, now_ns: int) -> tuple[State, Command]:
    """There is no intent, or no commit: write it, again if need be, unless another writer's is all we looked for."""
    if state.phase != "commit" and not state.proposal:
        return _told(state, Finished("free"))
    if state.acknowledged and state.patience < PATIENCE:
        return _look_again(state, now_ns)
    lost = int(state.acknowledged)  # the store took the write and has nothing of it: its token is spent
    state = state._replace(acknowledged=False, patience=0)
    if state.phase == "commit":
        return _commit(state._replace(commit_attempt=state.commit_attempt + lost))
    state = state._replace(attempt=state.attempt + lost)
    return _told(state, _intent(state))


def _look_again(state: State, now_ns: int) -> tuple[State, Command]:
    """Wait a little for what was acknowledged and is not seen."""
    wait = Wait(now_ns + (RETRY_FIRST_NS << state.patience))
    return _told(state._replace(patience=state.patience + 1, doubt=True), wait)


def _adopt(state: State, winner: Round) -> tuple[State, Command]:
    if winner.owner == state.owner and winner.shares == state.proposal:
        state = state._replace(shares=winner.shares, phase="insert")
        if state.doubt:
            return _verify(state)
        return _told(state, _insert(state, frozenset(_places(state)), lacking=False))
    if winner.code != state.code:
        raise Halted("intent_of_other_code", state.number, f"expected rows of code {state.code}, was {winner.code}")
    if not (shares := restricted(winner.shares, state.positions)):
        return _told(state, Finished("void"))
    known = shares == state.shares and state.phase == "insert"  # after a failure: their rows are built already
    if known:
        return _verify(state)
    return _told(state._replace(shares=shares, doubt=True, levels={}, marks={}), Load(shares))


def _verified(state: State, verified: Verified, now_ns: int) -> tuple[State, Command]:
    if verified.altered is not None:
        raise Halted("content_mismatch", state.number, verified.altered)
    # What others wrote may stand for a row that the store refuses: only an insert of our own says that it refuses none.
    unproven = {
        place
        for place in _places(state)
        if split(place)[1] not in TAKE_ANYTHING and state.levels.get(place, Level()) == Level()
    }
    if not verified.lacking and not unproven:
        return _commit(state._replace(phase="commit", patience=0))
    acknowledged = any(state.levels.get(place, Level()).acknowledged for place in verified.lacking)
    if acknowledged and state.patience < PATIENCE:
        return _look_again(state, now_ns)
    levels = dict(state.levels)
    for place in verified.lacking:
        if (level := levels.get(place, Level())).acknowledged:
            levels[place] = Level(level.repair + 1)
            if level.repair + 1 > ATTEMPTS_MAX:
                detail = f"{place} lost them {ATTEMPTS_MAX} times: {', '.join(map(str, state.shares))}"
                raise Halted("rows_do_not_stay", state.number, detail)
    state = state._replace(levels=levels, patience=0)
    return _told(state, _insert(state, verified.lacking | unproven, lacking=True))


def _refused(state: State, sifted: RowsRefused | Sifted) -> tuple[State, Command]:
    """Sift, then look at everything again: the tables that changed have rows which nobody inserted under that mark."""
    if isinstance(sifted, RowsRefused):
        return _told(state, Sift(sifted.place, _token(state, sifted.place)))
    assert isinstance(state.last, Sift)
    place = state.last.place
    since = state.refusing.get(place, state.number)
    check_refused(state.number, place, sifted, state.refusable, since)
    refusing = {each: told for each, told in state.refusing.items() if each != place}
    if sifted.refused == sifted.rows:
        refusing[place] = since
    marks = {**state.marks, **dict.fromkeys(sifted.changed, sifted.mark)}
    levels = {place: level for place, level in state.levels.items() if split(place)[1] not in sifted.changed}
    levels[place] = Level(acknowledged=True)
    return _verify(state._replace(tables=sifted.tables, marks=marks, levels=levels, patience=0, refusing=refusing))


def check_refused(number: int, place: str, sifted: Sifted, refusable: Collection[str], since: int) -> None:
    """Whether single bad records explain what was refused. since: the round from which on the place took no row. Raises Halted.

    One row alone may be a bad one. Where two are all there was, in one round or in two that follow each other, it is more
    likely that the table was changed: at low rates all of its rows would come to `dead`, one by one.
    """
    why = f": {sifted.why}" if sifted.why else ""
    if sifted.refused > REFUSED_MAX:
        raise Halted("rows_refused", number, f"expected at most {REFUSED_MAX} rows of {place}, were more{why}")
    if not sifted.refused or sifted.refused < sifted.rows or split(place)[1] in refusable:
        return
    if sifted.rows > 1 or since < number:
        held = f"all {sifted.rows} rows" if sifted.rows > 1 else f"each row since round {since}"
        raise Halted("rows_refused", number, f"expected {place} to take some rows, it refused {held}{why}")


def _places(state: State) -> tuple[str, ...]:
    """The tables of all written generations that have rows of the round."""
    return placed(state.tables, state.written)


def _verify(state: State) -> tuple[State, Command]:
    return _told(state, Verify(_places(state)))


def _insert(state: State, places: frozenset[str], *, lacking: bool) -> Insert:
    return Insert({place: _token(state, place) for place in _places(state) if place in places}, lacking)


def _token(state: State, place: str) -> str:
    mark = state.marks.get(split(place)[1])
    what = place if mark is None else f"{place}:{mark}"
    return token(f"{state.sink}:{state.number}", what, state.shares, state.levels.get(place, Level()).repair)


def _intent(state: State) -> WriteIntent:
    if state.attempt > ATTEMPTS_MAX:
        raise Halted("rows_do_not_stay", state.number, f"sink_intents lost the intent {ATTEMPTS_MAX} times")
    proposed = Round(state.number, state.attempt, state.owner, state.code, state.proposal)
    return WriteIntent(proposed, token(f"{state.sink}:{state.number}", "intent", (), state.attempt))


def _commit(state: State) -> tuple[State, Command]:
    if state.commit_attempt > ATTEMPTS_MAX:
        raise Halted("rows_do_not_stay", state.number, f"sink_commits lost the commit {ATTEMPTS_MAX} times")
    committed = Round(state.number, state.commit_attempt, state.owner, state.code, state.shares)
    named = token(f"{state.sink}:{state.number}", "commit", (), state.commit_attempt)
    return _told(state, WriteCommit(committed, named, state.written))


def _told(state: State, command: Command) -> tuple[State, Command]:
    return state._replace(last=command), command
