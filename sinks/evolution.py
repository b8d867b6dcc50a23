"""Records of other schema versions: what may be taken, and what of it we do not know. Pure.

A version outside the range stops its partition: a breaking change is nobody's to guess. A field that we do not know is kept
as it came, in `extra_fields`; no default ever stands in for a value.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from sinks import columns
from sinks.assignment import PartitionStopped
from topics import catalog
from topics.codec import encode
from topics.log import Record, Stretch

EXTRA_FIELDS = "extra_fields"


class Compatible(NamedTuple):
    """The schema versions that are taken, both ends included. validate: False takes every version."""

    validate: bool = True
    lowest: int = catalog.SCHEMA_VERSION
    highest: int = catalog.SCHEMA_VERSION

    def checked(self, parts: Iterable[Stretch]) -> tuple[list[Stretch], list[PartitionStopped]]:
        """The records before the first of each partition that is not to be taken, and why its partition stops there.

        Raw records are bytes to us and are always taken. A record that tells no version is as old as the first.
        """
        taken: list[Stretch] = []
        stopped: list[PartitionStopped] = []
        for part in parts:
            wrong = None if not self.validate or catalog.BY_NAME[part.topic].group == "raw" else self._wrong(part)
            if wrong is None:
                taken.append(part)
                continue
            place, version = wrong
            offset = part.offsets[place]
            expected = f"a schema version within [{self.lowest}, {self.highest}]"
            partition = (part.topic, part.partition)
            stopped.append(PartitionStopped("schema_incompatible", partition, offset, expected, version))
            if (before := part.upto(offset)).offsets:
                taken.append(before)
        return taken, stopped

    def _wrong(self, part: Stretch) -> tuple[int, str] | None:
        """The first record that is not to be taken, and the version that it told."""
        for place, pairs in enumerate(part.headers):
            version = version_of(pairs)
            if version and not (version.isdigit() and self.lowest <= int(version) <= self.highest):
                return place, version
        return None


OUR_SCHEMA = Compatible()


def version_of(headers: Sequence[tuple[str, bytes | None]]) -> str:
    """The schema version that a record told, empty when it told none."""
    for name, value in headers:
        if name == catalog.H_SCHEMA:
            return (value or b"").decode("utf-8", "replace")
    return ""


def unknown_fields(event: Any, value: bytes) -> bytes | None:
    """The JSON of the fields of `value` that the type of `event` does not have; None when there are none."""
    if encode(event) == value:  # what our own code writes: nothing else can be in it
        return None
    kind: type[msgspec.Struct] = type(event)
    known = _known(kind)
    said: dict[str, msgspec.Raw] = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    extra = {name: content for name, content in said.items() if name not in known}
    return msgspec.json.encode(extra) if extra else None


def extra_table(found: Sequence[tuple[Any, Record, bytes]]) -> dict[str, pa.Table]:
    """The rows of `extra_fields` from (event, record, unknown fields), if there are any."""
    if not found:
        return {}
    records = [record for _, record, _ in found]
    table = pa.table(
        {
            "extra": columns.raw([extra for _, _, extra in found]),
            "event_type": columns.labels([type(event).__name__ for event, _, _ in found]),
            "schema_version": columns.labels([version_of(record.headers) for record in records]),
            "_topic": columns.labels([record.topic for record in records]),
            "_partition": columns.uint32([record.partition for record in records]),
            "_offset": columns.uint64([record.offset for record in records]),
        }
    )
    return {EXTRA_FIELDS: table}


@cache
def _known(kind: type[msgspec.Struct]) -> frozenset[str]:
    names = {field.encode_name for field in msgspec.structs.fields(kind)}
    tag = kind.__struct_config__.tag_field
    return frozenset(names if tag is None else names | {tag})
