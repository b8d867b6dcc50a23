"""bytewax: its Kafka source in batches of 5,000, a stateful map, one worker; with its recovery store, or without.

The recovery store takes a snapshot of the changed bars and of the source's offsets once a second.
"""

import os
import sys
from datetime import timedelta

import arguments
import bytewax.operators as op
import orjson
from bar import Sums, key_of
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import run_main

EPOCH_INTERVAL = timedelta(seconds=1)
BATCH_SIZE = 5_000


def dataflow(bootstrap: str, sums: Sums) -> Dataflow:
    """Kafka -> decoded trades by bar -> bars."""

    def by_bar(message):
        trade = orjson.loads(message.value)
        if trade["type"] != "trade":
            sums.count()
            return None
        return key_of(trade), trade

    def fold(bar, trade):
        bar = sums.fold(bar, trade)
        sums.count()
        return bar, None

    def to_nothing(_step, _item):
        return None

    flow = Dataflow("bench")
    source = KafkaSource([bootstrap], ["fact.trade"], starting_offset=-2, tail=False, batch_size=BATCH_SIZE)
    records = op.input("in", flow, source)
    keyed = op.filter_map("by_bar", records, by_bar)
    folded = op.stateful_map("bars", keyed, fold)
    changed = op.filter("changed", folded, lambda item: item[1] is not None)
    op.inspect("out", changed, to_nothing)
    return flow


def main() -> None:
    recovery = sys.argv.pop(1)
    given = arguments.parse()
    sums = Sums(given.records)
    flow = dataflow(given.bootstrap, sums)
    if recovery == "recovery":
        init_db_dir(given.state_dir, 1)
        run_main(flow, epoch_interval=EPOCH_INTERVAL, recovery_config=RecoveryConfig(str(given.state_dir)))
    else:
        run_main(flow, epoch_interval=EPOCH_INTERVAL)
    print(sums.result_line(), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
