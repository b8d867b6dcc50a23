"""Plain Faust, as its documentation shows it: one event at a time, a table in RocksDB with its changelog topic."""

import os
import sys

import arguments
import faust
import orjson
from bar import Sums, key_of

arguments_ = arguments.parse()
sums = Sums(arguments_.records)
app = faust.App(
    "bench-faust",
    broker=f"kafka://{arguments_.bootstrap}",
    datadir=str(arguments_.state_dir),
    store="rocksdb://",
    topic_partitions=4,
    consumer_auto_offset_reset="earliest",
    broker_max_poll_records=5000,  # its default is 500; more records per fetch is the faster choice
    stream_buffer_maxsize=16_384,
    producer_compression_type="lz4",
    web_enabled=False,
)
source = app.topic("fact.trade", key_type=bytes, value_type=bytes, value_serializer="raw")
# A table has no type for plain lists: without one they pass as the JSON they are.
bars = app.Table("bars", key_type=str, partitions=4, options={"driver": "rocksdict"})


@app.agent(source)
async def fold(stream):
    async for value in stream:
        trade = orjson.loads(value)
        if trade["type"] == "trade":
            key = key_of(trade)
            bars[key] = sums.fold(bars.get(key), trade)
        if sums.count():
            # Faust takes sys.stdout for its logger, and leaves a terminal sequence at the start of the line.
            os.write(1, b"\n" + sums.result_line().encode() + b"\n")
            os._exit(0)


if __name__ == "__main__":
    sys.argv[1:] = []
    faust.Worker(app, loglevel="WARN", quiet=True).execute_from_commandline()
