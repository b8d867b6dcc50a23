"""What is known of the markets and what is still to be asked for each. Pure: times are arguments, in Unix seconds.

A market is `done` when it is final, and its trades and candles were fetched after that. What is fetched is noted only
after the log has confirmed it, so that a crash repeats a unit and never skips one.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Raw, Struct

from producers.kalshi.rest.pages import Listing

PAGE_LIMIT = 1_000
EVENTS_LIMIT = 200
OVERLAP_S = 60  # an answer may be 15 s old, and times of trades are cut to seconds in the filter
LOOK_BACK_S = 3 * 86_400  # discovery lists what closes after this long ago: outcomes come a day later, disputes two
CANDLES_MAX = 4_000  # a request; the limit is 5,000
_FINAL = "finalized"


class Known(Struct):
    """One market. trades_to_s: trades up to here are on the log; None: none yet. candles: fetched after it was final.

    volume: contracts traded, as the market itself said last; None where it did not say.
    """

    series_ticker: str
    open_s: int
    close_s: int
    status: str
    trades_to_s: int | None = None
    candles: bool = False
    trades_final: bool = False
    volume: str | None = None

    @property
    def final(self) -> bool:
        """Whether its outcome changes no more."""
        return self.status == _FINAL

    @property
    def done(self) -> bool:
        """Whether nothing is left to ask."""
        return self.final and self.trades_final and self.candles


class Cutoff(Struct):
    """Before these Unix seconds the historical endpoints answer: markets by settlement, trades by creation."""

    markets_s: int = 0
    trades_s: int = 0


class Checkpoint(Struct):
    """What survives a restart: all markets by ticker. kalshi_series_sync: how the last listing of each series ended.

    log: on which all that is noted stands; empty in files that do not say.
    """

    markets: dict[str, Known] = {}
    kalshi_series_sync: dict[str, Literal["done", "failed"]] = {}
    log: str = ""


class _Market(Struct):
    ticker: str
    status: str
    open_time: str
    close_time: str
    volume_fp: str | None = None
    volume: int | str | None = None

    def contracts(self) -> str | None:
        """What was traded, as text of either era."""
        said = self.volume if self.volume_fp is None else self.volume_fp
        return None if said is None else str(said)


class _Traded(Struct):
    trade_id: str
    count_fp: str | None = None
    count: int | str | None = None


class _Trades(Struct):
    trades: list[_Traded]


class _Candles(Struct):
    candlesticks: list[Raw]


class _Cutoff(Struct):
    market_settled_ts: str
    trades_created_ts: str


def seen(checkpoint: Checkpoint, series_ticker: str, raws: list[Raw]) -> list[str]:
    """Take the markets of a whole listing; returns those that are new. Raises msgspec.ValidationError, ValueError."""
    new = []
    for market in [msgspec.json.decode(raw, type=_Market) for raw in raws]:
        before = checkpoint.markets.get(market.ticker)
        if before is None:
            checkpoint.markets[market.ticker] = Known(
                series_ticker, _seconds(market.open_time), _seconds(market.close_time), market.status
            )
            new.append(market.ticker)
        else:
            before.status, before.close_s = market.status, _seconds(market.close_time)
        checkpoint.markets[market.ticker].volume = market.contracts()
    return new


def readable(raw: Raw) -> bool:
    """Whether a market's times can be read: True. Raises msgspec.ValidationError, ValueError where they cannot."""
    market = msgspec.json.decode(raw, type=_Market)
    return _seconds(market.open_time) is not None and _seconds(market.close_time) is not None


def closing_within(raw: Raw, from_s: int, to_s: int) -> bool:
    """Whether a market of a listing closes in [from_s, to_s). Raises msgspec.ValidationError, ValueError."""
    return from_s <= _seconds(msgspec.json.decode(raw, type=_Market).close_time) < to_s


def cutoff_of(body: bytes) -> Cutoff:
    """The line between live and historical. Raises msgspec.MsgspecError, ValueError."""
    said = msgspec.json.decode(body, type=_Cutoff)
    return Cutoff(_seconds(said.market_settled_ts), _seconds(said.trades_created_ts))


def current_markets(series_ticker: str, now_s: int, *, limit: int = PAGE_LIMIT) -> Listing:
    """All markets of a series that are open, will open, or closed lately."""
    params: dict[str, str | int] = {
        "series_ticker": series_ticker, "limit": limit, "min_close_ts": now_s - LOOK_BACK_S,
    }  # fmt: skip
    return Listing("/markets", "markets", params)


