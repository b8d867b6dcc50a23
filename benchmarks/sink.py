"""Our sink, from Kafka to committed rows, against raw `insert_arrow` of prebuilt batches into the same store.

    .venv/bin/python benchmarks/sink.py [--events 300000] [--rounds 3]

Both write the columns of `raw_records`, 50,000 rows a batch, over the store's HTTP. The sink also reads Kafka, builds
the Arrow columns, looks whether the rows are there, reads them back and writes its commit rows; the raw insert does none of it.
"""

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

import structlog

from sinks import rows
from sinks.tables import Tables
from sinks.writer import SinkWriter
from tapefold import wiring
from tapefold.local.kafka import LocalKafka
from tapefold.local.store.process import LocalStore
from tapefold.settings import load_settings
from topics.catalog import CODE_VERSION, RAW_KALSHI_WS
from topics.kafka import KafkaLog
from topics.log import Record

BATCH_ROWS = 50_000
VALUE = (
    b'{"type":"orderbook_delta","sid":1,"seq":%d,"msg":{"market_ticker":"KXHIGHNY-26NOV21-B50.5","market_id":'
    b'"4f5c2e39-5132-4147-ba3f-b3485ad89427","price_dollars":"0.3200","delta_fp":"-46.02","side":"no",'
    b'"ts":"2026-11-21T03:45:40.722003Z","ts_ms":1785901540722}}'
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(prefix="tapefold-bench-") as folder:
        state_dir = Path(folder)
        with LocalKafka(state_dir) as broker, LocalStore(state_dir) as store:
            log, tables = KafkaLog(broker.address.bootstrap), Tables(store.address.url)
            wiring.migrate(load_settings(), log, tables)
            records = fill(log, given.events)
            rates: dict[str, list[float]] = {"raw insert_arrow": [], "sink": []}
            for number in range(given.rounds):
                rates["raw insert_arrow"].append(given.events / raw_seconds(tables, records, number))
                rates["sink"].append(given.events / sink_seconds(log, tables, number))
            for name, values in rates.items():
                print(f"{name:18} {statistics.median(values):>10,.0f} rows/s  (of {[round(v) for v in values]})")
            ratio = statistics.median(rates["sink"]) / statistics.median(rates["raw insert_arrow"])
            print(f"sink / raw insert_arrow = {ratio:.2f}  (target 0.5)")


def fill(log: KafkaLog, events: int) -> list[Record]:
    appender = log.appender()
    started_ms = wiring.now_ms()
    made = []
    for number in range(events):
        stamp_ms = started_ms + number // 100
        headers = (
            ("source", b"kalshi.ws"),
            ("kind", b"frame"),
            ("received_ns", b"%d" % (stamp_ms * 1_000_000)),
            ("clock", b"wall"),
            ("conn", b"6163a832bcb7e540"),
            ("schema", b"1"),
        )
        value, key = VALUE % number, b"KXHIGHNY-26NOV21-B%d.5" % (number % 40)
        appender.append(RAW_KALSHI_WS, value, key=key, headers=headers, timestamp_ms=stamp_ms)
        made.append(Record(RAW_KALSHI_WS, 9, number, stamp_ms, key, headers, value))
    appender.flush()
    return made


def raw_seconds(tables: Tables, records: list[Record], number: int) -> float:
    tables.command(f"CREATE TABLE tapefold.raw_bench_{number} AS tapefold.raw_records")
    batches = [
        rows.bronze_table(records[first : first + BATCH_ROWS], {}) for first in range(0, len(records), BATCH_ROWS)
    ]
    begun = time.perf_counter()
    for index, batch in enumerate(batches):
        tables.insert_arrow(f"raw_bench_{number}", batch, f"bench-{number}-{index}")
    seconds = time.perf_counter() - begun
    counted = tables.query_rows(f"SELECT count() FROM tapefold.raw_bench_{number}").rows[0][0]
    assert counted == len(records), f"expected {len(records)} rows, were {counted}"
    return seconds


def sink_seconds(log: KafkaLog, tables: Tables, number: int) -> float:
    tables.command("TRUNCATE TABLE tapefold.raw_records")
    writer = SinkWriter(
        log,
        tables,
        [RAW_KALSHI_WS],
        now_ns=wiring.now_ns,
        logger=structlog.get_logger(),
        code_version=CODE_VERSION,
        sink=f"bench-{number}",
        batch_rows_max=BATCH_ROWS,
    )
    stop = threading.Event()
    thread = threading.Thread(target=writer.run, args=(stop,))
    total = sum(mark.high for mark in log.watermarks([RAW_KALSHI_WS]).values())
    begun = time.perf_counter()
    thread.start()
    while sum(writer.positions().values()) < total:
        time.sleep(0.005)
    seconds = time.perf_counter() - begun
    stop.set()
    thread.join()
    return seconds


if __name__ == "__main__":
    main()
