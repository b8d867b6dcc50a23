"""TWS messages, notices of their producer, and lines of recorded files -> facts."""

from stream_processors.envelope import Headers
from stream_processors.parsers.tws import lines, notices, wire
from stream_processors.parsers.tws.notices import KINDS
from stream_processors.parsers.tws.said import Bad, Part, context_of
from topics.catalog import H_FORMAT, H_KIND, H_PREVIOUS
from topics.errors import BadRecord
from topics.events import Cause
from topics.tws import AnyTwsFact, TwsOutage

__all__ = ["KINDS", "Bad", "Part", "parse", "symbol_of"]

NO_SYMBOL = "-"  # the key of what is said of no symbol: of the line itself


def parse(value: bytes, headers: Headers, cause: Cause) -> list[Part]:
    """All facts of one raw record, and the bars of it that are refused. Raises BadRecord to refuse it as a whole."""
    kind = headers.get(H_KIND, b"frame")
    if kind in KINDS:
        return [notices.parse(kind, value, headers, cause)]
    context = context_of(headers, cause)
    form = headers.get(H_FORMAT, b"wire")
    if form == b"wire":
        return wire.parse(value, context, headers.get(H_PREVIOUS))
    if (read := lines.READERS.get(form)) is None:
        raise BadRecord("missing_header", f"header {H_FORMAT}: expected wire, {lines.NAMES}, was {form!r}")
    return read(value, headers, context)


def symbol_of(fact: AnyTwsFact) -> str:
    """The join domain of a fact."""
    return (NO_SYMBOL if isinstance(fact, TwsOutage) else fact.symbol) or NO_SYMBOL
