"""Bytes <-> events. JSON on the log (a person can read it), decoded once into checked structs."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from topics.errors import BadRecord
from topics.events import (
    AnyFact,
    Bar,
    BeatNotice,
    BookTop,
    CoverageNotice,
    Dead,
    GapNotice,
    GapRow,
)

Headers = Sequence[tuple[str, bytes]]
T = TypeVar("T")

encode = msgspec.json.Encoder().encode
decode_fact = msgspec.json.Decoder(AnyFact).decode
decode_bar = msgspec.json.Decoder(Bar).decode
decode_book_top = msgspec.json.Decoder(BookTop).decode
decode_gap_row = msgspec.json.Decoder(GapRow).decode
decode_dead = msgspec.json.Decoder(Dead).decode
decode_beat_notice = msgspec.json.Decoder(BeatNotice).decode
decode_gap_notice = msgspec.json.Decoder(GapNotice).decode
decode_coverage_notice = msgspec.json.Decoder(CoverageNotice).decode


def header(headers: Headers, name: str) -> str:
    """The text of header `name`. Raises BadRecord(`missing_header`) when it is absent or no ASCII text."""
    text = header_or_none(headers, name)
    if text is None:
        raise BadRecord("missing_header", f"expected a header {name!r}, were {[key for key, _ in headers]}")
    return text


def header_or_none(headers: Headers, name: str) -> str | None:
    """The text of header `name`, None where there is none. Raises BadRecord when it is no ASCII text."""
    for key, value in headers:
        if key == name:
            try:
                return value.decode("ascii")
            except UnicodeDecodeError as error:
                raise BadRecord("missing_header", f"header {name!r}: expected ASCII text, was {value!r}") from error
    return None


def header_int(headers: Headers, name: str) -> int:
    """The integer in header `name`. Raises BadRecord(`missing_header`)."""
    text = header(headers, name)
    try:
        return int(text)
    except ValueError as error:
        raise BadRecord("missing_header", f"header {name!r}: expected an integer, was {text!r}") from error
