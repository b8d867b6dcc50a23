"""Tables as IEM sends them, header-driven: CSV in three dialects, JSON in two, and PostgreSQL's COPY of its own table.

All-null columns are not sent, so no column stands at a fixed place; legacy lines end with a comma too many.
"""

import csv
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from stream_processors.parsers.iem.answer import Unfit
from topics.errors import BadRecord

Cell = str | int | float | bool | list[object] | dict[str, object] | None
Row = dict[str, Cell]
_COPY = re.compile(r"copy\s+\S+\s*\(([^()]*)\)\s+from\s+stdin[^\n]*;\s*", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?", re.ASCII)
_ROWS_MAX = 1_000_000
_CELL_CHARS_MAX = 64


class Table(NamedTuple):
    """Rows by their number within the answer, lines that are none, and whether the answer was cut off."""

    rows: Sequence[tuple[int, Row]]
    unfit: Sequence[Unfit]
    truncated: bool


class NoTable(NamedTuple):
    """The body is no table at all."""

    reason: Literal["truncated", "not_a_table"]
    error: BadRecord


def read(value: bytes, *needed: str) -> Table | NoTable:
    """The table in a body, whatever its dialect. needed: columns that make it one of this product, any of each `a|b`."""
    body = value.lstrip(b"\xef\xbb\xbf \r\n\t")
    if body[:1] in {b"[", b"{"}:
        return _json(body)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        return NoTable("not_a_table", BadRecord("bad_value", f"expected text in UTF-8: {error}"))
    copy = _COPY.match(text)
    if copy is not None:
        return _csv([name.strip() for name in copy[1].split(",")], text[copy.end() :].partition("\n\\.")[0] + "\n")
    header, newline, rest = text.partition("\n")
    names = [name.strip().strip('"').lower() for name in header.strip().split(",")]
    if not all(set(names) & set(one.split("|")) for one in needed):
        return NoTable("not_a_table", BadRecord("bad_value", f"expected columns {needed}, was {header[:200]!r}"))
    return _csv(names, rest if newline else "")


def _csv(names: list[str], text: str) -> Table:
    if not text:
        return Table((), (), truncated=False)
    rows: list[tuple[int, Row]] = []
    unfit: list[Unfit] = []
    lines = text.split("\n")
    cut = bool(lines[-1].strip())  # every line of theirs ends with a newline, the last one too
    if len(lines) > _ROWS_MAX:
        raise BadRecord("too_large", f"expected at most {_ROWS_MAX} lines, were {len(lines)}")
    number = 0
    truncated = False
    for place, line in enumerate(lines):
        if not line.strip():
            continue
        last = cut and place == len(lines) - 1
        try:
            cells = next(csv.reader([line.strip("\r")], strict=True))
        except (csv.Error, StopIteration) as error:
            cells, problem = [], str(error)
        else:
            problem = f"expected {len(names)} fields, were {len(cells)}"
        if len(cells) == len(names) + 1 and not cells[-1].strip():
            cells.pop()
        if len(cells) == len(names) and not last:
            rows.append((number, dict(zip(names, cells, strict=True))))
        elif last:
            truncated = True
            unfit.append(Unfit(number, BadRecord("bad_value", f"the body ends within a line: {line[:200]!r}")))
        else:
            unfit.append(Unfit(number, BadRecord("bad_value", f"{problem}: {line[:200]!r}")))
        number += 1
    return Table(rows, unfit, truncated)


def _json(body: bytes) -> Table | NoTable:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason: Literal["truncated", "not_a_table"] = "truncated" if "truncated" in str(error) else "not_a_table"
        return NoTable(reason, BadRecord("not_json", f"expected a table as JSON: {error}"))
    if isinstance(said, dict):
        lists = [said[name] for name in ("results", "data", "rows") if isinstance(said.get(name), list)]
        if len(lists) != 1:
            return NoTable(
                "not_a_table", BadRecord("bad_value", f"expected `results` or `data`, were {sorted(said)[:20]}")
            )
        said = lists[0]
    rows: list[tuple[int, Row]] = []
    unfit: list[Unfit] = []
    for number, row in enumerate(said):
        if isinstance(row, dict):
            rows.append((number, {str(name).lower(): cell for name, cell in row.items()}))
        else:
            unfit.append(Unfit(number, BadRecord("bad_value", f"expected an object, was {str(row)[:200]!r}")))
    return Table(rows, unfit, truncated=False)


def is_null(cell: Cell) -> bool:
    """Whether a cell says nothing: absent, empty, and what pandas and Python print for it."""
    return cell is None or (isinstance(cell, str) and cell.strip() in {"", "None", "nan", "NaN", "null"})


def number(cell: Cell) -> int | float | None:
    """A cell that is a number; whole ones as int, whatever their dialect (`40`, `40.0`). Raises ValueError."""
    if isinstance(cell, bool | list | dict):
        raise ValueError(f"expected a number, was {str(cell)[:_CELL_CHARS_MAX]!r}")  # noqa: TRY004  # theirs, a value
    if is_null(cell) or cell is None:
        return None
    if isinstance(cell, str):
        text = cell.strip()
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"expected a number, was {text[:_CELL_CHARS_MAX]!r}")
        cell = float(text)
    if not abs(cell) < 10**9:  # the same bound as of the text form; refuses NaN too
        raise ValueError(f"expected a number of at most 9 digits, was {cell!r}")
    return int(cell) if cell == int(cell) else float(cell)


def plain(cell: Cell) -> Cell:
    """A cell for the overflow: numbers as numbers, text without padding."""
    if isinstance(cell, str):
        text = cell.strip()
        return number(text) if _NUMBER.fullmatch(text) else text
    return number(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) and abs(cell) < 10**9 else cell
