"""What a stage wants appended to the log, before anyone appends it."""

from typing import Literal, NamedTuple

from topics.catalog import CODE_VERSION, DEAD
from topics.codec import encode
from topics.events import Cause, Dead

_DETAIL_MAX = 1024  # characters; a decoder may quote what it refuses
_VALUE_TEXT_MAX = 4096  # characters kept of a refused value; the whole stands at its cause


class Output(NamedTuple):
    """One record to append: by key, or to an explicit partition."""

    topic: str
    key: bytes | None
    partition: int | None
    value: bytes


def dead(
    stage: Literal["ingest", "fold"],
    reason: str,
    detail: str,
    cause: Cause,
    *,
    key: bytes | None,
    received_ns: int | None,
    value: bytes,
) -> Output:
    """A refusal for the `dead` topic, with its cause. Without a key it stands in the cause's partition."""
    text = value[:_VALUE_TEXT_MAX].decode("utf-8", "backslashreplace")
    row = Dead(
        reason=reason,
        detail=detail[:_DETAIL_MAX],
        stage=stage,
        code_version=CODE_VERSION,
        cause=cause,
        received_ns=received_ns,
        value_text=text,
    )
    return Output(DEAD, key, cause.partition if key is None else None, encode(row))
