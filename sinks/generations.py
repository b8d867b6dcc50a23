"""The generations of a store: making their tables, and the pointer that says which are written and which is shown.

The pointer is the last row of `generation_moves`. It moves by compare-and-swap: the row of a version is inserted under
a token that the store takes once, and what is read back is the winner.

Promotion leaves no hole if it goes so: `create` a generation, `move` to write it beside the live one, and only then fold
the tape up to the log's end. Rows of rounds that did not know of it stem from records that stood on the log before the move;
all others the sink writes to both.
"""

from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa

from sinks import columns
from sinks.generation import DATABASE_PREFIX, LIVE, SHARED, database_of
from sinks.tables import DATABASE, Tables
from topics.errors import Refused

_MOVES = "generation_moves"
_TOKENS_MAX = 5
_LAST = "SELECT version, shown, written FROM tapefold.generation_moves ORDER BY version DESC, owner LIMIT 1"
_TABLES = """
SELECT name FROM system.tables
WHERE database = {database:String} AND endsWith(engine, 'MergeTree')
    AND name IN (SELECT table FROM system.columns WHERE database = {database:String} AND name = '_offset')
ORDER BY name
"""


class Pointer(NamedTuple):
    """version: of the last move, 0 before the first. shown: what readers are to see. written: where the sink writes."""

    version: int
    shown: str
    written: tuple[str, ...]


UNMOVED = Pointer(0, LIVE, (LIVE,))


def tables_of(store: Tables, database: str = DATABASE) -> list[str]:
    """The tables that a generation has: all that the fold fills, journals too; without `database` as a new one would."""
    found = store.query_rows(_TABLES, {"database": database}).rows
    return [name for (name,) in found if name not in SHARED]


def existing(store: Tables) -> list[str]:
    """The generations beside the live one that have a database, written or not."""
    found = store.query_rows("SELECT name FROM system.databases ORDER BY name").rows
    return [name.removeprefix(DATABASE_PREFIX) for (name,) in found if name.startswith(DATABASE_PREFIX)]


def create(store: Tables, generation: str) -> None:
    """Empty tables like the live ones, where the generation has none yet."""
    database = database_of(generation)
    store.command(f"CREATE DATABASE IF NOT EXISTS {database}")
    for table in tables_of(store):
        store.command(f"CREATE TABLE IF NOT EXISTS {database}.{table} AS {DATABASE}.{table}")


def drop(store: Tables, generation: str) -> None:
    """Take a generation away. Raises Refused for one that is shown or written."""
    pointer = read(store)
    if generation in {LIVE, pointer.shown, *pointer.written}:
        raise Refused(f"generation {generation}: expected one that is neither shown nor written, was in {pointer}")
    store.command(f"DROP DATABASE IF EXISTS {database_of(generation)} SYNC")


def read(store: Tables) -> Pointer:
    """The pointer as it stands."""
    found = store.query_rows(_LAST).rows
    return Pointer(found[0][0], found[0][1], tuple(found[0][2])) if found else UNMOVED


def move(
    store: Tables,
    before: Pointer,
    *,
    shown: str,
    written: tuple[str, ...],
    owner: str,
    note: str,
    now_ns: Callable[[], int],
) -> Pointer:
    """Move the pointer from where it was seen. Raises Refused when somebody else moved it first.

    owner: a name that no other move has or had. note: why, for those who read it later.
    """
    if shown not in written:
        raise Refused(f"expected the shown generation among those that are written, was {shown} and {written}")
    for missing in set(written) - {LIVE, *existing(store)}:
        raise Refused(f"generation {missing}: expected tables in {database_of(missing)}, was none")
    after = Pointer(before.version + 1, shown, written)
    row = pa.table(
        {
            "version": columns.uint64([after.version]),
            "shown": columns.labels([shown]),
            "written": columns.texts([list(written)]),
            "owner": columns.text([owner]),
            "note": columns.text([note]),
            "at": columns.time_ns([now_ns()]),
        }
    )
    if read(store).version == before.version:
        for attempt in range(_TOKENS_MAX):  # a store may remember the token of a row that it lost
            store.insert_arrow(_MOVES, row, f"{_MOVES}:{after.version}:{attempt}")
            if winner := _owner_of(store, after.version):
                if winner == owner:
                    return after
                break
    raise Refused(f"expected the pointer as it was seen, {before}, was {read(store)}; look again")


def _owner_of(store: Tables, version: int) -> str | None:
    found = store.query_rows(
        "SELECT min(owner), count() FROM tapefold.generation_moves WHERE version = {version:UInt64}",
        {"version": version},
    ).rows
    winner, count = found[0]
    return str(winner) if count else None
