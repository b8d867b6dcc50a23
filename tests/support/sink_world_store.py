"""The store of a small world for the sink: tables as lists of rows, tokens, and what may go wrong with an insert. See `sink_world`."""

import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sinks import protocol
from sinks.generation import LIVE, split

TOPIC = "raw"
BRONZE, FACTS, BARS, DEAD = "raw_records", "trades", "bars", "dead"
NEW = "new"  # a second generation
FOLDED = (FACTS, BARS, DEAD)
PLACES = (BRONZE, *FOLDED, *(f"tapefold_gen_{NEW}.{table}" for table in FOLDED))
FAULTS = ("never", "no answer", "late", "part", "token only", "slow")
MONTHS = 3
Row = tuple[int, int]  # partition and offset


class Lost(Exception):
    """The store's answer did not come."""


class Refused(Exception):
    """The store refuses rows for what they hold."""


def month(row: Row) -> int:
    """The partition of the table that a row goes to: a function of the row alone."""
    return row[1] // 5 % MONTHS


def fact_of(row: Row) -> tuple[str, int]:
    """The identity of the fact that a record tells: some are told twice."""
    return ("fact", row[1] - row[1] % 4 if row[1] % 4 == 1 else row[1])


def key_of(row: Row) -> tuple[int, int]:
    """The identity of a row of `bars`, which has many revisions."""
    return row[0], row[1] % 3


def version_of(row: Row) -> int:
    """The revision of a row of `bars`; a later record may tell an older one."""
    return row[1] ^ 4


def latest(rows: list[Row]) -> dict[tuple[int, int], Row]:
    """What FINAL shows of rows of `bars`: of one identity the highest version, of equal ones that inserted last."""
    shown: dict[tuple[int, int], Row] = {}
    for row in rows:
        before = shown.get(key_of(row))
        if before is None or version_of(row) >= version_of(before):
            shown[key_of(row)] = row
    return shown


def replaced(shown: dict[tuple[int, int], Row], row: Row) -> bool:
    """Whether a row of `bars` stands, or one that is newer: an older revision in its place is a loss."""
    return key_of(row) in shown and version_of(shown[key_of(row)]) >= version_of(row)


