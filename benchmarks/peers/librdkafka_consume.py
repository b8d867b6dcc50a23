"""Raw librdkafka: take the records and count them. Nothing is decoded: the ceiling of any Python reader here.

librdkafka_consume.py RECORDS_PER_CALL --bootstrap ...
"""

import json
import sys
import time

import arguments
import confluent_kafka


def main() -> None:
    per_call = int(sys.argv.pop(1))
    given = arguments.parse()
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": given.bootstrap,
            "group.id": "bench-librdkafka",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 4 * 1024 * 1024,
            "queued.max.messages.kbytes": 262_144,
            "fetch.queue.backoff.ms": 20,  # the default pauses for 1 s whenever 100,000 messages wait: a third of the rate
        }
    )
    consumer.subscribe(["fact.trade"])
    records = size_bytes = 0
    started_s = 0.0
    while records < given.records:
        messages = consumer.consume(per_call if records else 1, 0.05)
        if messages and not started_s:
            started_s = time.perf_counter()
        for message in messages:
            if message.error() is None:
                size_bytes += len(message.value())
                records += 1
    seconds = time.perf_counter() - started_s
    print("RESULT " + json.dumps({"seconds": seconds, "checksum": None, "bytes": size_bytes}), flush=True)
    consumer.close()


if __name__ == "__main__":
    main()
