"""Tables that others made of MOS answers: one maximum a day, with the run that gave it.

`date,gfs_mos_tmax_f,runtime`: the value that the run had for 00Z of the next day, which is the maximum of the US local
day `date`. The station stands in the file's name (`gfs_mos_knyc_2024on.csv`), which the `url` header tells.
"""

import re
from datetime import date, timedelta

from stream_processors.parsers.iem.table import Row, Table

_HEADER = re.compile(rb"\s*date,(gfs|nam)_mos_tmax_f,runtime\s*\n")
_NAME = re.compile(r"_mos_(k[a-z0-9]{3})(?:_|\.|$)", re.ASCII)


def model_of(value: bytes) -> str | None:
    """The model whose maxima a body holds; None when it is no such table."""
    match = _HEADER.match(value)
    return None if match is None else match[1].decode().upper()


def read(table: Table, model: str, path: str) -> Table:
    """The same rows as the upstream had them."""
    station = _NAME.search(path)
    rows = [(number, _row(row, model, "" if station is None else station[1])) for number, row in table.rows]
    return Table(rows, table.unfit, table.truncated)


def _row(row: Row, model: str, station: str) -> Row:
    try:
        valid = (date.fromisoformat(str(row["date"])) + timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):
        valid = ""
    return {
        "station": station,
        "model": model,
        "runtime": row["runtime"],
        "ftime": f"{valid} 00:00",
        "n_x": row[f"{model.lower()}_mos_tmax_f"],
    }
