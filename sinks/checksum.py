"""Checksums that this side and the store compute alike: of a row, and of a range as the sum of its rows. Pure.

A row's hash covers offset, key, value, header values and timestamp, so a sum over a range tells a missing, a doubled,
an altered and a misplaced row. It guards against faults, not against someone who forges.
"""

import itertools
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sinks import columns

Hashes = npt.NDArray[np.uint64]

# The hash of one row of `raw_records`, in ClickHouse's SQL. The same as `row_hashes`; a test compares them.
ROW_HASH_SQL = (
    "intHash64(intHash64(_offset) + CRC32(concat(ifNull(_key, ''), value))"
    " + bitShiftLeft(toUInt64(CRC32(arrayStringConcat(mapValues(_headers)))), 32))"
    " + intHash64(intHash64(_offset) + toUInt64(toUnixTimestamp64Milli(_timestamp)))"
)


def row_hashes(
    offsets: Sequence[int],
    timestamps_ms: Sequence[int],
    keys: Sequence[bytes | None],
    headers: pa.MapArray,
    values: Sequence[bytes],
) -> Hashes:
    """One hash per record; headers as `columns.headers` makes them."""
    count = len(offsets)
    placed = int_hash64(np.array(offsets, np.uint64))
    before = map(zlib.crc32, [key or b"" for key in keys])
    content = np.fromiter(map(zlib.crc32, values, before), np.uint64, count)
    beside = np.fromiter(_header_crcs(headers), np.uint64, count)
    times = columns.clipped_ms(timestamps_ms).view(np.uint64)
    return int_hash64(placed + content + (beside << np.uint64(32))) + int_hash64(placed + times)


def total(hashes: Hashes) -> int:
    """The checksum of a range: the sum of its rows' hashes, modulo 2^64."""
    return int(hashes.sum(dtype=np.uint64))


def int_hash64(values: Hashes) -> Hashes:
    """ClickHouse's intHash64: the finalizer of MurmurHash3, of the value with some bits turned."""
    x = values ^ np.uint64(0x4CF2D2BAAE6DA887)
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xFF51AFD7ED558CCD)
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xC4CEB9FE1A85EC53)
    x ^= x >> np.uint64(33)
    return x


def _header_crcs(headers: pa.MapArray) -> list[int]:
    """CRC-32 of each record's header values, one behind the other as they lie in the column."""
    _, offsets, data = headers.items.buffers()
    assert (headers.offset, headers.items.offset) == (0, 0), "expected a column as it was made, was a slice of one"
    if not len(headers.items):
        return [0] * len(headers)
    ends = np.frombuffer(offsets, np.int32)[np.frombuffer(headers.offsets.buffers()[1], np.int32)[: len(headers) + 1]]
    view = memoryview(data)
    bounds: list[int] = ends.tolist()
    return [zlib.crc32(view[first:end]) for first, end in itertools.pairwise(bounds)]
