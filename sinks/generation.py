"""What a generation is: the tables that the fold fills, once more, in a database of their own. Pure.

The live generation stands in database `tapefold`, `new` in `tapefold_gen_new`. Bronze, and what is made of it alone,
belongs to no generation: there is one log. A round of the sink goes to all generations that are written at that time;
a table of another generation than the live one is named with its database, and so is its insert token.
"""

import re
from collections.abc import Iterable

from topics.errors import Refused

LIVE = "live"
LIVE_DATABASE = "tapefold"
DATABASE_PREFIX = "tapefold_gen_"
SHARED = frozenset({"raw_records", "beat_log", "annotations"})  # of the raw topics alone, or of no tape at all


def database_of(generation: str) -> str:
    """The database of a generation. Raises Refused for a name that is none."""
    if generation == LIVE:
        return LIVE_DATABASE
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", generation):
        raise Refused(f"generation: expected letters a-z, digits and _, at most 41, was {generation!r}")
    return DATABASE_PREFIX + generation


def placed(tables: Iterable[str], written: Iterable[str]) -> tuple[str, ...]:
    """Where rows of `tables` go when these generations are written: shared tables once, the others once in each."""
    chosen = tuple(tables)
    places = [table for table in chosen if table in SHARED]
    for generation in written:
        own = [table for table in chosen if table not in SHARED]
        places += own if generation == LIVE else [f"{database_of(generation)}.{table}" for table in own]
    return tuple(places)


def split(place: str) -> tuple[str, str]:
    """Database and table of a place."""
    database, dot, table = place.rpartition(".")
    return (database, table) if dot else (LIVE_DATABASE, place)
