"""A small world for the sink's protocol: a log, a store with parts and tokens, writers that are killed at any step.

Everything happens in one thread, in an order that a seed decides; the protocol is the real one. The store does what
ClickHouse was seen to do: one insert is atomic per partition of the table, a token is taken once per partition, the
table forgets tokens beyond its window, an acknowledgement may get lost, rows may land late, in part, or never although
their token was taken. Rows of `bars` replace each other by version, whatever the order in which they came; some rows of
`trades` are refused for what they hold.
"""

import itertools
import random
from collections.abc import Iterator, Mapping
from typing import Any

from sink_world_store import (
    BARS,
    BRONZE,
    DEAD,
    FACTS,
    NEW,
    TOPIC,
    Lost,
    Refused,
    Row,
    Store,
    fact_of,
    key_of,
    latest,
    month,
    replaced,
    version_of,
)

from sinks import protocol
from sinks.batch import Round, Share
from sinks.generation import LIVE, split

TICK_NS = 200_000_000


class Writer:
    """What the shell does, as a generator that stops after every touch of the store: there it may be killed."""

    def __init__(self, world: "World", owner: str) -> None:
        self.world = world
        self.owner = owner
        self.lacking: dict[str, list[Row]] = {}
        self.refusing: tuple[int, Mapping[str, int]] = (0, {})

    def life(self) -> Iterator[None]:
        """Read the positions, finish what is open, then propose; for ever."""
        store = self.world.store
        while True:
            try:
                number = store.next_number()
                yield
                positions = store.positions(self.world.partitions)
            except Lost:
                yield
                continue
            yield
            ahead = {
                (TOPIC, part): max((row[1] + 1 for row in store.tables[BRONZE] if row[0] == part), default=0)
                for part in range(self.world.partitions)
            }
            outcome = yield from self.round(positions, number, (), ahead)
            while outcome == "free":
                proposal = self.world.propose(positions)
                if not proposal:
                    yield
                    continue
                outcome = yield from self.round(positions, number, proposal, ahead)
                if outcome == "committed":
                    positions = {**positions, **{(each.topic, each.partition): each.next for each in proposal}}
                    number, outcome = number + 1, "free"

    def round(
        self,
        positions: dict[tuple[str, int], int],
        number: int,
        proposal: tuple[Share, ...],
        ahead: dict[tuple[str, int], int],
    ) -> Iterator[None]:
        """Drive the protocol through one round; its outcome is the generator's value."""
        rows = rows_of(proposal)
        state, command = protocol.begin(
            sink="s",
            owner=self.owner,
            code=1,
            number=number,
            positions=positions,
            proposal=proposal,
            tables=tuple(rows),
            doubt=any(each.first < ahead[each.topic, each.partition] for each in proposal),
            refusing=self.refusing[1] if self.refusing[0] == number else {},
            refusable=self.world.refusable,
        )
        while not isinstance(command, protocol.Finished):
            if isinstance(command, protocol.Wait):
                while self.world.now_ns < command.until_ns:
                    yield
                event: protocol.Event = protocol.Done()
            elif isinstance(command, protocol.Sift):
                event = yield from self.sift(command, rows)
            elif isinstance(command, protocol.Load):
                rows = rows_of(command.shares)
                event = protocol.Loaded(command.shares, tuple(rows))
            else:
                try:
                    event = self.execute(command, rows)
                except Lost:
                    event = protocol.Failed()
            yield
            state, command = protocol.step(state, event, self.world.now_ns)
        if command.outcome == "committed":
            self.refusing = (number + 1, state.refusing)
        if command.outcome == "committed" and command.shares != proposal:
            return "beaten"
        return command.outcome

    def sift(self, command: protocol.Sift, rows: dict[str, list[Row]]) -> Iterator[None]:
        """Insert by halves, each a touch of the store; the event is the generator's value."""
        table = split(command.place)[1]
        refused = []
        waiting = [(0, len(rows[table]))]
        while waiting:
            first, end = waiting.pop()
            try:
                self.world.store.insert(
                    command.place, by_month(rows[table][first:end]), f"{command.token}:{first}-{end}"
                )
            except Lost:
                return protocol.Failed()
            except Refused:
                if end - first == 1:
                    refused.append(rows[table][first])
                else:
                    waiting += [((first + end) // 2, end), (first, (first + end) // 2)]
            yield
        count = len(rows[table])
        rows[table] = [row for row in rows[table] if row not in refused]
        rows[DEAD] = refused
        if not rows[table]:
            del rows[table]
        mark = f"{table}{sorted(refused)}"
        return protocol.Sifted(tuple(rows), (table, DEAD), mark, len(refused), count, "no")

    def execute(self, command: protocol.Command, rows: dict[str, list[Row]]) -> protocol.Event:
        """Touch the store once."""
        store = self.world.store
        match command:
            case protocol.WriteIntent(round_, token):
                store.insert("intents", {0: [round_]}, token)
            case protocol.WriteCommit(round_, token, _):
                store.insert("commits", {0: [round_]}, token, unless=round_.number)
            case protocol.ReadRound(number, intents):
                seen = store.seen(number)
                return seen if intents else seen._replace(intents=())
            case protocol.Insert(tokens, lacking):
                for place, token in tokens.items():
                    chosen = self.lacking.get(place, rows[split(place)[1]]) if lacking else rows[split(place)[1]]
                    try:
                        store.insert(place, by_month(chosen), token)
                    except Refused:
                        return protocol.RowsRefused(place)
            case protocol.Verify(places):
                store.select()
                found = {place: store.lacking(place, rows[split(place)[1]]) for place in places}
                self.lacking = {place: lacking for place, lacking in found.items() if lacking}
                return protocol.Verified(frozenset(self.lacking))
        return protocol.Done()


def by_month(rows: list[Row]) -> dict[int, list[Row]]:
    """Rows by the partition of the table that they go to."""
    blocks: dict[int, list[Row]] = {}
    for row in rows:
        blocks.setdefault(month(row), []).append(row)
    return blocks


def rows_of(shares: tuple[Share, ...]) -> dict[str, list[Row]]:
    """The rows of each table that the records of these ranges become."""
    rows = [(each.partition, offset) for each in shares for offset in range(each.first, each.next)]
    return {BRONZE: rows, FACTS: rows, BARS: rows} if rows else {}


class World:
    """Writers, a store and a log, driven by one seed."""

    def __init__(self, seed: int, *, window: int | None = None, power_losses: bool = False) -> None:
        self.rng = random.Random(seed)
        self.power_losses = power_losses
        self.partitions = self.rng.choice((1, 2, 3))
        self.length = self.rng.randrange(5, 60)
        # Far beyond what is inserted here, as in life; the other form lets late rows come when nobody knows them.
        self.store = Store(self.rng, window or 10_000, self.rng.choice((0.0, 0.05, 0.2, 0.4)))
        self.store.poison = self.rng.choice((0, 0, 5, 11))
        # Two bad rows may be all that a round has of a table, which its operator must allow; or it never is so.
        self.refusable = self.rng.choice(((), (FACTS,)))
        self.store.poisoned = None if self.refusable else 0
        self.now_ns = 0
        self.checked = 0
        self.both_from: int | None = None  # the first round whose rows must stand in both generations
        self.owners = itertools.count()

    def propose(self, positions: dict[tuple[str, int], int]) -> tuple[Share, ...]:
        """A batch as chance cuts it."""
        shares = []
        for (topic, number), first in positions.items():
            if first < self.length and self.rng.random() < 0.8:
                end = min(first + self.rng.randrange(1, 13), self.length)
                shares.append(Share(topic, number, first, end, end - first, 0))
        return tuple(shares)

    def new_writer(self) -> Iterator[None]:
        """A writer, and after it is killed another one in its place."""
        return Writer(self, f"w{next(self.owners)}").life()

    def run(self) -> None:
        """Let two or three writers work while chance kills, holds and starts them; then let one finish in peace."""
        writers = [self.new_writer() for _ in range(self.rng.choice((1, 2, 3)))]
        for _ in range(self.rng.randrange(50, 600)):
            self.tick()
            which = self.rng.randrange(len(writers))
            if self.rng.random() < 0.02:
                writers[which] = self.new_writer()  # kill -9: whatever it knew is gone
            if self.rng.random() < 0.05:
                self.store.let_land()
            if self.rng.random() < 0.05:
                self.store.merge()
            if self.both_from is None and self.rng.random() < 0.005:
                self.write_both()
            if self.power_losses and self.rng.random() < 0.02:
                self.store.lose_power(self.rng.randrange(1, 6))
            # A writer may stand still for long and then go on as if nothing had been: chance picks the others.
            for _ in range(self.rng.choice((1, 1, 1, 5, 40))):
                if self.rng.random() < 0.3:
                    self.tick()
                next(writers[which])
                self.check_commits()
        while self.store.late:
            self.store.let_land()
        self.store.faults = 0.0
        self.finish(writers)

    def write_both(self) -> None:
        """From now on a second generation is written; a round under way may not know it, the one after it does."""
        self.store.written = (LIVE, NEW)
        self.both_from = max((each.number for each in self.store.tables["commits"]), default=0) + 2

    def tick(self) -> None:
        """Time goes on."""
        self.now_ns += TICK_NS
        self.store.tick()

    def finish(self, writers: list[Iterator[None]]) -> None:
        """All writers go on without faults until the log is drained."""
        for _ in range(20_000):
            self.tick()
            for writer in writers:
                next(writer)
            self.check_commits()
            positions = self.store.positions(self.partitions)
            if all(position == self.length for position in positions.values()):
                return
        raise AssertionError("expected the log to be drained, was not")

    def check_commits(self) -> None:
        """At every moment: what is committed stands in the tables, and the commits make one chain."""
        if self.checked == len(self.store.tables["commits"]):  # rows are never taken away here
            return
        self.checked = len(self.store.tables["commits"])
        bronze = set(self.store.tables[BRONZE])
        shown = {generation: self.shown(generation) for generation in ("", f"tapefold_gen_{NEW}.")}
        ends = dict.fromkeys(range(self.partitions), 0)
        by_round: dict[int, Round] = {}
        for each in self.store.tables["commits"]:
            other = by_round.setdefault(each.number, each)
            assert set(other.shares) == set(each.shares), f"round {each.number} is committed twice: {other} and {each}"
        for number in sorted(by_round):
            for share in sorted(by_round[number].shares):
                assert ends[share.partition] == share.first, f"expected a chain to {ends}, was {share} next"
                ends[share.partition] = share.next
                for row in rows_of((share,))[BRONZE]:
                    assert row in bronze, f"{row} is committed and not in bronze"
                    both = self.both_from is not None and number >= self.both_from
                    for generation in shown if both else [""]:
                        self.check_row(row, generation, *shown[generation])

    def shown(self, generation: str) -> tuple[set[Any], dict[tuple[int, int], Row], set[Row]]:
        """What the tables of a generation show: facts, bars, dead rows."""
        facts = self.store.facts(generation + FACTS)
        return facts, latest(self.store.tables[generation + BARS]), set(self.store.tables[generation + DEAD])

    def check_row(
        self, row: Row, generation: str, facts: set[Any], bars: dict[tuple[int, int], Row], dead: set[Row]
    ) -> None:
        """A committed row is told in its tables, or in `dead` if the store refuses it."""
        where = f"{row} of generation {generation or LIVE!r} is committed and"
        if self.store.is_poison(row):
            assert row in dead, f"{where} not in dead"
        else:
            assert fact_of(row) in facts, f"{where} its fact is not there"
            assert row not in dead, f"{where} dead, though nothing refuses it"
        assert replaced(bars, row), f"{where} an older revision stands, {bars.get(key_of(row))}"

    def doubled(self) -> int:
        """Rows of bronze that stand more than once."""
        return len(self.store.tables[BRONZE]) - len(set(self.store.tables[BRONZE]))


def simulate(seed: int, *, window: int | None = None, power_losses: bool = False) -> World:
    """Run a world and check it; a failure names the seed, by which it happens again."""
    world = World(seed, window=window, power_losses=power_losses)
    try:
        world.run()
        expected = {(number, offset) for number in range(world.partitions) for offset in range(world.length)}
        assert expected == set(world.store.tables[BRONZE]), "bronze is not the log"
        newest = {key: max(map(version_of, rows)) for key, rows in _by_key(expected).items()}
        final = {key: version_of(row) for key, row in latest(world.store.tables[BARS]).items()}
        assert newest == final, "bars show other revisions than the newest"
        poison = {row for row in expected if world.store.is_poison(row)}
        assert poison == set(world.store.tables[DEAD]), "dead is not what the store refuses"
        if window is None and not power_losses:
            assert 0 == world.doubled(), f"{world.doubled()} rows of bronze stand more than once"
    except AssertionError as error:
        call = f"sink_world.simulate({seed}, window={window}, power_losses={power_losses})"
        raise AssertionError(f"seed {seed}, {call}: {error}") from error
    return world


def _by_key(rows: set[Row]) -> dict[tuple[int, int], list[Row]]:
    keyed: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        keyed.setdefault(key_of(row), []).append(row)
    return keyed
