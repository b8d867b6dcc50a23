"""What a producer appends to a raw topic: frames as received, and its own notices, under the headers of the catalogue.

A record with a key goes where the partitioner puts the key. A frame without a key goes to partition 0 by name, and a
beat goes to every partition by name, so that nothing depends on how a client spreads keyless records.
"""

from typing import Literal, NamedTuple

from topics import catalog
from topics.codec import encode
from topics.events import BeatNotice, CoverageNotice, GapNotice
from topics.log import Queue
from topics.units import NS_PER_MS

ClockName = Literal["wall", "tape"]
Notice = BeatNotice | CoverageNotice | GapNotice

PARTITION_OF_KEYLESS = 0
PENDING_MAX = 80_000  # 80 % of the appender's queue: past it the socket is read no further

_Header = tuple[str, bytes]


class Outgoing(NamedTuple):
    """One record to append.

    value: a frame's bytes, or a notice that is not encoded yet.
    key: the market ticker that the frame names, None for control frames and beats.
    received_ns: the producer's clock.
    sid_ns: on snapshots, the latest exchange time that their subscription had shown before; None if none.
    headers: what this source says of a frame beside the common ones.
    """

    value: bytes | Notice
    key: bytes | None
    received_ns: int
    sid_ns: int | None = None
    headers: tuple[_Header, ...] = ()


class Publisher:
    """Appends what one connection received to `topic`, in the order of the calls.

    source, conn, clock: constant headers. partitions: how many the topic has; each gets every beat.
    """

    def __init__(
        self, appender: Queue, *, topic: str, partitions: int, source: str, conn: str, clock: ClockName
    ) -> None:
        self.conn = conn
        self._appender = appender
        self._topic = topic
        self._partitions = partitions
        self._source = source
        self._clock = clock
        self._source_header: _Header = (catalog.H_SOURCE, source.encode("ascii"))
        self._frame_header: _Header = (catalog.H_KIND, b"frame")
        self._clock_header: _Header = (catalog.H_CLOCK, clock.encode("ascii"))
        self._conn_header: _Header = (catalog.H_CONN, conn.encode("ascii"))
        self._schema_header: _Header = (catalog.H_SCHEMA, b"%d" % catalog.SCHEMA_VERSION)

    def of_conn(self, conn: str) -> "Publisher":
        """The same publisher in the name of another connection."""
        return Publisher(
            self._appender,
            topic=self._topic,
            partitions=self._partitions,
            source=self._source,
            conn=conn,
            clock=self._clock,
        )

    def put(self, out: Outgoing) -> None:
        """Append one record. Raises Undelivered, and BadRecord(`too_large`) for more bytes than the log accepts."""
        value = out.value
        if not isinstance(value, bytes):
            self._put_notice(value, out)
            return
        headers = self._headers(self._frame_header, out.received_ns)
        if out.sid_ns is not None:
            headers.append((catalog.H_SID_NS, b"%d" % out.sid_ns))
        headers += out.headers
        self._appender.append(
            self._topic,
            value,
            key=out.key,
            partition=PARTITION_OF_KEYLESS if out.key is None else None,
            headers=headers,
            timestamp_ms=out.received_ns // NS_PER_MS,
        )

    def crowded(self) -> bool:
        """Whether so much waits for the broker that nothing more should be read."""
        return self._appender.pending() > PENDING_MAX

    def poll(self) -> None:
        """Let delivery errors surface. Raises Undelivered."""
        self._appender.poll()

    def _put_notice(self, notice: Notice, out: Outgoing) -> None:
        kind = _KINDS[type(notice)]
        partitions = range(self._partitions) if kind == b"beat" else (None,)
        value = encode(notice)
        for partition in partitions:
            self._appender.append(
                self._topic,
                value,
                key=out.key,
                partition=partition,
                headers=self._headers((catalog.H_KIND, kind), out.received_ns),
                timestamp_ms=out.received_ns // NS_PER_MS,
            )

    def _headers(self, kind: _Header, received_ns: int) -> list[_Header]:
        return [
            self._source_header,
            kind,
            (catalog.H_RECEIVED_NS, b"%d" % received_ns),
            self._clock_header,
            self._conn_header,
            self._schema_header,
        ]


_KINDS: dict[type[Notice], bytes] = {BeatNotice: b"beat", CoverageNotice: b"coverage", GapNotice: b"gap"}
