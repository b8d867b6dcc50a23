"""`tapefold migrate`: the topics, the tables, and what is shipped in them."""

from sinks.migrate import migrate as migrate_tables
from sinks.migrate import schema_version
from sinks.tables import Tables
from stream_processors.names import changelog_topic
from tapefold import wiring
from tapefold.policies import publish as publish_policies
from tapefold.settings import Settings
from tapefold.stations import publish as publish_stations
from tapefold.stations import publish_symbols
from topics import catalog, domains
from topics.kafka import RECORD_BYTES_MAX, KafkaLog
from topics.policies import SHIPPED
from topics.stations import symbol_stations

_FOREVER_MS = "9223372036854775807"


def topic_settings() -> dict[str, dict[str, str]]:
    """Kafka's settings of every topic that `migrate` creates, the fold's changelog among them."""
    settings: dict[str, dict[str, str]] = {}
    for topic in catalog.TOPICS:
        settings[topic.name] = {
            "retention.ms": "-1" if topic.retention_ms is None else str(topic.retention_ms),
            "max.message.bytes": str(RECORD_BYTES_MAX),
            "message.timestamp.after.max.ms": _FOREVER_MS,  # a recorder whose clock runs ahead must not lose frames
        }
    settings[changelog_topic()] = {"cleanup.policy": "compact", "max.message.bytes": str(RECORD_BYTES_MAX)}
    return settings


def migrate(settings: Settings, log: KafkaLog, tables: Tables) -> tuple[list[str], list[str], int]:
    """Create topics and tables, append the shipped policies; returns the names created and applied, and the version."""
    counts = log.partition_counts()
    partitions = counts.get(catalog.RAW_KALSHI_WS, settings.topic_partitions)
    created = log.create(topic_settings(), partitions)
    publish_policies(log, SHIPPED)
    applied = migrate_tables(tables, settings.sql_dir / "migrations", wiring.now_ns)
    publish_stations(tables)
    publish_symbols(tables, symbol_stations(settings.symbol_stations, domains.ZONE_BY_STATION), wiring.now_ns())
    return created, applied, schema_version(tables)
