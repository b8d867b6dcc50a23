"""A first look at an answer, enough to know whether to ask again. What it says is the parser's business. Pure."""

import re
from typing import Literal, NamedTuple

from topics.iem import promised

Outcome = Literal[
    "whole",  # every valid time that the calendar promises is there
    "part",  # the upstream answered, and not all of it is there, or nothing
    "busy",  # 429, 5xx or no answer: later
    "cut",  # the body ends in the middle: it shows neither what is there nor what is not
    "refused",  # our arguments: asking again does not help
]
_FAILED_MIN = 500
_TOO_MANY, _OK = 429, 200
_TIME = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


Kind = Literal["run", "window", "year", "texts"]
# How the bodies end, by what was asked for: a line of CSV, an object, a control character behind each text.
_ENDS: dict[Kind, tuple[bytes, ...]] = {
    "run": (b"\n",),
    "window": (b"\n",),
    "year": (b"}", b"}\n"),
    "texts": (b"\x03\n",),
}


class Reply(NamedTuple):
    """An answer. status: HTTP's, 0 when there was none; body: its bytes, empty then."""

    status: int
    body: bytes


def outcome(reply: Reply, kind: Kind) -> Outcome:
    """Of an answer that has no calendar: anything that is data, and has its end, is whole."""
    if reply.status == _TOO_MANY or reply.status >= _FAILED_MIN or reply.status == 0:
        return "busy"
    if reply.status != _OK:
        return "refused"
    if reply.body.startswith(b"ERROR"):
        return "part" if b"Could not Find" in reply.body else "busy"
    return "whole" if reply.body.endswith(_ENDS[kind]) else "cut"


def outcome_of_run(reply: Reply, model: str, run_ns: int) -> Outcome:
    """Of the answer to a question for one run."""
    said = outcome(reply, "run")
    if said != "whole":
        return said
    there = len(valid_times(reply.body))
    expected = promised(model, run_ns)
    return "whole" if there and there >= (1 if expected is None else len(expected)) else "part"


def runs(body: bytes) -> set[bytes]:
    """The distinct runs in a CSV of mos.py."""
    return _distinct(body, b"runtime")


def valid_times(body: bytes) -> set[bytes]:
    """The distinct valid times in a CSV of mos.py; rows that are cut off have none."""
    return _distinct(body, b"ftime")


def _distinct(body: bytes, name: bytes) -> set[bytes]:
    header, _, rest = body.partition(b"\n")
    names = [cell.strip().lower() for cell in header.split(b",")]
    if name not in names:
        return set()
    column = names.index(name)
    found = set()
    for line in rest.split(b"\n"):
        cells = line.split(b",")
        if len(cells) >= len(names) and _TIME.match(cells[column]):
            found.add(cells[column])
    return found
