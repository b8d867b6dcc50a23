"""Checksums that this side and the store compute alike: of a row, and of a range as the sum of its rows. Pure.

A row's hash covers offset, key, value, header names and values, where each of them ends, and timestamp, so a sum over a range
tells a missing, a doubled, an altered and a misplaced row. It guards against faults, not against someone who forges.
The first version saw neither the names of headers nor where key and values end; what was committed by it is read by it.
"""

import itertools
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sinks import columns

Hashes = npt.NDArray[np.uint64]

SHAPED_FROM_CODE = 4  # commits of this `code` and later have the second version of the hash
# The hash of one row of `raw_records`, in ClickHouse's SQL. The same as `row_hashes`; a test compares them.
FIRST_ROW_HASH_SQL = (
    "intHash64(intHash64(_offset) + CRC32(concat(ifNull(_key, ''), value))"
    " + bitShiftLeft(toUInt64(CRC32(arrayStringConcat(mapValues(_headers)))), 32))"
    " + intHash64(intHash64(_offset) + toUInt64(toUnixTimestamp64Milli(_timestamp)))"
)
# What the second version adds: the names, and of each header in turn the lengths of name and value; of the key NULL and length.
_SHAPE_SQL = (
    "intHash64(intHash64(_offset) + toUInt64(CRC32(arrayStringConcat(mapKeys(_headers))))"
    " + bitShiftLeft(ifNull(toUInt64(length(_key)) + 1, 0), 32)"
    " + arraySum((name, held, place) -> intHash64("
    "toUInt64(length(name)) + bitShiftLeft(toUInt64(length(held)), 24) + bitShiftLeft(toUInt64(place), 56)"
    "), mapKeys(_headers), mapValues(_headers), arrayEnumerate(mapKeys(_headers))))"
)
ROW_HASH_SQL = f"{FIRST_ROW_HASH_SQL} + {_SHAPE_SQL}"


def row_hashes(
    offsets: Sequence[int],
    timestamps_ms: Sequence[int],
    keys: Sequence[bytes | None],
    headers: pa.MapArray,
    values: Sequence[bytes],
    *,
    first_version: bool = False,
) -> Hashes:
    """One hash per record; headers as `columns.headers` makes them. first_version: as commits of code 3 and before have it."""
    count = len(offsets)
    placed = int_hash64(np.array(offsets, np.uint64))
    before = map(zlib.crc32, [key or b"" for key in keys])
    content = np.fromiter(map(zlib.crc32, values, before), np.uint64, count)
    beside = np.fromiter(_crcs(headers, headers.items), np.uint64, count)
    times = columns.clipped_ms(timestamps_ms).view(np.uint64)
    hashes: Hashes = int_hash64(placed + content + (beside << np.uint64(32))) + int_hash64(placed + times)
    if first_version:
        return hashes
    names = np.fromiter(_crcs(headers, headers.keys), np.uint64, count)
    lengths = np.fromiter((0 if key is None else len(key) + 1 for key in keys), np.uint64, count)
    return hashes + int_hash64(placed + names + (lengths << np.uint64(32)) + _shapes(headers))


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


def _crcs(headers: pa.MapArray, texts: pa.Array) -> list[int]:
    """CRC-32 of each record's header names, or values, one behind the other as they lie in the column."""
    data = texts.buffers()[2]
    if not len(texts) or data is None:
        return [0] * len(headers)
    ends = _ends(texts)[_ends(headers)]
    view = memoryview(data)
    bounds: list[int] = ends.tolist()
    return [zlib.crc32(view[first:end]) for first, end in itertools.pairwise(bounds)]


def _shapes(headers: pa.MapArray) -> Hashes:
    """Of each record the sum of a hash per header: of the lengths of its name and value, and its place from 1 on."""
    if not len(headers.keys):
        return np.zeros(len(headers), np.uint64)
    ends = _ends(headers)
    counts = np.diff(ends)
    places = np.arange(ends[-1], dtype=np.uint64) - np.repeat(ends[:-1], counts).astype(np.uint64) + np.uint64(1)
    names, held = (np.diff(_ends(texts)).astype(np.uint64) for texts in (headers.keys, headers.items))
    each = int_hash64(names + (held << np.uint64(24)) + (places << np.uint64(56)))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(each, dtype=np.uint64)])
    shapes: Hashes = sums[ends[1:]] - sums[ends[:-1]]
    return shapes


def _ends(column: pa.Array) -> npt.NDArray[np.int32]:
    """Where the parts of a column begin, and where the last one ends."""
    assert column.offset == 0, "expected a column as it was made, was a slice of one"
    return np.frombuffer(column.buffers()[1], np.int32)[: len(column) + 1]
