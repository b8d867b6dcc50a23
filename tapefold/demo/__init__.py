"""The shipped recording, and three questions that its tables answer."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sinks.tables import Tables

FRAMES = Path(__file__).parent / "frames"

RECORDED = (
    "What was recorded",
    "SELECT (SELECT count() FROM tapefold_api.raw_records) AS raw_records,"
    " (SELECT count() FROM tapefold_api.trades) AS trades,"
    " (SELECT count() FROM tapefold_api.bars_1m) AS bars,"
    " (SELECT count() FROM tapefold_api.gaps) AS gaps,"
    " (SELECT count() FROM tapefold_api.dead) AS refused",
)
QUERIES = (
    (
        "Which bracket traded most, and at what price?",
        "SELECT market_ticker, count() AS trades, sum(size) AS contracts,"
        " round(toFloat64(sum(yes_price * size)) / toFloat64(sum(size)), 4) AS average_yes_price"
        " FROM tapefold_api.trades GROUP BY market_ticker ORDER BY contracts DESC LIMIT 5",
    ),
    (
        "How did the busiest market move, hour by hour, on closed bars that were known by then?",
        "SELECT toStartOfHour(minute) AS hour, argMinIf(open, minute, trades > 0) AS open, max(high) AS high,"
        " min(low) AS low, argMaxIf(close, minute, trades > 0) AS close, sum(volume) AS volume,"
        " max(known_at) AS known_at"
        " FROM tapefold_api.bars_1m WHERE closed AND market_ticker ="
        " (SELECT market_ticker FROM tapefold_api.trades GROUP BY market_ticker ORDER BY sum(size) DESC LIMIT 1)"
        " GROUP BY hour HAVING sum(trades) > 0 ORDER BY hour LIMIT 8",
    ),
    (
        "Is every offset of the raw log in the store, once?",
        "SELECT _topic, _partition, count() AS records, min(_offset) AS first, max(_offset) AS last,"
        " count() = last - first + 1 AND uniqExact(_offset) = count() AS complete"
        " FROM tapefold.raw_records GROUP BY _topic, _partition ORDER BY _topic, _partition",
    ),
)


def show(console: Console, tables: Tables) -> None:
    """Print what was recorded, and each query with its answer."""
    for title, sql in (RECORDED, *QUERIES):
        answer = tables.query_rows(sql)
        console.print(f"\n[bold]{title}[/bold]")
        console.print(f"  {sql}", style="dim", markup=False, highlight=False)
        picture = Table(*answer.columns)
        for row in answer.rows:
            picture.add_row(*map(_cell, row))
        console.print(picture)


def _cell(value: object) -> str:
    """Short enough that no time is cut off in a terminal of 80 columns: minutes, no zeros behind a price."""
    match value:
        case None:
            return "NULL"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case Decimal():
            return format(value.normalize(), "f")
        case _:
            return str(value)
