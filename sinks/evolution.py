"""Records of other schema versions: what may be taken, and what of it we do not know. Pure.

A version outside the range stops its partition: a breaking change is nobody's to guess. A field that we do not know is kept
as it came, in the column `extra` of its row; no default ever stands in for a value.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec

from sinks.assignment import PartitionStopped
from topics import catalog
from topics.codec import encode
from topics.log import Stretch

_NOTHING = b"{}"
_Fields = dict[str, msgspec.Raw]


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
    """The JSON of the fields of `value` that the type of `event` does not have; None when there are none.

    A field within another one is told under its path, such as `$.cause.note` or `$.reports[1].note`. Only a value that is not
    what our own code writes is read a second time, and of it only what holds structs is taken apart.
    """
    if encode(event) == value:  # what our own code writes: nothing else can be in it
        return None
    extra = dict(_unknown(event, msgspec.Raw(value), ""))
    return msgspec.json.encode(extra) if extra else None


def _unknown(known: Any, said: msgspec.Raw, path: str) -> Iterator[tuple[str, msgspec.Raw]]:
    """The parts of `said` that `known`, which was decoded from it, has no place for. path: empty at the top."""
    if isinstance(known, msgspec.Struct) and known.__struct_config__.array_like:
        held = [getattr(known, name) for name in known.__struct_fields__]
        for number, content in enumerate(msgspec.json.decode(said, type=list[msgspec.Raw])):
            if number < len(held):
                yield from _unknown(held[number], content, f"{path}[{number}]")
            else:
                yield f"{path}[{number}]", content
    elif isinstance(known, msgspec.Struct):
        names = _known(type(known))
        for name, content in msgspec.json.decode(said, type=_Fields).items():
            if name not in names:
                yield (_path(path, name) if path else name), content
            elif (attribute := names[name]) is not None:
                yield from _unknown(getattr(known, attribute), content, _path(path or "$", name))
    elif isinstance(known, list | tuple) and any(isinstance(each, msgspec.Struct) for each in known):
        parts = msgspec.json.decode(said, type=list[msgspec.Raw])
        for number, (each, content) in enumerate(zip(known, parts, strict=True)):
            yield from _unknown(each, content, f"{path}[{number}]")


def _path(path: str, name: str) -> str:
    return f"{path}.{name}" if name.isidentifier() else f"{path}[{msgspec.json.encode(name).decode()}]"


def extra_of(event: Any, unknown: bytes | None) -> bytes:
    """The column `extra` of a row: what the fact itself brought in `extra`, and the fields of its record that we do not know.

    A name that both have is told of the record with an underscore before it: nothing is left out.
    """
    own = bytes(getattr(event, "extra", _NOTHING))
    if unknown is None:
        return own
    fields = msgspec.json.decode(own, type=_Fields)
    for name, content in msgspec.json.decode(unknown, type=_Fields).items():
        fields[f"_{name}" if name in fields else name] = content
    return msgspec.json.encode(fields)


@cache
def _known(kind: type[msgspec.Struct]) -> dict[str, str | None]:
    """The names that the type has on the log, and the attributes that hold them; the tag is held by none."""
    names: dict[str, str | None] = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
    tag = kind.__struct_config__.tag_field
    return names if tag is None else {**names, tag: None}
