"""Wires the parts: addresses, clocks, chance, logs. The only module that reads the wall clock."""

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import random
import secrets
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog

from producers.metrics import OnMetric
from tapefold.local import kafka as local_kafka
from tapefold.settings import Settings
from topics import catalog
from topics.errors import Refused, SettingsError, Unavailable
from topics.failpoint import Hit
from topics.failpoint import failpoints as make_failpoints
from topics.kafka import AHEAD_KBYTES, KafkaLog

FAILPOINT_EXIT = 9  # as if killed; nothing is flushed, closed or said
_M_ARENA_MAX = -8  # of glibc's malloc.h


def now_ns() -> int:
    """The wall clock, nanoseconds since the epoch."""
    return time.time_ns()  # noqa: TID251  # the one place


def now_ms() -> int:
    """The wall clock, milliseconds since the epoch."""
    return time.time_ns() // 1_000_000  # noqa: TID251  # the one place


def system_random() -> random.Random:
    """Chance for jitter and connection ids."""
    return random.Random(secrets.randbits(64))  # noqa: S311  # spreads retries, guards nothing


def own_name() -> str:
    """A name for this process that no other has or had."""
    return f"{socket.gethostname()}-{secrets.token_hex(6)}"


def failpoints(settings: Settings) -> Hit:
    """What to call at named places: nothing, unless TAPEFOLD_FAILPOINT says where this process is to die."""
    try:
        return make_failpoints(settings.tapefold_failpoint, lambda: os._exit(FAILPOINT_EXIT))
    except ValueError as error:
        raise SettingsError(f"TAPEFOLD_FAILPOINT: {error}") from error


def prefer_throughput() -> None:
    """For a service that holds hundreds of thousands of short-lived tuples, none in a cycle, in one of two threads.

    Python would look through all of them again and again: measured, that is half the time of reading the log. And the
    thread that speaks with the store would wait 5 ms for its turn after each piece of an answer.
    """
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
    sys.setswitchinterval(0.0005)


def prefer_few_heaps() -> None:
    """For a service whose threads hand large values to each other; to be called before they are started.

    Glibc gives each thread a heap of its own, up to eight a processor, and keeps in each what was freed there (mallopt(3)).
    """
    with contextlib.suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def configure_logging(settings: Settings, service: str) -> None:
    """JSON lines on stderr, tagged with the service; `metric=` lines come the same way."""
    level = logging.getLevelNamesMapping().get(settings.log_level.upper())
    if level is None:
        raise SettingsError(f"LOG_LEVEL: expected DEBUG, INFO, WARNING or ERROR, was {settings.log_level!r}")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(service=settings.service_role or service)
    logging.basicConfig(
        level=max(level, logging.WARNING),
        stream=sys.stderr,
        format='{"level":"%(levelname)s","logger":"%(name)s","event":"%(message)s"}',
    )


def open_log(settings: Settings, state_dir: Path, *, ahead_kbytes: int = AHEAD_KBYTES) -> KafkaLog:
    """The log: the cluster of KAFKA_BOOTSTRAP, else the embedded broker that runs in the state folder.

    ahead_kbytes: see `KafkaLog`.
    """
    if settings.kafka_bootstrap:
        return KafkaLog(settings.kafka_bootstrap, settings.kafka_options(), ahead_kbytes=ahead_kbytes)
    address = local_kafka.running(state_dir)
    if address is None:
        raise Unavailable("the broker", f"none runs in {state_dir}; start `tapefold up`, or set KAFKA_BOOTSTRAP")
    return KafkaLog(address.bootstrap, ahead_kbytes=ahead_kbytes)


def partitions_of(log: KafkaLog) -> int:
    """The partition count that `migrate` froze. Raises Refused before it."""
    partitions = log.partition_counts().get(catalog.RAW_KALSHI_WS)
    if partitions is None:
        raise Refused("the topics are not there; run `tapefold migrate`")
    return partitions


def log_id(log: KafkaLog, topics: Sequence[str]) -> str:
    """Which log this is, for files that speak of it: the cluster's id and each topic's, new when a topic is made anew."""
    cluster, ids = log.identity(topics)
    return "/".join([cluster, *(ids[topic] for topic in topics)])


def metrics_to_log(service: str) -> OnMetric:
    """What a producer tells of itself, as `metric=` lines; `total` counts those of one name, so that storms show."""
    logger = structlog.get_logger(service)
    totals: Counter[str] = Counter()

    def on_metric(name: str, **fields: object) -> None:
        totals[name] += 1
        logger.info("metric", metric=name, total=totals[name], **fields)

    return on_metric


def stop_of_loop() -> asyncio.Event:
    """An event of the running loop that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; a second one interrupts whatever does not look at the event."""
    stop = threading.Event()

    def ask(*_: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
