"""Our sink against raw `insert_arrow` of the same rows in the same batches, and against a plain consumer.

    .venv/bin/python benchmarks/sink.py [--events 300000] [--rounds 3]

In turn, round by round, medians:
- raw insert_arrow: prebuilt Arrow batches of 50,000 rows into a copy of `raw_records`; no Kafka, nothing else.
- raw, sink's settings: the same, with the settings that the sink inserts bronze with (optimize_on_insert off).
- sink, same batches: the same prebuilt batches through the protocol: intent, insert, read-back of every byte, commit.
- sink from Kafka: the whole sink, reading and building included, until the last commit.
- plain from Kafka: consume, insert lists of rows, commit the group's offsets; proves nothing.
"""

import argparse
import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import clickhouse_connect
import confluent_kafka
import structlog

from sinks import rows
from sinks.batch import Share
from sinks.delivery import Batch, Delivery
from sinks.evolution import OUR_SCHEMA
from sinks.protocol import Finished, begin, step
from sinks.rows import Built
from sinks.tables import Tables
from sinks.writer import SinkWriter
from tapefold import migrating, wiring
from tapefold.local.kafka import LocalKafka
from tapefold.local.store.process import LocalStore
from tapefold.services_sink import SINK_AHEAD_KBYTES
from tapefold.settings import load_settings
from topics.catalog import CODE_VERSION, RAW_KALSHI_WS
from topics.failpoint import nothing
from topics.kafka import KafkaLog
from topics.log import Record, stretches_of

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
    wiring.prefer_throughput()  # as the sink's own process does; for all contestants alike
    with tempfile.TemporaryDirectory(prefix="tapefold-bench-") as folder:
        state_dir = Path(folder)
        with LocalKafka(state_dir) as broker, LocalStore(state_dir) as store:
            log = KafkaLog(broker.address.bootstrap, ahead_kbytes=SINK_AHEAD_KBYTES)
            tables = Tables(store.address.url)
            migrating.migrate(load_settings(), log, tables)
            batches = prebuilt(fill(log, given.events))
            contestants = {
                "raw insert_arrow": lambda number: raw_seconds(tables, batches, number),
                "raw, sink's settings": lambda number: raw_seconds(tables, batches, number, distinct=True),
                "sink, same batches": lambda number: protocol_seconds(log, tables, batches, number),
                "sink from Kafka": lambda number: sink_seconds(log, tables, number),
                "plain from Kafka": lambda number: plain_seconds(
                    broker.address.bootstrap, tables, given.events, number
                ),
            }
            rates: dict[str, list[float]] = {name: [] for name in contestants}
            for number in range(given.rounds):
                for name, seconds in contestants.items():
                    rates[name].append(given.events / seconds(number))
            raw = statistics.median(rates["raw insert_arrow"])
            for name, values in rates.items():
                middle = statistics.median(values)
                print(
                    f"{name:20} {middle:>10,.0f} rows/s  {middle / raw:5.2f} of raw  (of {[round(v) for v in values]})"
                )


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


def prebuilt(records: list[Record]) -> list[Built]:
    return [
        rows.build_stretches(stretches_of(records[first : first + BATCH_ROWS]), topic_ids={}, code_version=CODE_VERSION)
        for first in range(0, len(records), BATCH_ROWS)
    ]


def raw_seconds(tables: Tables, batches: list[Built], number: int, *, distinct: bool = False) -> float:
    tables.command(f"CREATE TABLE tapefold.raw_bench_{number} AS tapefold.raw_records")
    begun = time.perf_counter()
    for index, batch in enumerate(batches):
        rows_of_batch = batch.tables["raw_records"]
        tables.insert_arrow(f"raw_bench_{number}", rows_of_batch, f"bench-{number}-{index}", distinct=distinct)
    seconds = time.perf_counter() - begun
    tables.command(f"DROP TABLE tapefold.raw_bench_{number} SYNC")
    return seconds


def sink(log: KafkaLog, tables: Tables, name: str) -> SinkWriter:
    return SinkWriter(
        log,
        tables,
        [RAW_KALSHI_WS],
        now_ns=wiring.now_ns,
        logger=structlog.get_logger(),
        code_version=CODE_VERSION,
        owner=wiring.own_name(),
        sink=name,
        batch_rows_max=BATCH_ROWS,
    )


def protocol_seconds(log: KafkaLog, tables: Tables, batches: list[Built], number: int) -> float:
    tables.command("TRUNCATE TABLE tapefold.raw_records SYNC")
    delivery = Delivery(
        log,
        tables,
        sink=f"batches-{number}",
        now_ns=wiring.now_ns,
        logger=structlog.get_logger(),
        code_version=CODE_VERSION,
        hit=nothing,
        compatible=OUR_SCHEMA,
    )
    delivery.assign([RAW_KALSHI_WS])
    partition = (RAW_KALSHI_WS, 9)
    begun = time.perf_counter()
    for index, built in enumerate(batches):
        first = index * BATCH_ROWS
        end = first + len(built.hashes)
        shares = (Share(*partition, first, end, len(built.hashes), built.checksums[partition]),)
        state, command = begin(
            sink=f"batches-{number}",
            owner="bench",
            code=rows.CODE,
            number=index + 1,
            positions={partition: first},
            proposal=shares,
            tables=tuple(built.tables),
        )
        while not isinstance(command, Finished):
            state, command = step(state, delivery.execute(command, Batch(shares, built)), wiring.now_ns())
        assert command.outcome == "committed"
    return time.perf_counter() - begun


def sink_seconds(log: KafkaLog, tables: Tables, number: int) -> float:
    tables.command("TRUNCATE TABLE tapefold.raw_records SYNC")
    writer = sink(log, tables, f"bench-{number}")
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


def plain_seconds(bootstrap: str, tables: Tables, events: int, number: int) -> float:
    """As most would write it: a consumer group, `client.insert` of a list of rows, then `commit`."""
    tables.command(f"CREATE TABLE tapefold.plain_bench_{number} AS tapefold.raw_records")
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"plain-{number}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([RAW_KALSHI_WS])
    address = urlsplit(tables.url)
    client = clickhouse_connect.get_client(host=address.hostname, port=address.port, compress=False)
    names = ["_topic", "_topic_id", "_partition", "_offset", "_timestamp", "_key", "_headers", "value"]
    left = events
    while not (messages := consumer.consume(BATCH_ROWS, 1.0)):
        pass  # joining the group is not what is measured
    begun = time.perf_counter()
    while True:
        table = [
            (
                m.topic(),
                "",
                m.partition(),
                m.offset(),
                datetime.fromtimestamp(m.timestamp()[1] / 1000, UTC),
                m.key(),
                {name: value.decode() for name, value in m.headers()},
                m.value(),
            )
            for m in messages
        ]
        client.insert(f"tapefold.plain_bench_{number}", table, column_names=names)
        consumer.commit(asynchronous=False)
        left -= len(messages)
        if left <= 0:
            break
        messages = consumer.consume(BATCH_ROWS, 1.0)
    seconds = time.perf_counter() - begun
    consumer.close()
    client.close()
    tables.command(f"DROP TABLE tapefold.plain_bench_{number} SYNC")
    return seconds


if __name__ == "__main__":
    main()
