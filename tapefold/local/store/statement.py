"""What must be known of an SQL text before it is run: where the data of an INSERT begins, and in which format.

Only the words that decide are read; the engine parses the rest. Rules: ParserInsertQuery.cpp of ClickHouse.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from tapefold.local.store.faults import StoreFault

_TOKEN = re.compile(
    rb"""
      (?P<blank>   \s++ | --[^\n]*+ | \#[ !][^\n]*+ | /\*.*?\*/ )
    | (?P<quoted>  '(?:[^'\\]++|\\.|'')*+' | `(?:[^`\\]++|\\.|``)*+` | "(?:[^"\\]++|\\.|"")*+" )
    | (?P<heredoc> \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
    | (?P<word>    [A-Za-z_][A-Za-z0-9_$]*+ )
    | (?P<open>    [(\[{] )
    | (?P<close>   [)\]}] )
    | (?P<end>     ; )
    | (?P<other>   [^\s'"`\#$A-Za-z_()\[\]{};/-]++ | . )
    """,
    re.VERBOSE | re.DOTALL,
)

# After the format's name: blanks, then at most one line end (\n or \r\n); what follows is data.
_BEFORE_DATA = re.compile(rb"[ \t\f]*\r?\n?")

DEFAULT_FORMAT = "TabSeparated"
_WORDS_MAX = 4  # CREATE OR REPLACE TEMPORARY

_FORMAT_ALIASES = {"TSV": "TabSeparated", "TSVRAW": "TabSeparatedRaw", "TSVWITHNAMES": "TabSeparatedWithNames"}


class Kind(Enum):
    """How a statement is run."""

    DATA_INSERT = "insert with data behind the statement"
    SELECT = "query whose result can be sent while it is made"
    OTHER = "anything else"


@dataclass(frozen=True)
class Statement:
    """An SQL text, read as far as its running asks for.

    kind: how to run it.
    sql: the statement; of a data insert the part before VALUES or FORMAT.
    format: of a data insert the format of its data, else of its FORMAT clause; None if it names none.
    data_at: offset in bytes where data begins in the text that was read; its length if there is none.
    words: the first words of the statement in capitals, at most four.
    """

    kind: Kind
    sql: bytes
    format: str | None
    data_at: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class _Token:
    kind: str
    text: bytes
    at: int
    end: int
    depth: int

    @property
    def word(self) -> str:
        return self.text.decode().upper() if self.kind == "word" else ""


def _tokens(text: bytes) -> Iterator[_Token]:
    depth = 0
    after_dot = False
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        assert kind is not None
        if kind == "blank":
            continue
        if kind == "word" and after_dot:
            kind = "name"  # db.format
        if kind == "close":
            depth = max(0, depth - 1)
        yield _Token(kind, match[0], match.start(), match.end(), depth)
        if kind == "open":
            depth += 1
        after_dot = match[0].endswith(b".")


def read_statement(text: bytes) -> Statement:
    """Reads a statement. `text` may go on with an insert's data, of which only a beginning needs to be there.

    Errors: StoreFault SYNTAX_ERROR (62) for no or several statements, INTO_OUTFILE_NOT_ALLOWED (358),
    UNKNOWN_TYPE_OF_QUERY (78) for FROM INFILE, NOT_IMPLEMENTED (48) for the table function input().
    """
    tokens = _tokens(text)
    first = next(tokens, None)
    if first is None:
        raise StoreFault(62, "SYNTAX_ERROR", "Syntax error: Empty query")
    if first.word == "INSERT":
        insert = _read_insert(text, tokens)
        if insert is not None:
            return insert
    return _read_query(text)


def _read_insert(text: bytes, tokens: Iterator[_Token]) -> Statement | None:
    """A data insert; None if the statement gets its rows elsewhere, or is not one."""
    _skip_target(tokens)
    selects = False
    last: _Token | None = None
    for token in tokens:
        if last is not None and last.word == "FORMAT" and last.depth == 0 and token.kind == "word":
            if selects:
                return None
            data_at = _data_at(text, token.end)
            return Statement(Kind.DATA_INSERT, text[: last.at], token.text.decode(), data_at, ("INSERT", "INTO"))
        if token.depth == 0 and token.word == "VALUES" and not selects:
            return Statement(Kind.DATA_INSERT, text[: token.at], "Values", token.end, ("INSERT", "INTO"))
        if token.word == "INFILE" and token.depth == 0 and not selects:
            raise StoreFault(78, "UNKNOWN_TYPE_OF_QUERY", "Query has infile and was send directly to server")
        if token.kind == "open" and last is not None and last.word == "INPUT" and selects:
            raise StoreFault(48, "NOT_IMPLEMENTED", "The embedded store can not feed the table function input()")
        if token.kind == "end" and token.depth == 0:
            return None
        selects = selects or token.word in {"SELECT", "WATCH"} or (token.word == "WITH" and token.depth == 0)
        last = token
    return None


def _skip_target(tokens: Iterator[_Token]) -> None:
    """Passes INTO [TABLE] [FUNCTION] and the name, which may be any word."""
    for token in tokens:
        if token.word not in {"INTO", "TABLE", "FUNCTION"}:
            return


def _data_at(text: bytes, format_end: int) -> int:
    if text[format_end : format_end + 1] == b";":
        raise StoreFault(62, "SYNTAX_ERROR", "You have excessive ';' symbol before data for INSERT")
    match = _BEFORE_DATA.match(text, format_end)
    assert match is not None
    return match.end()


def _read_query(text: bytes) -> Statement:
    words: list[str] = []
    ended = inserts = False
    clause: str | None = None
    last: _Token | None = None
    for token in _tokens(text):
        if ended and token.kind != "end":
            raise StoreFault(62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
        ended = ended or token.kind == "end"
        if len(words) < _WORDS_MAX and token.kind in {"word", "open"}:
            words.append(token.word or "(")
        if token.depth == 0 and token.kind == "word":
            inserts = inserts or token.word == "INSERT"
            if last is not None and last.word == "FORMAT" and last.depth == 0:
                clause = token.text.decode()
            if last is not None and last.word == "INTO" and token.word == "OUTFILE":
                raise StoreFault(358, "INTO_OUTFILE_NOT_ALLOWED", "INTO OUTFILE is not allowed")
        last = token
    selects = words[:1] in (["SELECT"], ["WITH"], ["("]) and not inserts
    kind = Kind.SELECT if selects else Kind.OTHER
    return Statement(kind, text, clause, len(text), tuple(words))


def plain_format(name: str) -> str:
    """The name of a format without its aliases: TSV is TabSeparated."""
    return _FORMAT_ALIASES.get(name.upper(), name)
