"""Quix Streams: a stateful callback on the stream, state in RocksDB with its changelog topic.

Its tumbling windows belong to a record's key, here the join domain with five markets; `group_by` would write every
record once more. So the bars live in the state of the key, one entry per bar: faster, and the same bars.
"""

import logging
import os

import arguments
import orjson
from bar import Sums, key_of
from quixstreams import Application, State


def main() -> None:
    given = arguments.parse()
    sums = Sums(given.records)
    app = Application(
        broker_address=given.bootstrap,
        consumer_group="bench-quix",
        auto_offset_reset="earliest",
        state_dir=given.state_dir,
        producer_extra_config={"compression.type": "lz4"},
        loglevel=logging.ERROR,
    )
    source = app.topic("fact.trade", value_deserializer="bytes")
    # Keyed by string where a key is; beats have none.
    stream = app.dataframe(source)

    def fold(value: bytes, state: State) -> None:
        trade = orjson.loads(value)
        if trade["type"] == "trade":
            key = key_of(trade)
            state.set(key, sums.fold(state.get(key), trade))
        if sums.count():
            print(sums.result_line(), flush=True)
            os._exit(0)

    stream.update(fold, stateful=True)
    app.run()


if __name__ == "__main__":
    main()
