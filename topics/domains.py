"""Join domains: the key under which facts of one thing meet, so that one partition holds all that a join needs.

A weather market joins with its station's forecasts and climate reports: its key is the station (`KMIA`). Every other
market joins within its series. The mapping is data with a version, stamped on each fact: a new mapping is a new
generation, never a silent move of a key (stations: the CLI code in each series' `rules_primary`, read 2026-09-24).
"""

from functools import lru_cache

REGISTRY_VERSION = 1

STATION_BY_SERIES: dict[str, str] = {
    "KXHIGHNY": "KNYC",
    "HIGHNY": "KNYC",
    "KXHIGHCHI": "KMDW",
    "HIGHCHI": "KMDW",
    "KXHIGHMIA": "KMIA",
    "HIGHMIA": "KMIA",
    "KXHIGHAUS": "KAUS",
    "HIGHAUS": "KAUS",
    "KXHIGHDEN": "KDEN",
    "KXDENHIGH": "KDEN",
    "KXHIGHLAX": "KLAX",
    "KXHIGHPHIL": "KPHL",
    "KXLOWTNYC": "KNYC",
    "KXLOWTCHI": "KMDW",
    **{
        f"KXHIGHT{city}": station
        for city, station in {
            "SFO": "KSFO",
            "PHX": "KPHX",
            "SEA": "KSEA",
            "ATL": "KATL",
            "BOS": "KBOS",
            "DAL": "KDFW",
            "DC": "KDCA",
            "LV": "KLAS",
            "MIN": "KMSP",
            "HOU": "KHOU",
            "NOLA": "KMSY",
            "OKC": "KOKC",
            "SATX": "KSAT",
            "SAN": "KSAN",
            "SDF": "KSDF",
            "TTN": "KTTN",
            "EWR": "KEWR",
        }.items()
    },
}


def series_of(market_ticker: str) -> str:
    """`KXHIGHMIA-26APR11-T83` -> `KXHIGHMIA`."""
    return market_ticker.partition("-")[0]


@lru_cache(maxsize=65_536)  # one entry per market seen; a venue's day has some ten thousand
def domain_of(market_ticker: str) -> str:
    """The join key of a Kalshi market: its station for weather series, else its series ticker."""
    series = series_of(market_ticker)
    return STATION_BY_SERIES.get(series, series)
