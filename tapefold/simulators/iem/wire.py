"""Answers in the forms of the upstream, byte for byte as far as a client can tell. Pure.

mos.py: all-null columns are dropped, whole numbers with holes become floats (`40.0`), naive UTC; with no row the header
has all columns. JSON of the script has no zone, that of the API is pandas' table orientation. Sources: topics.iem.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence

from tapefold.simulators.iem.holdings import Product, Row


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# The order of IEM's table (iem-database, init/mos.sql).
COLUMNS = _names(
    "model n_x tmp dpt cld wdr wsp p06 p12 q06 q12 t06_1 t06_2 t12_1 t12_2 snw cig vis obv poz pos typ sky gst t03 pzr psn "
    "ppl pra s06 slv i06 lcb swh station dur mht twd tws hid sol q24 p24 t24 ccg ppo pco cvs lp1 lc1 cp1 cc1 s12 i12 s24 pzp "
    "prs txn xnd tsd dsd ssd gsd ifc ifv mvc mvv liv wsd p01 pc1"
)
API_COLUMNS = _names(
    "station model runtime ftime n_x tmp dpt cld wdr wsp p06 p12 q06 q12 t06 t12 snw cig vis obv poz pos typ sky swh lcb i06 "
    "slv s06 pra ppl psn pzr t03 gst q24 p24 t24 ccg ppo pco lp1 lc1 cp1 cc1 s12 i12 s24 pzp prs txn"
)
LEGACY_COLUMNS = _names(
    "station model runtime ftime n_x tmp dpt cld wdr wsp p06 p12 q06 q12 t06 t12 snw cig vis obv poz pos typ sky swh lcb i06 "
    "slv s06 pra ppl psn pzr t03 gst"
)
_CLI_CSV = _names(
    "station valid name state wfo high high_record high_record_years high_normal high_time low low_record low_record_years "
    "low_normal low_time precip precip_month snow snowdepth product"
)


def mos_csv(rows: Sequence[Row]) -> str:
    """As the script sends CSV."""
    filled = [_with_pairs(row) for row in rows]
    names = [
        "runtime",
        "ftime",
        *(name for name in (*COLUMNS, "t06", "t12") if not rows or any(row.get(name) is not None for row in filled)),
    ]
    holes = {name for name in names if any(row.get(name) is None for row in filled)}
    return _csv(names, ([_cell(row.get(name), floats=name in holes) for name in names] for row in filled))


def mos_json(rows: Sequence[Row]) -> str:
    """As the script sends JSON: an array of objects, all-null columns dropped."""
    filled = [_with_pairs(row) for row in rows]
    names = [
        name
        for name in ("runtime", "ftime", *COLUMNS, "t06", "t12")
        if any(row.get(name) is not None for row in filled)
    ]
    return json.dumps([{name: _timed(name, row.get(name)) for name in names} for row in filled])


def api_json(rows: Sequence[Row]) -> str:
    """As the API sends JSON: pandas' table orientation."""
    filled = [_with_pairs(row) for row in rows]
    data = [
        {
            "index": index,
            **{name: _number(cell) for name, cell in row.items()},
            "runtime": str(row["runtime"])[:16],
            "ftime": str(row["ftime"])[:16],
            "runtime_utc": str(row["runtime"])[:16],
            "ftime_utc": str(row["ftime"])[:16],
        }
        for index, row in enumerate(filled)
    ]
    return json.dumps({"schema": {"fields": [], "pandas_version": "1.4.0"}, "data": data})


def fixed_csv(rows: Sequence[Row], columns: Sequence[str], *, comma_too_many: bool) -> str:
    """As the API's txt (51 columns) and the legacy page (35, with a comma behind each line) send it."""
    text = _csv(columns, ([_cell(_with_pairs(row).get(name), floats=False) for name in columns] for row in rows))
    header, _, body = text.partition("\n")
    return f"{header}\n{body.replace(chr(10), ',' + chr(10))}" if comma_too_many else text


def cli_json(products: Iterable[Product], now: str) -> str:
    """Of each day the last product, by the product's id."""
    return json.dumps({"results": [one.row for one in latest(products)], "generated_at": now})


def cli_csv(products: Iterable[Product]) -> str:
    """The same as CSV: lists joined by a space, a comma behind each line, Python's word for nothing."""
    rows = ([_listed(one.row.get(name)) for name in _CLI_CSV] for one in latest(products))
    header, _, body = _csv(_CLI_CSV, rows).partition("\n")
    return f"{header}\n{body.replace(chr(10), ',' + chr(10))}"


def latest(products: Iterable[Product]) -> list[Product]:
    """One product per day; a new one replaces the row unless its id is smaller."""
    kept: dict[str, Product] = {}
    for one in products:
        if one.day not in kept or one.name >= kept[one.day].name:
            kept[one.day] = one
    return [kept[day] for day in sorted(kept)]


def afos_text(products: Iterable[Product], pil: str) -> str:
    """Texts between control characters; without any, an error that is no HTTP error."""
    texts = [one.text for one in products if one.text is not None]
    return "".join(f"\x01\n{text}\n\x03\n" for text in texts) or f"ERROR: Could not Find: {pil}"


def _csv(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return out.getvalue()


def _with_pairs(row: Row) -> Row:
    pairs = {
        name: f"{row[f'{name}_1']}/{row[f'{name}_2']}"
        for name in ("t06", "t12")
        if row.get(f"{name}_1") is not None and row.get(f"{name}_2") is not None
    }
    return {**row, **pairs}


def _cell(cell: object, *, floats: bool) -> str:
    if cell is None:
        return ""
    return f"{cell}.0" if floats and isinstance(cell, int) else str(cell)


def _number(cell: object) -> object:
    return int(cell) if isinstance(cell, str) and cell.lstrip("-").isdigit() else cell


def _timed(name: str, cell: object) -> object:
    return f"{str(cell).replace(' ', 'T')}.000" if name in {"runtime", "ftime"} else _number(cell)


def _listed(cell: object) -> str:
    return " ".join(map(str, cell)) if isinstance(cell, list) else str(cell)
