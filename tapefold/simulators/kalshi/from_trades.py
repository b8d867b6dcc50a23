"""Make a recording of WebSocket `trade` frames from REST trades: `python -m tapefold.simulators.kalshi.from_trades IN OUT`.

IN: JSON, plain or gzip, `{market_ticker: [trade, ...]}` as GET /markets/trades gave them before 2026-03-12 (integer
cents: `trade_id`, `ticker`, `count`, `created_time`, `yes_price`, `no_price`, `taker_side`), newest first.
OUT: gzip NDJSON, `{"recv_ms":..,"event":{"type":"trade",..}}` in the frame shape of after 2026-04-15, by time.

What is real: which trades, their ids, prices, sizes, taker sides and times (cut to milliseconds, as on the wire).
What is assumed: `recv_ms` is the exchange's own time, as if the network took none; `seq` counts from 1; the taker's
book side follows from the outcome (yes buys: `bid`, no: `ask`, as in recorded frames of August 2026). `is_block_trade`
is not in these REST bodies and is left out. There are no order books: they cannot be had from trades.
"""

import argparse
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOOK_SIDE = {"yes": "bid", "no": "ask"}
_GZIP_MAGIC = b"\x1f\x8b"


class RestTrade(msgspec.Struct, frozen=True):
    """One trade of the old REST shape: prices in whole cents, `count` in whole contracts."""

    trade_id: str
    ticker: str
    count: int
    created_time: datetime
    yes_price: int
    no_price: int
    taker_side: Literal["yes", "no"]


def read_trades(content: bytes) -> dict[str, list[RestTrade]]:
    """Decode the REST bodies, plain or gzip. Raises msgspec.ValidationError for another shape."""
    plain = gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content
    return msgspec.json.decode(plain, type=dict[str, list[RestTrade]])


def trade_lines(trades: Mapping[str, Sequence[RestTrade]]) -> list[bytes]:
    """NDJSON lines, oldest trade first; trades of one instant keep the order in which the exchange listed them."""
    oldest_first = [trade for market in trades.values() for trade in reversed(market)]
    oldest_first.sort(key=lambda trade: trade.created_time)
    return [_line(trade, seq) for seq, trade in enumerate(oldest_first, 1)]


def pack(lines: Iterable[bytes]) -> bytes:
    """The lines as a gzip file without time or name, so that equal lines give equal bytes."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        file.writelines(line + b"\n" for line in lines)
    return packed.getvalue()


def _line(trade: RestTrade, seq: int) -> bytes:
    ts_ms = (trade.created_time - _EPOCH) // timedelta(milliseconds=1)
    msg = {
        "trade_id": trade.trade_id,
        "market_ticker": trade.ticker,
        "yes_price_dollars": _dollars(trade.yes_price),
        "no_price_dollars": _dollars(trade.no_price),
        "count_fp": f"{trade.count}.00",
        "taker_side": trade.taker_side,
        "taker_outcome_side": trade.taker_side,
        "taker_book_side": _BOOK_SIDE[trade.taker_side],
        "ts": ts_ms // 1000,
        "ts_ms": ts_ms,
    }
    return msgspec.json.encode({"recv_ms": ts_ms, "event": {"type": "trade", "sid": 1, "seq": seq, "msg": msg}})


def _dollars(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}00"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; overwrites OUT."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("trades", type=Path, help="REST trades by market, JSON or gzip")
    parser.add_argument("out", type=Path, help="the recording to write, .ndjson.gz")
    asked = parser.parse_args(arguments)
    asked.out.write_bytes(pack(trade_lines(read_trades(asked.trades.read_bytes()))))


if __name__ == "__main__":
    main()
