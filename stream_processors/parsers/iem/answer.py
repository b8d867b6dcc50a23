"""What stands around an answer: what was asked, with which status it came, and what is known of when it came."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct

from stream_processors.envelope import Headers, envelope_of, stamp_ns
from topics.catalog import H_ABSENT_NS, H_LAG_NS, H_SEEN, H_STATUS, H_URL
from topics.errors import BadRecord
from topics.units import NS_PER_S
from topics.weather import Seen

_URL_CHARS_MAX = 4_096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.\d{1,9})?)?)? ?(Z|UTC|\+00|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_STATION = re.compile(r"[A-Z0-9_]{3,6}", re.ASCII)  # the NBM has points of its own, such as XSBN_0
_YEARS = (1970, 2100)
_SEEN: dict[bytes, Seen] = {b"first": "first", b"pre_existing": "pre_existing", b"archive": "archive"}

HttpReason = Literal["throttled", "upstream_error", "not_found", "bad_request"]


class Unfit(NamedTuple):
    """One part of an answer that is refused while the others stand: its place in the answer, and why."""

    place: int
    error: BadRecord


class Answer(Struct, frozen=True, gc=False):
    """What the headers say of an answer.

    query: the parameters of the URL, names in lower case, values as sent; empty for a file.
    status: None for a file. seen, absent_ns: see `topics.weather`. lag_ns: measured, None: the assumed one.
    """

    conn: str
    received_ns: int
    live: bool
    path: str
    query: dict[str, list[str]]
    status: int | None
    seen: Seen
    absent_ns: int | None
    lag_ns: int | None

    def asked(self, name: str) -> str | None:
        """The one value of a parameter."""
        values = self.query.get(name)
        return values[0].strip() if values else None

    def failure(self, value: bytes) -> tuple[HttpReason, BadRecord] | None:
        """Why an answer is no data, by its status and its first bytes; None when it may be data."""
        text = value[:200].decode("utf-8", "replace").strip()
        if self.status is not None and self.status != 200:  # noqa: PLR2004  # OK
            reason = _REASONS.get(self.status, "upstream_error" if self.status >= 500 else "bad_request")  # noqa: PLR2004
            return reason, BadRecord("bad_value", f"expected HTTP 200, was {self.status or 'no answer'}: {text}")
        if text.startswith("ERROR"):
            reason = "not_found" if "Could not Find" in text else "upstream_error"
            return reason, BadRecord("bad_value", f"expected data in an answer of 200, was {text!r}")
        return None


_REASONS: dict[int, HttpReason] = {429: "throttled", 503: "throttled", 404: "not_found", 0: "upstream_error"}


def answer_of(headers: Headers) -> Answer:
    """What the headers say. Raises BadRecord `missing_header` for what our own producers do not write."""
    envelope = envelope_of(headers)
    url = headers.get(H_URL, b"")
    status = headers.get(H_STATUS)
    seen = _SEEN.get(headers.get(H_SEEN, b"archive"))
    stamps = {name: stamp_ns(headers[name]) for name in (H_ABSENT_NS, H_LAG_NS) if name in headers}
    wrong_status = status is not None and not (status.isdigit() and len(status) == 3)  # noqa: PLR2004  # digits
    if seen is None or wrong_status or None in stamps.values() or len(url) > _URL_CHARS_MAX:
        raise BadRecord(
            "missing_header",
            f"expected {H_SEEN} (first, pre_existing or archive), {H_STATUS} (three digits), {H_URL} and stamps in "
            f"nanoseconds, were {headers!r}",
        )
    try:
        parts = urlsplit(url.decode("ascii"))
        query = parse_qs(parts.query, keep_blank_values=True, max_num_fields=100)
    except ValueError as error:
        raise BadRecord("missing_header", f"{H_URL}: expected a URL in ASCII: {error}") from error
    return Answer(
        conn=envelope.conn,
        received_ns=envelope.received_ns,
        live=envelope.known_by == "observed",
        path=parts.path,
        query={name.lower(): values for name, values in query.items()},
        status=None if status is None else int(status),
        seen=seen,
        absent_ns=stamps.get(H_ABSENT_NS),
        lag_ns=stamps.get(H_LAG_NS),
    )


def time_ns(text: str) -> int:
    """`2025-01-28 01:00:00`, `2025-01-28T01:00:00.000`, `2025-01-28 01:00`, with or without a zone; naive is UTC.

    Raises ValueError.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a time such as '2025-01-28 01:00:00', was {text[:64]!r}")
    day, minute, second, zone = match.groups()
    offset = "+00:00" if zone in {None, "Z", "UTC", "+00"} else zone
    moment = datetime.fromisoformat(f"{day}T{minute or '00:00'}:{second or '00'}{offset}")
    year_of(moment.year)
    return int((moment - _EPOCH) / timedelta(seconds=1)) * NS_PER_S


def year_of(number: int) -> int:
    """A year of reports and forecasts. Raises ValueError for others, also as no zone can be added to the calendar's ends."""
    if not _YEARS[0] <= number < _YEARS[1]:
        raise ValueError(f"expected a year from {_YEARS[0]} to {_YEARS[1] - 1}, was {number}")
    return number


def station_of(text: object) -> str:
    """A station's id in capitals; three letters are those of a US station without its K. Raises ValueError."""
    name = text.strip().upper() if isinstance(text, str) else ""
    if not _STATION.fullmatch(name):
        raise ValueError(f"expected a station such as KMIA, was {str(text)[:64]!r}")
    return f"K{name}" if len(name) == 3 and name.isalpha() else name  # noqa: PLR2004  # letters of a station


def digest(content: Mapping[str, object]) -> str:
    """The same content, whatever the order of its names, has the same revision."""
    text = msgspec.json.encode(sorted(content.items()))
    return hashlib.blake2b(text, digest_size=8).hexdigest()
