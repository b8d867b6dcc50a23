"""The registry of weather stations -> the store, so that SQL knows the calendar that the fold knows."""

import hashlib

import pyarrow as pa

from sinks import columns
from sinks.tables import Tables
from topics.climate_day import offset_of, series_of_station
from topics.domains import ZONE_BY_STATION
from topics.stations import REGISTRY_VERSION

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
