"""The protocol in a world that goes wrong in all the ways that were seen. Whatever fails names its seed."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import sink_world
import sink_world_store
from sink_world import simulate
from sink_world_store import FAULTS

from sinks import protocol
from sinks.batch import Round, Share
from sinks.generation import split
from sinks.protocol import Halted, begin, step

SHARES = (Share("raw", 0, 0, 5, 5, 7),)
OTHER = (Share("raw", 0, 0, 3, 3, 8),)


def test_two_hundred_worlds() -> None:
    """Kills at any step, two or three writers, lost answers, partial and late inserts, tokens without rows."""
    happened: set[str] = set()
    for seed in range(200):
        happened |= simulate(seed).store.happened
    assert set(FAULTS) == happened


def test_rows_that_land_when_their_token_is_forgotten() -> None:
    """A window far too small: rows may stand twice, which the table's engine removes; nothing is lost or forked."""
    assert 0 < sum(simulate(seed, window=2).doubled() for seed in range(100))


def test_tokens_that_a_power_loss_took() -> None:
    """The store syncs rows and no tokens: after a power loss rows may stand twice; nothing is lost or forked."""
    for seed in range(100):
        simulate(seed, power_losses=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_worlds() -> None:
    """The long form."""
    for seed in range(200, 10_200):
        simulate(seed, power_losses=seed % 10 == 9)


def _no_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_verified", lambda state, *_: protocol._commit(state._replace(phase="commit")))


def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count()
    monkeypatch.setattr(protocol, "token", lambda *_: str(next(numbers)))


def _no_adoption(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(state: protocol.State, _: Round) -> tuple[protocol.State, protocol.Command]:
        if not state.proposal:
            return protocol._told(state, protocol.Finished("free"))
        state = state._replace(shares=state.proposal, phase="insert")
        return protocol._told(state, protocol._insert(state, frozenset(state.tables), lacking=False))

    monkeypatch.setattr(protocol, "_adopt", own)


def _no_readback(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was acknowledged is taken for written."""
    real = protocol._after

    def trusting(state: protocol.State) -> tuple[protocol.State, protocol.Command]:
        if isinstance(state.last, protocol.WriteIntent):
            return protocol._adopt(state, state.last.round)
        if isinstance(state.last, protocol.WriteCommit):
            return protocol._told(state, protocol.Finished("committed", state.shares))
        return real(state)

    monkeypatch.setattr(protocol, "_after", trusting)


def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not seen at once counts as lost."""
    monkeypatch.setattr(protocol, "PATIENCE", 0)


def _no_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the live one is written."""
    monkeypatch.setattr(protocol, "placed", lambda tables, _: tuple(tables))


def _no_versions_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The read-back asks whether an identity stands, not in which version."""
    real = sink_world.Store.lacking

    def present(store: sink_world.Store, place: str, rows: list[sink_world.Row]) -> list[sink_world.Row]:
        if split(place)[1] != sink_world.BARS:
            return real(store, place, rows)
        shown = sink_world.latest(store.tables[place])
        return rows if any(sink_world.key_of(row) not in shown for row in rows) else []

    monkeypatch.setattr(sink_world.Store, "lacking", present)


def _no_versions_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has no version: of one identity the row that was inserted last stands."""
    for module in (sink_world, sink_world_store):
        monkeypatch.setattr(module, "latest", lambda rows: {sink_world.key_of(row): row for row in rows})


def _no_insert_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who adopts takes another record's telling of the same fact for that of a row which the store refuses."""
    monkeypatch.setattr(protocol, "TAKE_ANYTHING", frozenset(sink_world_store.PLACES))


def _no_sift(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal is tried again for ever."""
    monkeypatch.setattr(protocol, "_refused", lambda state, _: step(state, protocol.Failed(), 0))


@pytest.mark.parametrize(
    "mutation",
    [
        _no_verify,
        _no_token,
        _no_adoption,
        _no_readback,
        _no_patience,
        _no_generation,
        _no_versions_read,
        _no_versions_kept,
        _no_sift,
        _no_insert_of_its_own,
    ],
)
def test_no_part_of_it_is_for_nothing(
    monkeypatch: pytest.MonkeyPatch, mutation: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Without the read-back of rows, the tokens, the adoption, or the read-back of the ledger some world goes wrong."""
    mutation(monkeypatch)
    with pytest.raises((AssertionError, Halted), match=r"seed|round"):
        _ = [simulate(seed) for seed in range(200)]


def fresh(**changed: Any) -> tuple[protocol.State, protocol.Command]:
    """A round that proposes SHARES."""
    given = {
        "sink": "s",
        "owner": "me",
        "code": 1,
        "number": 4,
        "positions": {("raw", 0): 0},
        "proposal": SHARES,
        "tables": ("raw_records", "trades"),
        **changed,
    }
    return begin(**given)


def run(state: protocol.State, *events: protocol.Event) -> list[protocol.Command]:
    """The commands that answer these events."""
    commands = []
    for event in events:
        state, command = step(state, event, 1_000)
        commands.append(command)
    return commands


def mine(attempt: int = 0) -> protocol.RoundSeen:
    """My own intent stands."""
    return protocol.RoundSeen((Round(4, attempt, "me", 1, SHARES),), None, passed=False)


NOTHING = protocol.RoundSeen((), None, passed=False)
OK = protocol.Verified(frozenset())
LACKING = protocol.Verified(frozenset({"trades"}))
DEAD = protocol.Verified(frozenset({"dead"}))


def test_the_straight_way() -> None:
    """Intent, its read-back, rows, their read-back, commit, its read-back."""
    state, first = fresh()
    assert isinstance(first, protocol.WriteIntent)
    commands = run(
        state,
        protocol.Done(),
        mine(),
        protocol.Done(),
        OK,
        protocol.Done(),
        protocol.RoundSeen((), SHARES, passed=False),
    )
    assert ["ReadRound", "Insert", "Verify", "WriteCommit", "ReadRound", "Finished"] == [
        type(each).__name__ for each in commands
    ]
    assert not commands[1].lacking
    assert protocol.Finished("committed", SHARES) == commands[-1]


def test_the_loser_adopts_what_the_winner_proposed() -> None:
    """It reads the winner's ranges, looks first, and inserts what is lacking under the winner's tokens."""
    state, _ = fresh()
    seen = protocol.RoundSeen((Round(4, 0, "other", 1, OTHER),), None, passed=False)
    lacking = protocol.Verified(frozenset({"trades"}))
    commands = run(state, protocol.Done(), seen, protocol.Loaded(OTHER, ("raw_records", "trades")), lacking)
    assert [protocol.Load(OTHER), protocol.Verify(("raw_records", "trades"))] == commands[1:3]
    winner, _ = fresh(owner="other", proposal=OTHER)
    theirs = run(winner, protocol.Done(), seen)[-1]
    assert commands[-1] == protocol.Insert({"trades": theirs.tokens["trades"]}, lacking=True)


def test_rows_that_did_not_stay_get_another_token() -> None:
    """The store took the insert and has no rows: its token is spent. An unknown end keeps its token."""
    state, _ = fresh()
    lacking = protocol.Verified(frozenset({"raw_records"}))
    looks = (*(lacking, protocol.Done(), mine()) * protocol.PATIENCE, lacking)
    commands = run(state, protocol.Done(), mine(), protocol.Done(), *looks, protocol.Done(), *looks)
    inserts = [each for each in commands if isinstance(each, protocol.Insert)]
    assert 3 == len({each.tokens["raw_records"] for each in inserts})
    assert 2 * protocol.PATIENCE == sum(isinstance(each, protocol.Wait) for each in commands)
    commands = run(state, protocol.Done(), mine(), protocol.Failed(), protocol.Done(), mine(), lacking)
    assert isinstance(commands[2], protocol.Wait)
    assert inserts[0].tokens["raw_records"] == commands[-1].tokens["raw_records"]


def test_an_intent_that_the_store_took_and_lost_is_written_again() -> None:
    """Its token is spent; one whose end is unknown keeps its token."""
    state, first = fresh()
    looks = (NOTHING, protocol.Done()) * protocol.PATIENCE
    again = run(state, protocol.Done(), *looks, NOTHING)[-1]
    assert (0, 1) == (first.round.attempt, again.round.attempt)
    assert first.token != again.token
    assert first.token == run(state, protocol.Failed(), protocol.Done(), NOTHING)[-1].token


def test_waits_grow_to_a_bound_and_begin_anew_after_an_answer() -> None:
    """0.2 s doubled up to 5 s; a store with too many parts is left alone for 5 s at once."""
    state, _ = fresh()
    waits = []
    for _ in range(8):
        state, wait = step(state, protocol.Failed(), 0)
        waits.append(wait.until_ns / 1e9)
        state, _ = step(state, protocol.Done(), 0)
    assert [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0] == waits
    state, _ = step(state, NOTHING, 0)
    assert protocol.Wait(200_000_000) == step(state, protocol.Failed(), 0)[1]
    assert protocol.Wait(5_000_000_000) == step(state, protocol.Failed(too_many_parts=True), 0)[1]


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ((protocol.RoundSeen((Round(4, 0, "x", 2, OTHER),), None, passed=False),), "intent_of_other_code"),
        (
            (
                protocol.RoundSeen((Round(4, 0, "x", 1, OTHER),), None, passed=False),
                protocol.Loaded((OTHER[0]._replace(checksum=9),), ("raw_records",)),
            ),
            "intent_content_mismatch",
        ),
        ((mine(), protocol.Done(), protocol.Verified(frozenset(), "raw-0 offset 3: ...")), "content_mismatch"),
        (
            (mine(), protocol.Done(), *[*[LACKING, protocol.Done(), mine()] * 4, LACKING, protocol.Done()] * 9),
            "rows_do_not_stay",
        ),
    ],
)
def test_what_trying_again_can_not_mend_stops_by_name(events: tuple[protocol.Event, ...], reason: str) -> None:
    """Each of these needs an operator, and the message says what to do."""
    state, _ = fresh()
    with pytest.raises(Halted, match=rf"^{reason}: round 4: .*; \w+"):
        run(state, protocol.Done(), *events)


REFUSED = protocol.RowsRefused("trades")
LEFT = protocol.Sifted(("raw_records", "trades", "dead"), ("trades", "dead"), "m1", 1, 5, "too long")
WHOLE = protocol.Sifted(("raw_records", "dead"), ("trades", "dead"), "m1", 1, 1, "too long")


def test_rows_that_the_store_refuses_are_sifted_out() -> None:
    """The rows that changed go out under tokens made of what was refused, in which all writers agree; others keep theirs."""
    state, _ = fresh()
    before, sift, _, then = run(
        state, protocol.Done(), mine(), REFUSED, LEFT, protocol.Verified(frozenset({"raw_records", "dead"}))
    )[1:]
    assert protocol.Sift("trades", before.tokens["trades"]) == sift
    assert {"raw_records", "dead"} == then.tokens.keys()
    assert before.tokens["raw_records"] == then.tokens["raw_records"]
    assert ":dead:m1:" in then.tokens["dead"]
    other, _ = fresh(owner="other", proposal=OTHER)
    adopted = run(
        other, protocol.Done(), mine(), protocol.Loaded(SHARES, ("raw_records", "trades")), LACKING, REFUSED, LEFT, DEAD
    )
    assert adopted[-1].tokens == {"dead": then.tokens["dead"]}


def test_a_table_that_refuses_too_many_rows_is_not_ours() -> None:
    """It is the schema then, and no record's fault: nothing goes to `dead`, and the sink stops by name."""
    state, _ = fresh()
    many = LEFT._replace(refused=protocol.REFUSED_MAX + 1, rows=50_000)
    with pytest.raises(Halted, match=r"^rows_refused: round 4: .*: too long; \w+"):
        run(state, protocol.Done(), mine(), REFUSED, many)


def test_a_table_that_refuses_all_of_several_rows_is_not_ours() -> None:
    """Two are enough, in one round or in two that follow each other; one alone may be a bad one; the operator may know better."""
    until = (protocol.Done(), mine(), REFUSED)
    both = WHOLE._replace(refused=2, rows=2)
    with pytest.raises(Halted, match=r"^rows_refused: round 4: expected trades to take .* all 2 rows: too long; \w+"):
        run(fresh()[0], *until, both)
    assert isinstance(run(fresh(refusable=("trades",))[0], *until, both)[-1], protocol.Verify)
    with pytest.raises(Halted, match=r"^rows_refused: round 4: .* each row since round 3: too long; \w+"):
        run(fresh(refusing={"trades": 3})[0], *until, WHOLE)
    assert isinstance(run(fresh(refusing={"trades": 3}, refusable=("trades",))[0], *until, WHOLE)[-1], protocol.Verify)


def test_what_a_table_refused_whole_is_remembered_until_it_takes_a_row() -> None:
    """By the state, of which the shell hands the next round what was said; the same row refused again is no second one."""
    state = fresh()[0]
    for event in (protocol.Done(), mine(), REFUSED, WHOLE, protocol.Failed(), protocol.Done(), mine(), REFUSED, WHOLE):
        state, _ = step(state, event, 1_000)
    assert {"trades": 4} == state.refusing
    for taken in ((protocol.Done(),), (REFUSED, LEFT)):
        state = fresh(refusing={"trades": 3, "tapefold_gen_new.trades": 3})[0]
        for event in (protocol.Done(), mine(), *taken):
            state, _ = step(state, event, 1_000)
        assert {"tapefold_gen_new.trades": 3} == state.refusing


def test_a_table_that_was_changed_by_hand_stops_all_writers() -> None:
    """Each life of a writer tells at most one row of it in `dead`, though rounds be of one row; undone, they go on."""
    told = 0
    for seed in range(100):
        world = sink_world.World(seed)
        world.refusable, world.store.poison, world.store.changed = (), 0, True
        lives, halted = 0, []
        for _ in range(3):
            writers = [world.new_writer() for _ in range(2)]
            lives += len(writers)
            for _ in range(5_000):
                if not writers:
                    break
                world.tick()
                for each in list(writers):
                    try:
                        next(each)
                    except Halted as error:
                        halted.append(error.reason)
                        writers.remove(each)
            world.check_commits()
        dead = set(world.store.tables["dead"])
        assert len(dead) <= lives, f"seed {seed}"
        assert {"rows_refused"} >= {*halted}
        assert halted or world.length * world.partitions <= lives
        told += len(dead)
    assert told


def test_what_others_committed_is_not_written_again() -> None:
    """A round that is committed otherwise, or passed, sends a writer back to the positions."""
    state, _ = fresh()
    for seen in (protocol.RoundSeen((), OTHER, passed=False), protocol.RoundSeen((), None, passed=True)):
        assert [protocol.Finished("beaten")] == run(state, protocol.Done(), seen)[1:]


def test_an_intent_of_stopped_partitions_is_passed_over() -> None:
    """Nothing of it may be written; the others of a round may."""
    state, first = fresh(proposal=(), positions={("raw", 1): 2})
    assert protocol.ReadRound(4) == first
    both = (*SHARES, Share("raw", 1, 2, 4, 2, 9))
    only = protocol.RoundSeen((Round(4, 0, "x", 1, SHARES),), None, passed=False)
    assert [protocol.Finished("void")] == run(state, only)
    seen = protocol.RoundSeen((Round(4, 0, "x", 1, both),), None, passed=False)
    assert [protocol.Load(both[1:])] == run(state, seen)
    assert [protocol.Finished("free")] == run(state, NOTHING)
