"""What a TWS session appends to `raw.tws`: messages as they came, with the request they answer to, and its own notices."""

from collections import OrderedDict

from producers.beat import Beater, Running
from producers.publish import PARTITION_OF_KEYLESS, Outgoing, Publisher
from producers.tws import tap
from producers.tws.tap import Message
from topics import catalog
from topics.codec import encode
from topics.log import Appender
from topics.tws import TwsOutageNotice, TwsRequest, TwsUnitNotice
from topics.units import NS_PER_MS

SOURCE = "tws"
REQUESTS_KEPT = 10_000  # an answer that comes later than so many others has lost its request, and is refused as such

_Header = tuple[str, bytes]


class Recorder:
    """Appends in the order of the calls. conn: the connection's name. partitions: of `raw.tws`, each gets every beat."""

    def __init__(self, appender: Appender, clock: Running, *, conn: str, partitions: int) -> None:
        self.conn = conn
        self.messages = 0
        self.server = b""
        self._appender = appender
        self._clock = clock
        self._publisher = Publisher(
            appender, topic=catalog.RAW_TWS, partitions=partitions, source=SOURCE, conn=conn, clock=clock.name
        )
        self._beater = Beater(SOURCE, conn)
        self._requests: OrderedDict[int, TwsRequest] = OrderedDict()
        self._latest: dict[int, bytes] = {}

    def asked(self, req_id: int, request: TwsRequest) -> None:
        """Messages that bear this number answer to this request, however late they come."""
        self._requests[req_id] = request
        while len(self._requests) > REQUESTS_KEPT:
            self._latest.pop(self._requests.popitem(last=False)[0], None)

    def now_ns(self) -> int:
        """The clock of receive stamps."""
        return self._clock.now_ns()

    def message(self, message: Message, received_ns: int) -> None:
        """Append one message. Raises Undelivered, and BadRecord for more bytes than the log accepts."""
        headers: list[_Header] = [(catalog.H_FORMAT, b"wire"), (catalog.H_SERVER, self.server)]
        req_id, request = message.req_id, None
        if req_id is not None and (request := self._requests.get(req_id)) is not None:
            headers += [(catalog.H_REQUEST, encode(request)), (catalog.H_REQ_ID, b"%d" % req_id)]
            if message.number == tap.UPDATE:
                if (before := self._latest.get(req_id)) is not None:
                    headers.append((catalog.H_PREVIOUS, before))
                self._latest[req_id] = message.body
        self._append(b"frame", message.body, None if request is None else request.symbol, received_ns, headers)
        self.messages += 1

    def unit(self, notice: TwsUnitNotice) -> None:
        """Append how a fetch ended."""
        self._append(b"unit", encode(notice), notice.request.symbol, self.now_ns())

    def outage(self, notice: TwsOutageNotice) -> None:
        """Append the beginning or the end of an outage."""
        self._append(b"outage", encode(notice), None, self.now_ns())

    def beat(self, *, bye: bool = False) -> None:
        """Say that we live, or that this connection is gone for good."""
        clock_ns = self.now_ns()
        beat = self._beater.bye if bye else self._beater.beat
        self._publisher.put(Outgoing(beat(clock_ns, None), None, clock_ns))

    def _append(
        self, kind: bytes, value: bytes, symbol: str | None, received_ns: int, headers: list[_Header] | None = None
    ) -> None:
        told: list[_Header] = [
            (catalog.H_SOURCE, SOURCE.encode()),
            (catalog.H_KIND, kind),
            (catalog.H_RECEIVED_NS, b"%d" % received_ns),
            (catalog.H_CLOCK, self._clock.name.encode()),
            (catalog.H_CONN, self.conn.encode()),
            *catalog.SCHEMA_HEADER,
            *(headers or ()),
        ]
        self._appender.append(
            catalog.RAW_TWS,
            value,
            key=None if symbol is None else symbol.encode(),
            partition=PARTITION_OF_KEYLESS if symbol is None else None,
            headers=told,
            timestamp_ms=received_ns // NS_PER_MS,
        )
