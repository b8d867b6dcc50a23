"""Python values -> Arrow columns. No Decimal, no datetime and no float is made on the way: an integer stays one.

Every maker raises ValueError or OverflowError for a value that its ClickHouse column could not hold exactly;
(pyarrow's own errors are of these kinds).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from topics.asof import ClimateValue
from topics.events import Cause

Column = Callable[[Sequence[Any]], pa.Array]

_DECIMAL_DIGITS = 18  # of Decimal(18, n), which ClickHouse keeps in an int64
_DECIMAL_LIMIT = 10**_DECIMAL_DIGITS
_TIME = pa.timestamp("ns", "UTC")
_HEADERS = pa.map_(pa.string(), pa.binary())
_TEXTS = pa.list_(pa.string())
_WHOLE_BY_NAME = pa.map_(pa.string(), pa.int64())
_REPORTS = pa.list_(
    pa.struct(
        {
            "issued_at": _TIME,
            "known_at": _TIME,
            "known_by": pa.string(),
            "value_f": pa.int64(),
            "report": pa.string(),
            "product": pa.string(),
            "topic": pa.string(),
            "partition": pa.uint32(),
            "offset": pa.uint64(),
            "place": pa.uint32(),
        }
    )
)
_PLACES = pa.list_(
    pa.struct({"topic": pa.string(), "partition": pa.uint32(), "offset": pa.uint64(), "place": pa.uint32()})
)
_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_TIMESTAMP_MS_MAX = (2**63 - 1) // _NS_PER_MS


def decimals(values: Sequence[int | None], places: int) -> pa.Array:
    """Integers of 10^-places units -> decimal128(18, places); None stays null.

    An int64 becomes the low half of the 128 bits, its sign the high half: no object per row.
    """
    ints = pa.array(values, pa.int64())
    length = len(ints)
    if not length:
        return pa.array([], pa.decimal128(_DECIMAL_DIGITS, places))
    validity, data = ints.buffers()
    low = np.frombuffer(data, np.int64, length)
    if low.max() >= _DECIMAL_LIMIT or low.min() <= -_DECIMAL_LIMIT:
        raise ValueError(f"expected at most {_DECIMAL_DIGITS} digits, was {low[np.abs(low).argmax()]}")
    wide = np.empty((length, 2), np.int64)
    wide[:, 0] = low
    wide[:, 1] = low >> 63
    kind = pa.decimal128(_DECIMAL_DIGITS, places)
    return pa.Array.from_buffers(kind, length, [validity, pa.py_buffer(wide)], ints.null_count)


def price(values: Sequence[int | None]) -> pa.Array:
    """Millionths of a dollar -> Decimal(18, 6)."""
    return decimals(values, 6)


def size(values: Sequence[int | None]) -> pa.Array:
    """Ten-thousandths of a contract -> Decimal(18, 4)."""
    return decimals(values, 4)


def hundredths(values: Sequence[int | None]) -> pa.Array:
    """Hundredths of an inch -> Decimal(18, 2)."""
    return decimals(values, 2)


def tenths(values: Sequence[int | None]) -> pa.Array:
    """Tenths of an inch -> Decimal(18, 1)."""
    return decimals(values, 1)


def day(values: Sequence[str | None]) -> pa.Array:
    """ISO days such as `2026-04-11` -> Date32."""
    return pa.array(values, pa.string()).cast(pa.date32())


def time_ns(values: Sequence[int | None]) -> pa.Array:
    """Nanoseconds since the epoch -> DateTime64(9, 'UTC'), without a copy."""
    return pa.array(values, pa.int64()).view(_TIME)


def time_s(values: Sequence[int | None]) -> pa.Array:
    """Seconds since the epoch -> DateTime64(9, 'UTC')."""
    return time_ns([None if value is None else value * _NS_PER_S for value in values])


def time_ms_clipped(values: Sequence[int]) -> pa.Array:
    """A record's milliseconds -> DateTime64(9, 'UTC'); what lies beyond the year 2262 becomes its last moment.

    Anyone may stamp a record with anything, and bronze takes every record.
    """
    return pa.array(clipped_ms(values) * _NS_PER_MS).view(_TIME)


def clipped_ms(values: Sequence[int]) -> npt.NDArray[np.int64]:
    """A record's milliseconds, those beyond the year 2262 as its last moment."""
    return np.clip(np.array(values, np.int64), -_TIMESTAMP_MS_MAX, _TIMESTAMP_MS_MAX)