@dataclass
class Store:
    """Tables as lists of physical rows. window: how many tokens a table remembers."""

    rng: random.Random
    window: int
    faults: float
    written: tuple[str, ...] = (LIVE,)
    poison: int = 0  # of so many rows of `trades` one is refused; 0: none is
    poisoned: int | None = None  # only in this partition, where good rows stand between them; None: in all
    changed: bool = False  # by hand: `trades` takes no row at all
    tables: dict[str, list[Any]] = field(
        default_factory=lambda: {place: [] for place in (*PLACES, "intents", "commits")}
    )
    tokens: dict[str, OrderedDict[tuple[str, int], None]] = field(default_factory=dict)
    late: list[Callable[[], None]] = field(default_factory=list)
    due: list[tuple[int, str, list[Any]]] = field(default_factory=list)
    happened: set[str] = field(default_factory=set)

    def insert(self, table: str, blocks: dict[int, list[Any]], token: str, unless: int | None = None) -> None:
        """Insert `blocks`, each atomically; what may go wrong does so with the probability `faults`.

        unless: the store writes nothing, and takes no token, where a row of this round stands.
        """
        fault = self.rng.choice(FAULTS) if self.rng.random() < self.faults else None
        if fault is not None:
            self.happened.add(fault)
        if fault == "never":
            raise Lost
        if split(table)[1] == FACTS and any(self.is_poison(row) for rows in blocks.values() for row in rows):
            raise Refused
        if fault == "late":
            self.late.append(lambda: self._land(table, blocks, token, unless))
            raise Lost
        if fault == "part":
            self._land(table, dict(list(blocks.items())[:1]), token, unless)
            raise Lost
        if fault == "slow":  # its token is known at once, its rows are seen within a second
            if self._stands(table, unless):
                raise Lost
            known = self.tokens.setdefault(table, OrderedDict())
            fresh = [number for number in blocks if (token, number) not in known]
            self._land(table, {number: [] for number in blocks}, token)
            self.due.append((self.rng.randrange(1, 5), table, [row for number in fresh for row in blocks[number]]))
            raise Lost
        if fault == "token only":
            self._land(table, {number: [] for number in blocks}, token, unless)
            return
        self._land(table, blocks, token, unless)
        if fault == "no answer":
            raise Lost

    def _stands(self, table: str, number: int | None) -> bool:
        return number is not None and any(each.number == number for each in self.tables[table])

    def _land(self, table: str, blocks: dict[int, list[Any]], token: str, unless: int | None = None) -> None:
        if self._stands(table, unless):
            return
        known = self.tokens.setdefault(table, OrderedDict())
        for number, rows in blocks.items():
            if (token, number) in known:
                continue
            known[token, number] = None
            while len(known) > self.window:
                known.popitem(last=False)
            self.tables[table].extend(rows)

    def facts(self, place: str) -> set[tuple[str, int]]:
        """The facts that a table tells."""
        return {fact_of(row) for row in self.tables[place]}

    def is_poison(self, row: Row) -> bool:
        """Whether the table of facts refuses it, alone or among others."""
        if self.changed:
            return True
        return bool(self.poison) and row[1] % self.poison == 2 and self.poisoned in {None, row[0]}

    def lacking(self, place: str, rows: list[Row]) -> list[Row]:
        """The rows to insert again: of bronze those that are not there, of other tables all when one is not told."""
        table = split(place)[1]
        if table == BRONZE:
            there = set(self.tables[BRONZE])
            return [row for row in rows if row not in there]
        if table == BARS:
            shown = latest(self.tables[place])
            return rows if not all(replaced(shown, row) for row in rows) else []
        if table == DEAD:
            return rows if not {*rows} <= {*self.tables[place]} else []
        told = self.facts(place)
        return rows if any(fact_of(row) not in told for row in rows) else []

    def merge(self) -> None:
        """The engine takes away what is replaced."""
        for place in PLACES:
            if split(place)[1] == BARS:
                self.tables[place] = list(latest(self.tables[place]).values())

    def tick(self) -> None:
        """Time goes on: rows whose tokens were taken become visible."""
        waiting = []
        for ticks, table, rows in self.due:
            if ticks:
                waiting.append((ticks - 1, table, rows))
            else:
                self.tables[table].extend(rows)
        self.due = waiting

    def let_land(self) -> None:
        """One of the inserts that are under way lands."""
        if self.late:
            self.late.pop(self.rng.randrange(len(self.late)))()

    def lose_power(self, count: int) -> None:
        """Rows are on disk when they are acknowledged; of the tokens, which nobody syncs, the last are gone."""
        self.late.clear()  # what was under way died with the store
        for known in self.tokens.values():
            for _ in range(min(count, len(known))):
                known.popitem()

    def select(self) -> None:
        """A query may fail as well."""
        if self.rng.random() < self.faults / 2:
            raise Lost

    def seen(self, number: int) -> protocol.RoundSeen:
        """What stands under a round."""
        self.select()
        intents = tuple(dict.fromkeys(each for each in self.tables["intents"] if each.number == number))
        commits = [each for each in self.tables["commits"] if each.number == number]
        passed = any(each.number > number for each in self.tables["commits"])
        commit = max(commits, key=lambda each: each.attempt).shares if commits else None
        return protocol.RoundSeen(intents, commit, passed, self.written)

    def next_number(self) -> int:
        """The number of the next round."""
        self.select()
        return max((each.number for each in self.tables["commits"]), default=0) + 1

    def positions(self, partitions: int) -> dict[tuple[str, int], int]:
        """Where each partition stands."""
        self.select()
        positions = {(TOPIC, number): 0 for number in range(partitions)}
        for each in self.tables["commits"]:
            for share in each.shares:
                key = (share.topic, share.partition)
                positions[key] = max(positions[key], share.next)
        return positions
