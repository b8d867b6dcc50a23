"""MOS bulletins as the weather service sends them: blocks of one station, rows of three letters, columns of fixed width.

Sources: the cards of weather.gov/mdl; vlab.noaa.gov (NBM text cards); names are those that pyIEM gives the rows.
Columns are 3 wide from the 5th character on, in MEX, NBE and NBX 4 wide from the 4th, with bars between days.
"""

import re
from datetime import UTC, datetime, timedelta

from stream_processors.parsers.iem.answer import Unfit, year_of
from stream_processors.parsers.iem.table import Row, Table
from topics.errors import BadRecord

_HEAD = re.compile(
    r"^\W*([A-Z0-9_]{3,6})\s+(.*?)\s*GUIDANCE\s+(\d{1,2})/(\d{1,2})/(\d{4})\s+(\d{2})(\d{2}) UTC", re.ASCII
)
_TITLE = re.compile(r"(GFSX|GFS|NAM|ETA|AVN|NBM(?: V[\d.]+)? (?:NBS|NBE|NBX|NBH|NBP)|LAMP|GFS LAMP)\b.*GUIDANCE")
_MODELS = {"GFSX": "MEX", "NBX": "NBE"}
_WIDE = frozenset({"MEX", "NBE"})
_NAMES = {"x/n": "n_x", "n/x": "n_x", "wnd": "wsp", "wgs": "gst"}
_PAIR = re.compile(r"(\d{1,3})/ ?(\d{1,3})$")
_TENFOLD = frozenset({"wdr"})  # tens of degrees on the card; IEM's table has degrees
_SKIP = frozenset({"dt", "hr", "utc", "fhr"})
_STEPS_MAX = 40
_HOURS_MAX = 400


def is_one(value: bytes) -> bool:
    """Whether a body has at least one station's head of a bulletin."""
    return b" UTC" in value and b"GUIDANCE" in value


def read(value: bytes) -> Table:
    """The rows of all blocks, as IEM's table would have them. A block that does not fit is refused as a whole."""
    rows: list[tuple[int, Row]] = []
    unfit: list[Unfit] = []
    number = 0
    for head, lines in _blocks(value.decode("utf-8", "replace")):
        try:
            for row in _block(head, lines):
                rows.append((number, row))
                number += 1
        except ValueError as error:
            unfit.append(Unfit(number, BadRecord("bad_value", f"block {head[:80]!r}: {error}")))
            number += 1
    return Table(rows, unfit, truncated=False)


def _blocks(text: str) -> list[tuple[str, list[str]]]:
    blocks: list[tuple[str, list[str]]] = []
    for raw in text.replace("\r", "").split("\n"):
        line = raw.rstrip()
        if " UTC" in line and re.search(r"\d/\d{4}\s", line):
            blocks.append((line, []))
        elif line and blocks and blocks[-1][1] != [""]:
            blocks[-1][1].append(line)
        elif blocks and blocks[-1][1]:  # a blank line ends a block; what follows up to the next head is none of its
            blocks[-1][1].append("")
    return [(head, lines[: lines.index("")] if "" in lines else lines) for head, lines in blocks]


def _block(head: str, lines: list[str]) -> list[Row]:
    match, title = _HEAD.match(head), _TITLE.search(head)
    if match is None or title is None:
        raise ValueError("expected a station, a model, GUIDANCE, a date and an hour UTC")
    station, _, month, day, year, hour, _ = match.groups()
    model = title[1].split()[-1].replace("LAMP", "LAV")
    model = _MODELS.get(model, model)
    run = datetime(year_of(int(year)), int(month), int(day), int(hour), tzinfo=UTC)
    start, width = (3, 4) if model in _WIDE else (4, 3)
    by_name = {line[:3].strip().lower(): line for line in lines if line[:3].strip()}
    valid = _valid_times(run, by_name, start, width)
    rows: list[Row] = [
        {
            "runtime": run.strftime("%Y-%m-%d %H:%M:%S"),
            "ftime": moment.strftime("%Y-%m-%d %H:%M:%S"),
            "station": station,
            "model": model,
        }
        for moment in valid
    ]
    filled: set[int] = set()
    for label, line in by_name.items():
        if label in _SKIP or not re.fullmatch(r"[a-z][a-z0-9/]{2}", label):
            continue
        for index, row in enumerate(rows):
            end = start + width * (index + 1)
            cell = line[end - width : end].replace("|", " ").strip()
            if cell and cell not in {"NG", "/"}:
                filled.add(index)
                _put(row, _NAMES.get(label, label), cell, line[:end])
    return [row for index, row in enumerate(rows) if index in filled]


def _put(row: Row, name: str, cell: str, before: str) -> None:
    pair = _PAIR.search(before)
    if name in {"t06", "t12"} and pair is not None:
        row[f"{name}_1"], row[f"{name}_2"] = pair.groups()
    elif name in {"t06", "t12"} and "/" in before:
        return  # the first half of a pair that ends under the next column
    elif name in _TENFOLD:
        if not cell.isdigit():
            raise ValueError(f"{name}: expected tens of degrees, was {cell!r}")
        row[name] = cell if cell == "999" else int(cell) * 10
    else:
        row[name] = cell


def _valid_times(run: datetime, by_name: dict[str, str], start: int, width: int) -> list[datetime]:
    """From the row of forecast hours if there is one, else from the hours of the day, each the next one of its kind."""
    line = by_name.get("fhr") or by_name.get("hr") or by_name.get("utc")
    if line is None:
        raise ValueError("expected a row FHR, HR or UTC")
    cells = [line[at : at + width].replace("|", " ").strip() for at in range(start, len(line), width)]
    numbers = [cell for cell in cells if cell]
    if not numbers or len(numbers) > _STEPS_MAX or not all(cell.isdigit() for cell in numbers):
        raise ValueError(f"expected hours, was {line!r}")
    hours = [int(cell) for cell in numbers]
    if "fhr" not in by_name:
        moments = [run]
        for hour in hours:
            moments.append(moments[-1] + timedelta(hours=(hour - moments[-1].hour - 1) % 24 + 1))
        return moments[1:]
    if hours != sorted(set(hours)) or hours[-1] > _HOURS_MAX:
        raise ValueError(f"expected rising forecast hours, was {line!r}")
    return [run + timedelta(hours=hour) for hour in hours]
