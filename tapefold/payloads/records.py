"""Recorded payloads as raw records, as their producer would have written them: parsed here, or appended to the log."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from producers.beat import LEASE_NS
from stream_processors.ingest import ingest
from tapefold.payloads.files import Payload, find, fingerprint
from tapefold.payloads.sources import Source
from topics import catalog
from topics.codec import encode
from topics.errors import Refused
from topics.events import BeatNotice
from topics.log import Appender, Record
from topics.units import NS_PER_MINUTE, NS_PER_MS, minute_of

_HEADER_CHARS_MAX = 64
_POLL_EVERY = 1_000
_FLUSH_S = 120.0

Print = Callable[[str], None]


class Origin(NamedTuple):
    """Where payloads come from. recorder: whoever stamped them; conn: names file and recorder on each fact."""

    source: str
    recorder: str
    conn: str


def origin_of(source: str, path: Path, recorder: str | None) -> Origin:
    """The recorder is the one named, else the folder that holds the file. Raises Refused for a name out of bounds."""
    name = recorder if recorder is not None else path.resolve().parent.name
    if not name.isascii() or not name.isprintable() or not 0 < len(name) <= _HEADER_CHARS_MAX:
        raise Refused(f"--recorder: expected 1 to {_HEADER_CHARS_MAX} printable ASCII characters, was {name!r}")
    return Origin(source, name, f"{name}:{fingerprint(path)}")


def headers_of(payload: Payload, origin: Origin, now_ns: int) -> tuple[tuple[str, bytes], ...]:
    """The raw record's headers. Nothing is invented about time.

    The recorder's stamp makes what it stamped `observed` by that recorder. Without one the time that the recording has
    reached stands in (`tape`, hence `assumed`), or the parser's own rule (`rule`, `assumed` likewise). A payload without
    any time is known from now on, by us.
    """
    received_ns, clock, recorder = _received(payload, origin, now_ns)
    conn = origin.conn if not payload.session else f"{origin.conn}-{payload.session}"
    return (
        (catalog.H_SOURCE, origin.source.encode("ascii")),
        (catalog.H_KIND, b"frame"),
        (catalog.H_RECEIVED_NS, b"%d" % received_ns),
        (catalog.H_CLOCK, clock),
        (catalog.H_CONN, conn.encode("ascii")),
        (catalog.H_RECORDER, recorder.encode("ascii")),
        *catalog.SCHEMA_HEADER,
        *payload.headers,
    )


def _received(payload: Payload, origin: Origin, now_ns: int) -> tuple[int, bytes, str]:
    if payload.stamped_ns is not None:
        return payload.stamped_ns, b"wall", origin.recorder
    if payload.reached_ns is not None:
        return payload.reached_ns, b"tape", origin.recorder
    return now_ns, b"rule" if payload.ruled else b"wall", "tapefold load"


def parse(
    name: str, source: Source, paths: Sequence[Path], recorder: str | None, *, now_ns: Callable[[], int], out: Print
) -> Counter[str]:
    """Print each fact and refusal as one line of JSON; returns how many records of each topic that made.

    A payload's cause counts the payloads of its file from 0.
    """
    counts: Counter[str] = Counter()
    for path in find(paths, source.suffixes):
        origin = origin_of(name, path, recorder)
        for number, payload in enumerate(source.payloads(path)):
            headers = headers_of(payload, origin, now_ns())
            record = Record(source.topic, 0, number, 0, payload.key, headers, payload.value)
            counts["payloads"] += 1
            for output in ingest(source.topic, 0, 1, [record]):
                counts[output.topic] += 1
                key = "" if output.key is None else output.key.decode("utf-8", "backslashreplace")
                line = {"file": str(path), "topic": output.topic, "key": key}
                out(f'{json.dumps(line)[:-1]}, "value": {output.value.decode()}}}')
    return counts


def load(
    name: str,
    source: Source,
    paths: Sequence[Path],
    recorder: str | None,
    *,
    appender: Appender,
    partitions: int,
    now_ns: Callable[[], int],
) -> int:
    """Append every payload to the source's raw topic; returns how many, all of them confirmed by the log.

    Raises Undelivered, BadRecord (`too_large`), UnreadableFile: what was appended before that stays, and loading again
    tells the same facts again.
    """
    loaded = 0
    for path in find(paths, source.suffixes):
        origin = origin_of(name, path, recorder)
        ends: dict[bytes, int] = {}
        for payload in source.payloads(path):
            headers = headers_of(payload, origin, now_ns())
            stamps = dict(headers)
            received_ns, conn = int(stamps[catalog.H_RECEIVED_NS]), stamps[catalog.H_CONN]
            ends[conn] = max(received_ns, ends.get(conn, 0))
            appender.append(
                source.topic,
                payload.value,
                key=payload.key,
                partition=0 if payload.key is None else None,
                headers=headers,
                timestamp_ms=received_ns // NS_PER_MS,
            )
            loaded += 1
            if loaded % _POLL_EVERY == 0:
                appender.poll()
        if source.beats:
            for conn, end_ns in ends.items():
                _say_good_bye(source.topic, origin, conn, end_ns, appender=appender, partitions=partitions)
    appender.flush(_FLUSH_S)
    return loaded


def _say_good_bye(topic: str, origin: Origin, conn: bytes, end_ns: int, *, appender: Appender, partitions: int) -> None:
    """The recording's connection ends with its last minute: nobody waits for it, and its minutes close."""
    clock_ns = (minute_of(end_ns) + 1) * NS_PER_MINUTE
    notice = BeatNotice(source=origin.source, conn=conn.decode(), clock_ns=clock_ns, lease_ns=LEASE_NS, bye=True)
    headers = (
        (catalog.H_SOURCE, origin.source.encode("ascii")),
        (catalog.H_KIND, b"beat"),
        (catalog.H_RECEIVED_NS, b"%d" % clock_ns),
        (catalog.H_CLOCK, b"tape"),
        (catalog.H_CONN, conn),
        *catalog.SCHEMA_HEADER,
    )
    for partition in range(partitions):
        appender.append(topic, encode(notice), partition=partition, headers=headers, timestamp_ms=clock_ns // NS_PER_MS)
