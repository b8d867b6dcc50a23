"""The registries of stations -> the store: what the fold knows of the calendar, and what SYMBOL_STATIONS says."""

import hashlib
from collections.abc import Iterable

import pyarrow as pa

from sinks import columns
from sinks.tables import Tables
from topics.climate_day import offset_of, series_of_station
from topics.domains import ZONE_BY_STATION
from topics.stations import REGISTRY_VERSION, SymbolStation

_TABLE = "weather_stations"


def publish(tables: Tables) -> None:
    """Write all stations; the same registry written again is no row."""
    stations = sorted(ZONE_BY_STATION)
    rows = [(station, offset_of(station), series_of_station(station)) for station in stations]
    table = pa.table(
        {
            "station": columns.labels(stations),
            "standard_offset_s": columns.int64([row[1] for row in rows]),
            "series_tickers": columns.texts([row[2] for row in rows]),
            "registry_version": columns.uint32([REGISTRY_VERSION] * len(rows)),
        }
    )
    digest = hashlib.sha256(repr((REGISTRY_VERSION, rows)).encode()).hexdigest()
    tables.insert_arrow(_TABLE, table, f"{_TABLE}:{digest}")


def publish_symbols(tables: Tables, wanted: Iterable[SymbolStation], now_ns: int) -> None:
    """Let the symbols be about these stations, and no others about any; what is so already is left alone."""
    answer = tables.query_rows("SELECT symbol, station, measure, days_ahead FROM tapefold.symbol_stations FINAL")
    there = {symbol: tuple(rest) for symbol, *rest in answer.rows}
    asked = {each.symbol: (each.station, each.measure, each.days_ahead) for each in wanted}
    gone = {symbol: ("", "high", 0) for symbol, rest in there.items() if symbol not in asked and rest[0]}
    changed = [(symbol, *rest) for symbol, rest in (asked | gone).items() if there.get(symbol) != rest]
    if changed:
        symbols, stations, measures, ahead = zip(*changed, strict=True)
        table = pa.table(
            {
                "symbol": columns.labels(symbols),
                "station": columns.labels(stations),
                "measure": columns.labels(measures),
                "days_ahead": columns.int64(ahead),
                "version": columns.uint64([now_ns] * len(changed)),
            }
        )
        tables.insert_arrow("symbol_stations", table, f"symbol_stations:{now_ns}")
