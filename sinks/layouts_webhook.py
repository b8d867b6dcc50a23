"""The table of webhooks: each column, the attribute that fills it, and its maker."""

from sinks import columns
from sinks.layout_parts import CAUSE, TIMES, Layout

LAYOUTS: dict[str, Layout] = {
    "webhook_events": (
        ("provider", "provider", columns.labels),
        ("event_id", "event_id", columns.text),
        ("event_type", "event_type", columns.labels),
        ("object_id", "object_id", columns.text),
        ("scheme", "scheme", columns.labels),
        ("event_by", "event_by", columns.labels),
        ("signed_at", "signed_ns", columns.time_ns),
        ("verified", "verified", columns.flag),
        ("content", "content", columns.text),
        ("payload", "payload", columns.json_raw),
        ("conn", "conn", columns.labels),
        *TIMES,
        *CAUSE,
    ),
}
