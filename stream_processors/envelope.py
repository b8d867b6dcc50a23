"""What stands around a payload on a raw topic: the record itself, and what its producer says of it in the headers."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypedDict

from msgspec import Struct

from topics.catalog import H_CLOCK, H_CONN, H_RECEIVED_NS, H_SID_NS
from topics.errors import BadRecord
from topics.events import Cause, KnownBy

_INT64_MAX = 2**63 - 1  # what the store's columns hold; nanoseconds since the epoch reach it in the year 2262
_STAMP_DIGITS_MAX = 19
# A recording's tape clock is a stated rule (the time the recording has reached), not a stamp of a live recorder.
_KNOWN_BY_CLOCK: dict[bytes, KnownBy] = {b"wall": "observed", b"tape": "assumed", b"rule": "assumed"}

Headers = Mapping[str, bytes]


class RawRecord(Protocol):
    """What ingest needs of a consumed record; aiokafka's ConsumerRecord and `topics.log.Record` both fit."""

    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102


class Envelope(Struct, frozen=True, gc=False):
    """What the producer's headers say of a frame. sid_ns: see `topics.catalog.H_SID_NS`.

    stamped: received_ns is when it came, by the wall or a tape; False: when it was loaded, and its facts go by a rule.
    """

    conn: str
    received_ns: int
    known_by: KnownBy
    sid_ns: int | None = None
    stamped: bool = True


class Origin(TypedDict):
    """The fields of a fact that do not come from its payload, as keywords of its type."""

    received_ns: int
    known_ns: int
    known_by: KnownBy
    cause: Cause
    conn: str


def envelope_of(headers: Headers) -> Envelope:
    """What the headers say. Raises BadRecord `missing_header`: our own producers write all of them."""
    conn = headers.get(H_CONN, b"")
    received_ns = stamp_ns(headers.get(H_RECEIVED_NS, b""))
    clock = headers.get(H_CLOCK, b"")
    known_by = _KNOWN_BY_CLOCK.get(clock)
    sid_ns = stamp_ns(headers[H_SID_NS]) if H_SID_NS in headers else None
    if (
        not conn
        or not conn.isascii()
        or received_ns is None
        or known_by is None
        or (sid_ns is None and H_SID_NS in headers)
    ):
        raise BadRecord(
            "missing_header",
            f"expected {H_CONN} (ASCII), {H_RECEIVED_NS} and, where it stands, {H_SID_NS} (digits, below 2^63) "
            f"and {H_CLOCK} (wall, tape or rule), were {headers!r}",
        )
    return Envelope(conn.decode("ascii"), received_ns, known_by, sid_ns, clock != b"rule")


def stamp_ns(text: bytes) -> int | None:
    """Nanoseconds since the epoch as our headers write them, digits alone; None for anything an int64 cannot hold."""
    if not text.isdigit() or len(text) > _STAMP_DIGITS_MAX:
        return None
    value = int(text)
    return value if value <= _INT64_MAX else None
