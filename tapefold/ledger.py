"""The ledger of annotations on the log: what was decided about ranges of datasets, and how a decision comes there."""

import msgspec

from tapefold.on_log import facts_of
from topics.annotations import Annotation
from topics.catalog import FACT_ANNOTATION, SCHEMA_HEADER
from topics.codec import decode_fact, encode
from topics.errors import Refused
from topics.log import Log


def versions(log: Log) -> dict[str, list[Annotation]]:
    """All annotations by id, each with its versions from the first on; of two tellings of one the first. Raises Refused."""
    found: dict[tuple[str, int], Annotation] = {}
    for _, fact in facts_of(log, FACT_ANNOTATION):
        if isinstance(fact, Annotation):
            found.setdefault((fact.annotation_id, fact.version), fact)
    by_id: dict[str, list[Annotation]] = {}
    for key in sorted(found):
        by_id.setdefault(key[0], []).append(found[key])
    return by_id


def add(log: Log, wanted: Annotation) -> Annotation:
    """Append a decision as the next version of its id; returns what holds then: nothing is appended if it says the same.

    Raises Refused for one that cannot be.
    """
    before = versions(log).get(wanted.annotation_id, [])
    if before:
        told_again = msgspec.structs.replace(wanted, version=before[-1].version, known_ns=before[-1].known_ns)
        if told_again == before[-1]:
            return before[-1]
        wanted = msgspec.structs.replace(wanted, version=before[-1].version + 1)
    _append(log, wanted)
    return wanted


def withdraw(log: Log, annotation_id: str, *, note: str, author: str, now_ns: int) -> Annotation:
    """Take a decision back; returns the version that says so. Raises Refused when there is none, or none that holds."""
    before = versions(log).get(annotation_id, [])
    if not before or before[-1].verdict == "withdrawn":
        raise Refused(f"no annotation {annotation_id!r} holds; `tapefold quality ledger` names those that do")
    version = before[-1].version + 1
    taken = msgspec.structs.replace(
        before[-1], version=version, verdict="withdrawn", note=note, author=author, known_ns=now_ns
    )
    _append(log, taken)
    return taken


def _append(log: Log, annotation: Annotation) -> None:
    value = encode(annotation)
    try:
        decode_fact(value)
    except msgspec.ValidationError as error:
        raise Refused(f"annotation {annotation.annotation_id!r}: {error}") from error
    appender = log.appender()
    appender.append(FACT_ANNOTATION, value, key=annotation.annotation_id.encode(), headers=SCHEMA_HEADER)
    appender.flush()
    appender.close()
