"""Quix Streams as its manual makes bars: a tumbling window of one minute, `reduce`, every update emitted.

A window belongs to a record's key, here the join domain, so it holds one bar for each of the domain's markets; its time
is the exchange's. State in RocksDB with its changelog topic.
"""

import datetime as dt
import logging
import os

import arguments
import orjson
from bar import NS_PER_MS, Sums
from quixstreams import Application


def main() -> None:
    given = arguments.parse()
    sums = Sums(given.records)
    app = Application(
        broker_address=given.bootstrap,
        consumer_group="bench-quix-windows",
        auto_offset_reset="earliest",
        state_dir=given.state_dir,
        producer_extra_config={"compression.type": "lz4"},
        loglevel=logging.ERROR,
    )
    source = app.topic("fact.trade", value_deserializer="bytes", timestamp_extractor=exchange_ms)

    def is_trade(value: bytes) -> bool:
        """Beats are counted, and go no further: they have no key, and a window wants one."""
        if b'"type":"trade"' in value:
            return True
        end_at_last(sums)
        return False

    def first(trade: dict) -> dict:
        return {trade["market_ticker"]: sums.fold(None, trade)}

    def further(bars: dict, trade: dict) -> dict:
        market = trade["market_ticker"]
        bars[market] = sums.fold(bars.get(market), trade)
        return bars

    windows = (
        app.dataframe(source)
        .filter(is_trade)
        .apply(orjson.loads)
        .tumbling_window(dt.timedelta(minutes=1), grace_ms=dt.timedelta(seconds=5))
        .reduce(reducer=further, initializer=first)
        .current()
    )
    windows.update(lambda _: end_at_last(sums))
    app.run()


def exchange_ms(value: bytes, _headers: object, timestamp_ms: float, _kind: object) -> int:
    """The trade's own time, which the bytes hold; a beat's does not matter."""
    at = value.find(b'"event_ns":')
    return int(timestamp_ms) if at < 0 else int(value[at + 11 : at + 30]) // NS_PER_MS


def end_at_last(sums: Sums) -> None:
    """Count one record; after the last one, say what came of it."""
    if sums.count():
        print(sums.result_line(), flush=True)
        os._exit(0)


if __name__ == "__main__":
    main()
