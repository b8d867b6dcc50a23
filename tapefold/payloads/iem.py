"""Recorded answers of IEM: a file is one answer, in any of the forms that the upstream sends.

A file has no receive stamp of its own; a table that others made of answers may name when they fetched them
(`fetched_at`), which is not when the upstream had it: nothing is claimed from it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from tapefold.payloads.files import Payload, content
from topics.catalog import H_URL

MOS_SUFFIXES = (".csv", ".json", ".txt", ".sql", ".csv.gz", ".json.gz", ".txt.gz", ".sql.gz")
CLI_SUFFIXES = (".csv", ".json", ".txt", ".csv.gz", ".json.gz", ".txt.gz")
_STATION = re.compile(rb"(?:\b|,)([KP][A-Z0-9]{3})(?:\b|,)")
_HEAD_BYTES = 4_096


def payloads(path: Path) -> Iterator[Payload]:
    """The file as one payload; its key is the first station that it names, as the producer's is the one it asked for."""
    value = content(path)
    station = _STATION.search(value[:_HEAD_BYTES])
    headers = ((H_URL, f"file:{quote(path.name)}".encode("ascii")),)
    yield Payload(value, None if station is None else station[1], None, None, headers=headers)
