"""What a request means: which call of the engine it becomes, and what the client is answered."""

import uuid
from collections.abc import Iterator

from tapefold.local.store.engine import Engine, Result, Session
from tapefold.local.store.faults import StoreFault
from tapefold.local.store.protocol import (
    STREAMED_FORMATS,
    Answer,
    Request,
    Stats,
    content_type,
    sql_name,
    summary,
)
from tapefold.local.store.statement import DEFAULT_FORMAT, Kind, Statement, plain_format, read_statement

# A data insert is known by its statement, which must stand within so much of the text; the rest can then come in
# pieces. As much as a server parses of a statement by default (setting max_query_size), and room for comments.
_HEAD_BYTES = 1 << 20

_SESSION_WORDS = ({"SET"}, {"USE"})


class Service:
    """Answers requests out of one engine; used by many threads at once.

    display_name: the header X-ClickHouse-Server-Display-Name.
    """

    def __init__(self, engine: Engine, display_name: str) -> None:
        self.engine = engine
        self._display_name = display_name

    def answer(self, request: Request, body: Iterator[bytes]) -> Answer:
        """Runs a request; raises StoreFault if it fails before the answer begins.

        body: what follows the query of the request. If it is not used up, the answer did not need it.
        The answer's pieces must be used up or closed, by which the engine's connection is given back.
        """
        text, rest = _begin(request.query, body)
        statement = read_statement(text)
        _refuse_session(request, statement)
        session = self.engine.session()
        streams = False
        try:
            self._prepare(session, request)
            if statement.kind is Kind.DATA_INSERT:
                return self._insert(session, request, statement, _joined(text[statement.data_at :], rest))
            chosen = plain_format(statement.format or request.default_format)
            streams = statement.kind is Kind.SELECT and chosen in STREAMED_FORMATS
            if streams:
                return self._stream(session, request, statement, chosen)
            return self._run(session, request, statement)
        finally:
            if not streams:
                session.close()

    def headers(self, request: Request | None, format_name: str = DEFAULT_FORMAT) -> dict[str, str]:
        """The headers that each answer has."""
        timezone = request.settings.get("session_timezone") if request else None
        query_id = (request.query_id if request else None) or str(uuid.uuid4())
        return {
            "Content-Type": content_type(format_name),
            "X-ClickHouse-Server-Display-Name": self._display_name,
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Format": format_name,
            "X-ClickHouse-Timezone": timezone.decode(errors="replace") if timezone else self.engine.timezone,
        }

    def _prepare(self, session: Session, request: Request) -> None:
        session.configure(request.database, request.settings, request.params)
        for table in request.externals:
            structure = table.structure.encode(errors="surrogateescape")
            session.run(b"CREATE TEMPORARY TABLE %b (%b)" % (sql_name(table.name), structure), DEFAULT_FORMAT)
            session.insert(b"INSERT INTO " + sql_name(table.name), table.format, [table.content], lasting=False)
        # Set last, because it would refuse the temporary tables. 2 lets the statement still have settings of its own.
        if request.readonly and request.settings.get("readonly", b"0") == b"0":
            session.configure(None, {"readonly": b"2"}, {})

    def _insert(self, session: Session, request: Request, statement: Statement, data: Iterator[bytes]) -> Answer:
        assert statement.format is not None
        stats = session.insert(statement.sql, statement.format, data)
        return Answer(200, self._summed_up(request, DEFAULT_FORMAT, stats))

    def _run(self, session: Session, request: Request, statement: Statement) -> Answer:
        result = session.run(statement.sql, request.default_format)
        headers = self._summed_up(request, statement.format or request.default_format, result.stats)
        return Answer(200, headers, _content(result), len(result.content))

    def _summed_up(self, request: Request, format_name: str, stats: Stats) -> dict[str, str]:
        return self.headers(request, format_name) | {"X-ClickHouse-Summary": summary(stats)}

    def _stream(self, session: Session, request: Request, statement: Statement, chosen: str) -> Answer:
        blocks = _until_closed(session, statement.sql, chosen)
        # Most failures come before the first block: they still get a status of their own.
        first = next(blocks, b"")
        headers = self.headers(request, chosen)
        if request.wait_end:
            everything = [first, *blocks]
            return Answer(200, headers, iter(everything), sum(map(len, everything)))
        return Answer(200, headers, _joined(first, blocks), None)


def _content(result: Result) -> Iterator[memoryview]:
    # The frame of this generator holds the result, and so its memory, while the content is sent.
    yield result.content


def _until_closed(session: Session, sql: bytes, format_name: str) -> Iterator[bytes]:
    try:
        yield from session.stream(sql, format_name)
    finally:
        session.close()


def _begin(query: bytes, body: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The text up to where an insert's data must have begun, and the pieces that follow it.

    The text is whole, and no piece follows, unless it is a data insert.
    """
    pieces = [query + b"\n"] if query else []
    size_bytes = 0
    for piece in body:
        pieces.append(piece)
        size_bytes += len(piece)
        if size_bytes >= _HEAD_BYTES:
            break
    else:
        return b"".join(pieces), iter(())
    text = b"".join(pieces)
    if _is_data_insert(text):
        return text, body
    return b"".join([text, *body]), iter(())


def _is_data_insert(text: bytes) -> bool:
    """Whether a text, of which only the beginning is here, is a data insert."""
    try:
        return read_statement(text).kind is Kind.DATA_INSERT
    except StoreFault:
        return False  # the whole text will tell


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _refuse_session(request: Request, statement: Statement) -> None:
    """Refuses what a client would miss in its next request; without a session it misses it on a server too."""
    if request.session_id and (
        set(statement.words[:1]) in _SESSION_WORDS
        or (statement.words[:1] == ("CREATE",) and "TEMPORARY" in statement.words)
    ):
        raise StoreFault(
            48,
            "NOT_IMPLEMENTED",
            "The embedded store keeps no sessions: send settings, database and tables with the query",
        )
