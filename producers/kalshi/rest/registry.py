"""The weather registry held against the exchange's own words: what stands under the wrong station is worse than nothing. Pure.

Who is named otherwise is left out with all that hangs on it: a market by its rules, a series by its settlement sources.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from topics import stations
from topics.domains import WEATHER_SERIES


class _Ruled(Struct):
    ticker: str
    rules_primary: str | None = None


class _Source(Struct):
    url: str | None = None


class _Series(Struct):
    settlement_sources: list[_Source] | None = None


class _SeriesAnswer(Struct):
    series: _Series


class Unresolved:
    """Series and markets that nothing is backfilled for, each with the reason. Empty at the start of a process."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    @property
    def reasons(self) -> Mapping[str, str]:
        """Series or market -> why."""
        return self._reasons

    def unknown(self, series_ticker: str) -> str | None:
        """The reason why a series that nothing was asked of yet has no station; None where it needs none, or has one."""
        if not stations.is_weather(series_ticker):
            return None
        try:
            stations.resolve(series_ticker, known=WEATHER_SERIES)
        except stations.StationUnresolved as error:
            self._reasons[series_ticker] = str(error)
            return str(error)
        return None

    def series(self, series_ticker: str, body: bytes) -> str | None:
        """Hold a series against its answer. Returns the reason if it is a new one. Raises msgspec.ValidationError."""
        said = msgspec.json.decode(body, type=_SeriesAnswer).series
        urls = tuple(source.url for source in said.settlement_sources or () if source.url)
        return self._held(series_ticker, series_ticker, "", urls)

    def market(self, series_ticker: str, market: Raw) -> tuple[str, str | None]:
        """Hold a market of a listing against its rules: its ticker, and the reason if it is a new one.

        Raises msgspec.ValidationError.
        """
        said = msgspec.json.decode(market, type=_Ruled)
        return said.ticker, self._held(said.ticker, series_ticker, said.rules_primary or "", ())

    def concerns(self, subject: str) -> bool:
        """Whether a series, or a market, is one of them."""
        return subject in self._reasons

    def _held(self, subject: str, series_ticker: str, rules: str, urls: tuple[str, ...]) -> str | None:
        if series_ticker not in WEATHER_SERIES:
            return None
        try:
            stations.resolve(series_ticker, rules=rules, settlement_urls=urls, known=WEATHER_SERIES)
        except stations.StationUnresolved as error:
            told = self._reasons.get(subject) == str(error)
            self._reasons[subject] = str(error)
            return None if told else str(error)
        self._reasons.pop(subject, None)
        return None
