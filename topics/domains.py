"""Join domains: the key under which facts of one thing meet, so that one partition holds all that a join needs.

A weather market joins with its station's forecasts and climate reports: its key is the station (`KMIA`). Every other
market joins within its series. The mapping is data with a version (`topics.stations`), and a user's overrides of it.
"""

from collections.abc import Mapping
from functools import lru_cache

from topics import stations
from topics.stations import WeatherSeries

WEATHER_SERIES: dict[str, WeatherSeries] = dict(stations.SERIES)
STATION_BY_SERIES: dict[str, str] = {name: entry.station.icao for name, entry in WEATHER_SERIES.items()}
ZONE_BY_STATION: dict[str, str] = {icao: station.zone for icao, station in stations.STATIONS.items()}


def override(entries: Mapping[str, WeatherSeries]) -> None:
    """Put a user's entries over the shipped ones: once, at the start of a process, the same in all of them."""
    WEATHER_SERIES.update(entries)
    STATION_BY_SERIES.update({name: entry.station.icao for name, entry in entries.items()})
    ZONE_BY_STATION.update({entry.station.icao: entry.station.zone for entry in entries.values()})
    domain_of.cache_clear()


def series_of(market_ticker: str) -> str:
    """`KXHIGHMIA-26APR11-T83` -> `KXHIGHMIA`."""
    return market_ticker.partition("-")[0]


@lru_cache(maxsize=65_536)  # one entry per market seen; a venue's day has some ten thousand
def domain_of(market_ticker: str) -> str:
    """The join key of a Kalshi market: its station for weather series, else its series ticker."""
    series = series_of(market_ticker)
    return STATION_BY_SERIES.get(series, series)
