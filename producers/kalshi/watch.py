"""Which markets one process watches: named tickers, the new markets of named series, and its shard of both. Pure."""

from collections.abc import Iterable

from producers.kalshi.envelope import Message
from topics.errors import SettingsError
from topics.log import partition_of


class Watch:
    """The markets of one shard. It only grows; the next connection of the process goes on with it.

    tickers: markets by name. series: series whose new markets join as they are announced. A ticker belongs to the
    shard that `partition_of(ticker, shard_count)` names, the same rule that places it on the log.

    Raises SettingsError when the shard does not exist, has no market, or a ticker is not ASCII.
    """

    def __init__(
        self, tickers: Iterable[str], *, series: Iterable[str] = (), shard_count: int = 1, shard_id: int = 0
    ) -> None:
        if not 0 <= shard_id < shard_count:
            raise SettingsError(f"expected WS_SHARD_ID in [0, {shard_count}), was {shard_id}")
        self._series = frozenset(series)
        self._shard_count = shard_count
        self._shard_id = shard_id
        self._tickers: dict[str, None] = {}
        self._events: set[str] = set()
        self.add(tickers)
        if not self._tickers:
            raise SettingsError(
                f"expected a market for shard {shard_id} of {shard_count}, were none; "
                "name more tickers or series, or lower WS_SHARD_COUNT"
            )

    @property
    def tickers(self) -> tuple[str, ...]:
        """The markets, in the order in which they came."""
        return tuple(self._tickers)

    def add(self, tickers: Iterable[str]) -> None:
        """Watch these too, as far as they belong to this shard. Raises SettingsError for one that is not ASCII."""
        for ticker in tickers:
            if not ticker.isascii():
                raise SettingsError(f"expected market tickers in ASCII, was {ticker!r}")
            if self._in_shard(ticker):
                self._tickers[ticker] = None
                self._events.add(ticker.rpartition("-")[0])

    def concerns(self, message: Message) -> bool:
        """Whether a lifecycle frame is about something watched; one that names nothing is for ingest to refuse."""
        if (ticker := message.market_ticker) is not None:
            if not ticker.isascii():
                return True
            return ticker in self._tickers or (ticker.partition("-")[0] in self._series and self._in_shard(ticker))
        if (event := message.event_ticker) is None or not event.isascii():
            return True
        series = message.series_ticker or event.partition("-")[0]
        return event in self._events or (series in self._series and self._in_shard(event))

    def _in_shard(self, ticker: str) -> bool:
        return partition_of(ticker.encode("ascii"), self._shard_count) == self._shard_id
