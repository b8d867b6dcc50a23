"""What explains minutes of TWS and rows of features: the stored row, and the raw records that it leans on.

Features are views: a row is asked for anew, and held against what its inputs on the log give in Python.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from sinks.tables import Tables
from stream_processors import explain_tws
from stream_processors.explain import Explanation, Tellings
from stream_processors.explain_features import Known, MarketFeatures, SymbolFeatures
from stream_processors.explain_tws import SymbolTellings
from stream_processors.explain_weather import StationTellings
from stream_processors.features import NORMAL_DAYS
from tapefold.records import market_records, raw_records
from topics.catalog import RAW_IEM_MOS, RAW_TWS
from topics.domains import series_of
from topics.errors import Refused
from topics.units import NS_PER_DAY, NS_PER_MINUTE
from topics.weather import Climate, Forecast

Explain = Callable[[str], Explanation]

_PRICE, _SIZE, _TIME, _DAY = "toInt64({} * 1000000)", "toInt64({} * 10000)", "toUnixTimestamp64Nano({})", "toString({})"
_WEATHER = {
    "models": "{}", "forecast_mean_f": "{}", "forecast_spread_f": "{}", "run_change_f": "{}", "newest_run_at": _TIME,
    "forecast_known_at": _TIME, "normal_f": "{}", "normal_date_local": _DAY, "station": "{}", "measure": "{}",
    "target_date_local": _DAY, "close": _PRICE, "known_at": _TIME, "known_by": "{}",
}  # fmt: skip
# view -> how its columns are read, in units of the log. What names a row (symbol, market, minute) is no figure of it.
TABLES: dict[str, dict[str, str]] = {
    "features_price_1m_v1": {
        **dict.fromkeys(("return_1m", "return_5m", "return_15m", "realised_vol_15m", "range_1m", "range_15m"), "{}"),
        **dict.fromkeys(("volume_z_60m", "gap_1m", "gap_minutes", "missing_15m", "minutes_since_open"), "{}"),
        **dict.fromkeys(("reported_f", "report"), "{}"),
        "volume": _SIZE,
        **_WEATHER,
    },
    "features_weather": {**dict.fromkeys(("lead_hours", "hours_to_close", "bar_closed"), "{}"), **_WEATHER},
}
_OF = {"features_price_1m_v1": "features_price_1m_of", "features_weather": "features_weather_of"}
_NAMES = {"features_price_1m_v1": "symbol", "features_weather": "market_ticker"}

_TWS = """
SELECT cause_topic, cause_partition, cause_offset FROM tapefold.tws_tellings
WHERE symbol = {symbol:String} AND toUnixTimestamp64Nano(minute) >= {first:Int64} AND toUnixTimestamp64Nano(minute) < {end:Int64}
"""
_STATION = """
SELECT cause_topic, cause_partition, cause_offset FROM tapefold.forecasts
WHERE station = {station:String} AND toDate(event_at) BETWEEN toDate({first:String}) AND toDate({last:String}) + 2
UNION DISTINCT
SELECT cause_topic, cause_partition, cause_offset FROM tapefold.climate
WHERE station = {station:String} AND day BETWEEN toDate32({first:String}) - {normals:UInt8} AND toDate32({last:String})
"""
_WEEK_MINUTES = 10_140  # as the view: a week, so that the open of every session is among them, and an hour


def stored(tables: Tables, view: str, row_id: str) -> dict[str, Any]:
    """The row as its view says it now, by column. Raises Refused when it says none."""
    minute_ns = _minute_ns(tables, row_id)
    figures = TABLES[view]
    chosen = ", ".join(how.format(name) for name, how in figures.items())
    answer = tables.query_rows(
        f"SELECT {_NAMES[view]}, toUnixTimestamp64Nano(minute), {chosen} FROM tapefold_api.{_OF[view]}(of = 'fold',"  # noqa: S608
        f" t = '2262-01-01 00:00:00', start = fromUnixTimestamp64Nano({minute_ns}, 'UTC'),"
        f" end_at = fromUnixTimestamp64Nano({minute_ns + NS_PER_MINUTE}, 'UTC')) WHERE row_id = {{row_id:String}}",
        {"row_id": row_id},
    ).rows
    if not answer:
        raise Refused(f"{row_id}: no such row in {view}; see its column row_id")
    return dict(zip((_NAMES[view], "minute", *figures), answer[0], strict=True))


def _minute_ns(tables: Tables, row_id: str) -> int:
    """The minute of a row, by its name or by its bar; one that is in no table is that of the epoch."""
    kind, _, name = row_id.partition(":")
    if kind == "weather":
        number = name.rpartition(":")[2]
        return int(number) * NS_PER_MINUTE if number.isdigit() and len(number) < 10 else 0  # noqa: PLR2004  # past 2262
    answer = tables.query_rows(
        "SELECT toUnixTimestamp64Nano(minute) FROM tapefold.curated_tws_1m_bars WHERE row_id = {row_id:String} LIMIT 1",
        {"row_id": name},
    ).rows
    return int(answer[0][0]) if answer else 0


def of_minute(tables: Tables, row: dict[str, Any]) -> Explain:
    """What explains one curated minute."""
    return partial(explain_tws.explain, _symbol(tables, row["symbol"], row["minute"], row["minute"] + 1))


def _symbol(tables: Tables, symbol: str, first_ns: int, end_ns: int) -> SymbolTellings:
    asked = {"symbol": symbol, "first": str(first_ns), "end": str(end_ns)}
    return SymbolTellings(symbol, raw_records(tables, _TWS, asked, beats_of=RAW_TWS))


def of_symbol(tables: Tables, row: dict[str, Any], partitions: int) -> Explain:
    """What explains the price features of the row's symbol and day (UTC)."""
    symbol, day_ns = row["symbol"], row["minute"] - row["minute"] % NS_PER_DAY
    tellings = _symbol(tables, symbol, day_ns - _WEEK_MINUTES * NS_PER_MINUTE, day_ns + NS_PER_DAY)
    about = tables.query_rows(
        "SELECT station, measure, days_ahead, standard_offset_s FROM tapefold.symbol_stations FINAL"
        " INNER JOIN (SELECT station, standard_offset_s FROM tapefold.weather_stations FINAL) AS stations USING (station)"
        " WHERE symbol = {symbol:String}",
        {"symbol": symbol},
    ).rows
    if not about:
        return SymbolFeatures(tellings, None, Known()).explain
    station, measure, days_ahead, offset_s = about[0]
    # the climate day of a minute may be the one before or behind the day by UTC
    ((first, last),) = tables.query_rows(
        f"SELECT toString(toDate32(fromUnixTimestamp64Nano({day_ns}, 'UTC')) + {days_ahead - 1}),"  # numbers
        f" toString(toDate32(fromUnixTimestamp64Nano({day_ns}, 'UTC')) + {days_ahead + 1})"
    ).rows
    known = _known(tables, station, first, last, partitions)
    return SymbolFeatures(tellings, (station, measure, days_ahead, offset_s), known).explain


def of_market(tables: Tables, row: dict[str, Any], partitions: int) -> Explain:
    """What explains the weather features of the row's market."""
    ticker, date = row["market_ticker"], row["target_date_local"]
    ((station, offset_s),) = tables.query_rows(
        "SELECT station, standard_offset_s FROM tapefold.weather_stations FINAL WHERE has(series_tickers, {series:String})",
        {"series": series_of(ticker)},
    ).rows
    records = market_records(tables, ticker)
    known = _known(tables, station, date, date, partitions)
    return MarketFeatures(Tellings(ticker, partitions, records), known, (station, offset_s)).explain


def _known(tables: Tables, station: str, first: str, last: str, partitions: int) -> Known:
    """What was told of a station about the days from first to last (ISO), and about the days that normals may be of."""
    asked = {"station": station, "first": first, "last": last, "normals": str(NORMAL_DAYS)}
    facts = StationTellings(station, partitions, raw_records(tables, _STATION, asked, beats_of=RAW_IEM_MOS), []).facts
    return Known(
        [fact for fact in facts if isinstance(fact, Forecast)], [fact for fact in facts if isinstance(fact, Climate)]
    )
