"""The catalogue: every topic says what it holds, under which key, for how long, and who writes it."""

import re
from pathlib import Path

import pytest

from sinks.layouts import LAYOUTS
from sinks.rows import layout_of
from stream_processors.ingest import WATERMARK_TOPICS
from tapefold.migrating import topic_settings
from topics import annotations, asof, catalog, events, kalshi_rest, policies, rag, tws, weather, webhook
from topics.catalog import (
    BY_NAME,
    FACT_ANNOTATION,
    FACT_BOOK,
    FACT_PREDICTION,
    FACT_TICK,
    FACT_WEBHOOK,
    FOLD_TOPICS,
    RAW_TOPICS,
    SINK_TOPICS,
    TOPICS,
)

ROOT = Path(__file__).resolve().parents[2]
every_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
_WRITERS = {
    "producers.kalshi": "producers/kalshi",
    "producers.iem": "producers/iem",
    "producers.tws": "producers/tws",
    "producers.webhook": "producers/webhook",
    "producers.rag": "producers/rag",
    "ingest": "stream_processors/ingest.py",
    "fold": "stream_processors",
    "tapefold.policies": "tapefold/policies.py",
    "tapefold.ledger": "tapefold/ledger.py",
}


@every_topic
def test_a_topic_is_documented(topic):
    """A sentence, a key and a value: what a reader needs before the first record."""
    assert re.fullmatch(r"[A-Z][^\n]{15,}\.", topic.description)
    assert topic.key
    assert topic.value


@every_topic
def test_a_topic_s_writers_are_parts_of_this_tree(topic):
    """Whoever is named as the owner can be opened and read."""
    assert all((ROOT / _WRITERS[writer]).exists() for writer in topic.owner.split(", "))


@every_topic
def test_a_typed_value_names_types_that_exist(topic):
    """The types of the values are those of topics.events or of a source's module; raw values are the vendor's bytes."""
    if topic.group == "raw":
        assert topic.value.startswith("the frame's bytes as received")
    else:
        modules = (annotations, asof, events, kalshi_rest, policies, rag, tws, weather, webhook)
        assert all(any(hasattr(module, name) for module in modules) for name in topic.value.split(" | "))


@every_topic
def test_only_what_can_be_folded_again_expires(topic):
    """Raw records and facts are the truth, refusals the account of it; derived rows come back by a replay."""
    if topic.group == "derived":
        assert 24 * 3600 * 1000 <= topic.retention_ms
    else:
        assert topic.retention_ms is None
    assert not topic.compacted


@every_topic
def test_a_topic_s_name_says_its_group(topic):
    """`raw.` and `fact.` are prefixes of the groups of that name, and of no other."""
    assert re.fullmatch(r"[a-z0-9]+(\.[a-z0-9]+)*", topic.name)
    prefix = topic.name.partition(".")[0]
    assert (topic.group if topic.group in {"raw", "fact"} else None) == (prefix if prefix in {"raw", "fact"} else None)


def test_names_of_raw_topics_have_at_most_16_bytes():
    """The store ranks several tellings of a trade by them, in a value of fixed width."""
    assert RAW_TOPICS
    assert 16 >= max(len(name.encode()) for name in RAW_TOPICS)


def test_names_are_unique():
    """One topic, one entry."""
    assert len(TOPICS) == len(BY_NAME)
    assert [topic.name for topic in TOPICS] == list(BY_NAME)


def test_the_fold_reads_all_facts_but_ticks_webhooks_predictions_and_annotations():
    """They derive nothing: the sink takes them as they are."""
    facts = {topic.name for topic in TOPICS if topic.group == "fact"}
    assert facts - {FACT_TICK, FACT_WEBHOOK, FACT_PREDICTION, FACT_ANNOTATION} == set(FOLD_TOPICS)
    assert len(FOLD_TOPICS) == len(set(FOLD_TOPICS))


def test_the_sink_reads_all_topics_but_book_changes():
    """Each of those stands in `books` beside the levels it led to."""
    assert set(BY_NAME) - {FACT_BOOK} == set(SINK_TOPICS)
    assert len(SINK_TOPICS) == len(set(SINK_TOPICS))


def test_watermarks_are_taken_from_topics_that_the_fold_reads():
    """A beat on a topic that nobody folds would hold every watermark for ever."""
    assert set(FOLD_TOPICS) > set(WATERMARK_TOPICS)
    assert all("Beat" in BY_NAME[name].value.split(" | ") for name in WATERMARK_TOPICS)


def test_every_topic_is_created_with_its_retention():
    """What the catalogue says is what the broker is told."""
    settings = topic_settings()
    for topic in TOPICS:
        kept = "-1" if topic.retention_ms is None else str(topic.retention_ms)
        assert kept == settings[topic.name]["retention.ms"]


def test_headers_are_short_names_of_their_own():
    """They are written on every raw record, and read by people in `kcat`."""
    names = [value for name, value in vars(catalog).items() if name.startswith("H_")]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z_]{1,16}", name) for name in names)
    assert ((catalog.H_SCHEMA, b"1"),) == catalog.SCHEMA_HEADER


def test_every_table_of_the_sink_has_its_columns():
    """The layouts are keyed by table, and the journal of the bars shares that of the bars."""
    assert LAYOUTS["bars_1m"] == layout_of("bars_1m_journal")