def past_markets(series_ticker: str, from_s: int, to_s: int, *, limit: int = PAGE_LIMIT) -> tuple[Listing, Listing]:
    """All markets of a series that closed in [from_s, to_s): the live part, and the historical one, which has no filter."""
    live: dict[str, str | int] = {
        "series_ticker": series_ticker, "limit": limit, "min_close_ts": from_s, "max_close_ts": to_s,
    }  # fmt: skip
    old: dict[str, str | int] = {"series_ticker": series_ticker, "limit": limit}
    return Listing("/markets", "markets", live), Listing("/historical/markets", "markets", old)


def events(series_ticker: str, min_close_s: int, *, limit: int = EVENTS_LIMIT) -> Listing:
    """The events of a series whose markets close after `min_close_s`."""
    params: dict[str, str | int] = {
        "series_ticker": series_ticker, "limit": min(limit, EVENTS_LIMIT), "min_close_ts": min_close_s,
    }  # fmt: skip
    return Listing("/events", "events", params)


def trades(ticker: str, known: Known, cutoff: Cutoff, now_s: int, *, limit: int = PAGE_LIMIT) -> Listing:
    """The trades of a market since the last ones; all of them when there are none yet, or no more will come."""
    from_s = known.open_s if known.trades_to_s is None or known.final else known.trades_to_s - OVERLAP_S
    path = "/historical/trades" if known.close_s < cutoff.trades_s else "/markets/trades"
    params: dict[str, str | int] = {"ticker": ticker, "limit": limit, "min_ts": max(0, from_s), "max_ts": now_s}
    return Listing(path, "trades", params)


def adds_up(known: Known, pages: Sequence[bytes]) -> bool:
    """Whether the trades of a whole listing are as many contracts as the market says; true where it says nothing.

    Of 450 recorded weather markets (2024-11 to 2025-04) all do. Raises msgspec.ValidationError, ValueError.
    """
    if known.volume is None:
        return True
    trades_ = [trade for page in pages for trade in msgspec.json.decode(page, type=_Trades).trades]
    told = {t.trade_id: Decimal(t.count_fp if t.count_fp is not None else t.count or 0) for t in trades_}
    return sum(told.values()) == Decimal(known.volume)


def lacks_candles(known: Known, pages: Sequence[bytes]) -> bool:
    """Whether a market that traded was given no candle at all. Raises msgspec.ValidationError, ValueError."""
    told = [msgspec.json.decode(page, type=_Candles).candlesticks for page in pages]
    return not any(told) and known.volume is not None and Decimal(known.volume) > 0


def candles(ticker: str, known: Known, cutoff: Cutoff) -> list[str]:
    """The requests that bring all one-minute candles of a market's life."""
    if known.close_s < cutoff.markets_s:
        path = f"/historical/markets/{quote(ticker, safe='')}/candlesticks"
    else:
        path = f"/series/{quote(known.series_ticker, safe='')}/markets/{quote(ticker, safe='')}/candlesticks"
    step_s = CANDLES_MAX * 60
    return [
        f"{path}?{urlencode({'start_ts': at_s, 'end_ts': min(at_s + step_s, known.close_s), 'period_interval': 1})}"
        for at_s in range(known.open_s, known.close_s, step_s)
    ]


def overdue(checkpoint: Checkpoint, now_s: int) -> list[str]:
    """Markets that closed and are not final: their outcome is still to come, or came while nobody looked."""
    return sorted(t for t, known in checkpoint.markets.items() if known.close_s <= now_s and not known.final)


def due(checkpoint: Checkpoint, now_s: int) -> list[str]:
    """Markets whose trades are to be asked for: all that have opened and are not done, the least complete first."""
    waiting = [(t, k) for t, k in checkpoint.markets.items() if k.open_s <= now_s and not k.done]
    return [ticker for ticker, known in sorted(waiting, key=lambda item: (item[1].trades_to_s or 0, item[0]))]


def forget(checkpoint: Checkpoint, before_s: int) -> int:
    """Let markets go that were done before; returns how many. A later listing of the past would fetch them again."""
    gone = [
        ticker for ticker, known in checkpoint.markets.items() if known.done and (known.trades_to_s or 0) < before_s
    ]
    for ticker in gone:
        del checkpoint.markets[ticker]
    return len(gone)


def _seconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with a zone, was {text!r}")
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