def text(values: Sequence[str | None]) -> pa.Array:
    """Text -> String."""
    return pa.array(values, pa.string())


def labels(values: Sequence[str | None]) -> pa.Array:
    """Text of few distinct values -> LowCardinality(String)."""
    return pa.array(values, pa.string()).dictionary_encode()


def texts(values: Sequence[Sequence[str]]) -> pa.Array:
    """Lists of text -> Array(String)."""
    return pa.array(values, _TEXTS)


def one_label(value: str, count: int) -> pa.Array:
    """One value `count` times -> LowCardinality(String)."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([value], pa.string()))


def whole_by_name(values: Sequence[Mapping[str, int]]) -> pa.Array:
    """Whole numbers by name -> Map(String, Int64), sorted by name."""
    return pa.array([sorted(value.items()) for value in values], _WHOLE_BY_NAME)


def share(values: Sequence[float | None]) -> pa.Array:
    """Shares of one -> Float64."""
    return pa.array(values, pa.float64())


def places(values: Sequence[Sequence[Cause]]) -> pa.Array:
    """Places on the raw log -> Array(Tuple(topic String, partition UInt32, offset UInt64, place UInt32))."""
    return pa.array([list(map(_place, causes)) for causes in values], _PLACES)


def reports(values: Sequence[Sequence[ClimateValue]]) -> pa.Array:
    """Climate reports of a day -> Array(Tuple(issued_at, known_at, known_by, value_f, report, product, place on the log))."""
    return pa.array(
        [
            [(v.issued_ns, v.known_ns, v.known_by, v.value_f, v.report, v.product, *_place(v.cause)) for v in of_day]
            for of_day in values
        ],
        _REPORTS,
    )


def _place(cause: Cause) -> tuple[str, int, int, int]:
    return cause.topic, cause.partition, cause.offset, cause.index


def raw(values: Sequence[bytes | None]) -> pa.Array:
    """Bytes -> String, untouched."""
    return pa.array(values, pa.binary())


def json_raw(values: Sequence[Any]) -> pa.Array:
    """msgspec.Raw -> String: the JSON text as it was sent."""
    return pa.array([bytes(value) for value in values], pa.binary())


def json_text(values: Sequence[Any]) -> pa.Array:
    """Any value that JSON holds -> String."""
    return pa.array([msgspec.json.encode(value) for value in values], pa.binary())


def headers(values: Sequence[Sequence[tuple[str, bytes | None]]]) -> pa.MapArray:
    """Headers as sent -> Map(String, String), which keeps their order and repeated names; no value is an empty one."""
    made = pa.array(values, _HEADERS)
    if made.items.null_count:
        made = pa.MapArray.from_arrays(made.offsets, made.keys, made.items.fill_null(b""))
    return made


def flag(values: Sequence[bool | None]) -> pa.Array:
    """Truth -> Bool."""
    return pa.array(values, pa.bool_())


def int64(values: Sequence[int | None]) -> pa.Array:
    """Whole numbers -> Int64."""
    return pa.array(values, pa.int64())


def uint64(values: Sequence[int | None]) -> pa.Array:
    """Counts and offsets -> UInt64."""
    return pa.array(values, pa.uint64())


def uint32(values: Sequence[int | None]) -> pa.Array:
    """Small counts and partitions -> UInt32."""
    return pa.array(values, pa.uint32())


def plain(rows: pa.Table) -> pa.Table:
    """Dictionary columns as their values: grouping and the wire beside a query take both, but not mixed."""
    fields = [
        pa.field(field.name, field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))
