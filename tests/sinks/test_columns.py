from decimal import Decimal

import pyarrow as pa
import pytest

from sinks import columns


def test_prices_are_exact_with_sign_and_null() -> None:
    """An int64 of millionths is the decimal's low half, its sign the high half."""
    column = columns.price([480_000, -1, None, 0, 999_999_999_999_999_999, -999_999_999_999_999_999])
    assert pa.decimal128(18, 6) == column.type
    assert [
        Decimal("0.480000"),
        Decimal("-0.000001"),
        None,
        Decimal(0),
        Decimal("999999999999.999999"),
        Decimal("-999999999999.999999"),
    ] == column.to_pylist()
    column.validate(full=True)


def test_a_slice_of_nothing_has_its_type() -> None:
    """Empty and all-null columns are columns."""
    assert pa.array([], pa.decimal128(18, 4)) == columns.size([])
    assert [None, None] == columns.size([None, None]).to_pylist()


@pytest.mark.parametrize("value", [10**18, -(10**18), 2**63])
def test_a_number_that_its_column_cannot_hold_is_refused(value: int) -> None:
    """Decimal(18, n) ends before int64 does; ClickHouse would not say so."""
    with pytest.raises((ValueError, OverflowError)):
        columns.price([1, value])


def test_times_keep_their_nanoseconds() -> None:
    """No time passes through a datetime, which ends at microseconds."""
    column = columns.time_ns([1_786_000_000_123_456_789, None, -1])
    assert pa.timestamp("ns", "UTC") == column.type
    assert [1_786_000_000_123_456_789, None, -1] == column.cast(pa.int64()).to_pylist()


def test_seconds_become_nanoseconds() -> None:
    """Lifecycle frames speak in seconds."""
    assert [1_786_000_000_000_000_000, None] == columns.time_s([1_786_000_000, None]).cast(pa.int64()).to_pylist()


def test_a_record_may_be_stamped_with_anything() -> None:
    """Bronze takes every record: a stamp beyond 2262 becomes the last moment that a column can hold."""
    column = columns.time_ms_clipped([1_000, -1, 2**62]).cast(pa.int64())
    assert [1_000_000_000, -1_000_000, 9_223_372_036_854_000_000] == column.to_pylist()


def test_headers_keep_order_repeats_and_bytes() -> None:
    """A header's value is bytes and its name may come twice."""
    sent = (("kind", b"frame"), ("x", b"\xff\x00"), ("kind", b"again"))
    assert [list(sent), []] == columns.headers([sent, ()]).to_pylist()
