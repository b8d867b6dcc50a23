"""Bodies of type multipart/form-data (RFC 7578), by which clients send long parameters and external tables."""

import re
from dataclasses import dataclass

from tapefold.local.store.faults import StoreFault

_ATTRIBUTE = re.compile(r';\s*([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))')


@dataclass(frozen=True)
class Part:
    """One part of a form.

    name: name of the field.
    is_file: whether the part names a file; of clients of ClickHouse those are the external tables.
    content: bytes of the part.
    """

    name: str
    is_file: bool
    content: bytes


def is_form(content_type: str) -> bool:
    """Whether the header Content-Type tells of a form."""
    return content_type.lower().startswith("multipart/form-data")


def read_form(body: bytes, content_type: str) -> list[Part]:
    """The parts of a form in their order. Errors: StoreFault BAD_ARGUMENTS (36) if it is cut off or malformed."""
    boundary = _attributes(content_type).get("boundary")
    if not boundary:
        raise _malformed("it has no boundary")
    # So the first delimiter, which may stand at the very start, looks like the others.
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):  # noqa: PLR2004 -- what precedes the first, and the rest
        raise _malformed("its end is missing")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, separator, content = piece.partition(b"\r\n\r\n")
    if not separator:
        raise _malformed("a part has no headers")
    for line in head.decode(errors="replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            attributes = _attributes(value)
            if "name" in attributes:
                return Part(attributes["name"], "filename" in attributes, content)
    raise _malformed("a part has no name")


def _attributes(header: str) -> dict[str, str]:
    return {name.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare for name, quoted, bare in _ATTRIBUTE.findall(header)}


def _malformed(why: str) -> StoreFault:
    return StoreFault(36, "BAD_ARGUMENTS", f"The form can not be read: {why}")
