"""What the layouts of several sources share."""

from sinks import columns
from sinks.columns import Column

Layout = tuple[tuple[str, str, Column], ...]  # column, attribute of the struct, maker

CAUSE: Layout = (
    ("cause_topic", "cause.topic", columns.labels),
    ("cause_partition", "cause.partition", columns.uint32),
    ("cause_offset", "cause.offset", columns.uint64),
    ("cause_index", "cause.index", columns.uint32),
)
KNOWN: Layout = (("known_at", "known_ns", columns.time_ns), ("known_by", "known_by", columns.labels))
TIMES: Layout = (
    ("event_at", "event_ns", columns.time_ns),
    ("received_at", "received_ns", columns.time_ns),
    *KNOWN,
)
PRICES_OF_BAR: Layout = (
    ("open", "open_e6", columns.price),
    ("high", "high_e6", columns.price),
    ("low", "low_e6", columns.price),
    ("close", "close_e6", columns.price),
    ("volume", "volume_e4", columns.size),
)
REVISION: Layout = (("rev", "rev", columns.uint64), ("row_id", "row_id", columns.text))
