"""Both sides must compute the same hash of the same row."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks import columns
from sinks.checksum import FIRST_ROW_HASH_SQL, ROW_HASH_SQL, row_hashes, total
from sinks.rows import build_stretches
from sinks.tables import Tables
from topics.log import Record, stretches_of

HEADERS = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=9)), max_size=4)
RECORDS = st.lists(
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.none() | st.binary(max_size=9), HEADERS, st.binary(max_size=40)),
    min_size=1,
    max_size=20,
)


def built(records: list[Record]):
    """What the sink makes of them."""
    return build_stretches(stretches_of(records), topic_ids={}, code_version="v")


@settings(max_examples=25, deadline=None)
@given(given_records=RECORDS)
def test_the_store_computes_the_same_hash(store_url: str, given_records) -> None:
    """Any bytes, no key, no headers, repeated names, times beyond what the store can hold."""
    tables = Tables(store_url)
    records = [
        Record("raw.kalshi.ws", 3, 2**40 + offset, stamp, key, tuple(headers), value)
        for offset, (stamp, key, headers, value) in enumerate(given_records)
    ]
    ours = built(records)
    tables.command("CREATE DATABASE IF NOT EXISTS tapefold")
    tables.command(
        "CREATE OR REPLACE TABLE tapefold.hashed (_topic String, _topic_id String, _partition UInt32, _offset UInt64,"
        " _timestamp DateTime64(9, 'UTC'), _key Nullable(String), _headers Map(LowCardinality(String), String),"
        " value String) ENGINE = MergeTree ORDER BY _offset"
    )
    tables.insert_arrow("hashed", ours.tables["raw_records"], "t")
    (part,) = stretches_of(records)
    first = row_hashes(*part[2:5], columns.headers(part.headers), part.values, first_version=True)
    for sql, hashes in ((ROW_HASH_SQL, ours.hashes), (FIRST_ROW_HASH_SQL, first)):
        answer = tables.query_rows(f"SELECT groupArray(h), sum(h) FROM (SELECT {sql} AS h FROM tapefold.hashed)")
        assert (hashes.tolist(), total(hashes)) == tuple(answer.rows[0])
    tables.command("DROP TABLE tapefold.hashed SYNC")
    tables.close()


BASE = Record("raw.kalshi.ws", 0, 7, 1_000, b"k", (("a", b"1"), ("b", b"2")), b"value")


@pytest.mark.parametrize(
    "other",
    [
        BASE._replace(offset=8),
        BASE._replace(timestamp_ms=1_001),
        BASE._replace(key=b"K"),
        BASE._replace(headers=(("a", b"1"), ("b", b"3"))),
        BASE._replace(value=b"valuf"),
        BASE._replace(headers=(("a", b"1"), ("c", b"2"))),
        BASE._replace(headers=(("ab", b"1"), ("", b"2"))),
        BASE._replace(headers=(("a", b"12"), ("b", b""))),
        BASE._replace(headers=(("b", b"1"), ("a", b"2"))),
        BASE._replace(key=b"", value=b"kvalue"),
        BASE._replace(key=None, value=b"kvalue"),
    ],
    ids=["offset", "timestamp", "key", "header", "value", "name", "names", "values", "order", "border", "no key"],
)
def test_each_part_of_a_record_counts(other: Record) -> None:
    """A row that differs in any of them has another hash."""
    assert built([BASE]).checksums != built([other]).checksums


def test_no_key_is_not_an_empty_one() -> None:
    """Nor is no header one without name and value."""
    assert built([BASE._replace(key=None)]).checksums != built([BASE._replace(key=b"")]).checksums
    assert built([BASE._replace(headers=())]).checksums != built([BASE._replace(headers=(("", b""),))]).checksums


def test_two_values_that_changed_places_are_told() -> None:
    """A sum of hashes of values alone would not see it."""
    a, b = BASE._replace(value=b"a"), BASE._replace(offset=8, value=b"b")
    swapped = [a._replace(value=b"b"), b._replace(value=b"a")]
    assert built([a, b]).checksums != built(swapped).checksums
