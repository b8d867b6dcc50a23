"""What the workers of a replay are asked for: topics by kind, generations by name."""

import pytest

from tapefold.replay import workers
from topics.catalog import FACT_POLICY, FOLD_TOPICS, RAW_TOPICS
from topics.errors import Refused


def test_topics_are_named_by_kind_or_one_by_one():
    """Raw and facts cannot be mixed: one is made of the other."""
    assert (*RAW_TOPICS, FACT_POLICY) == workers.topics_of(None) == workers.topics_of("raw")
    assert FOLD_TOPICS == workers.topics_of("facts")
    assert ("fact.trade", "fact.book") == workers.topics_of("fact.trade, fact.book")
    for wrong in ("nonsense", "raw.kalshi.ws,fact.trade", ","):
        with pytest.raises(Refused, match="--topics: expected raw, facts"):
            workers.topics_of(wrong)


def test_a_generation_is_a_name():
    """It becomes part of a database's name, so it must be one."""
    assert "tapefold_gen_a1" == workers.database_of("a1")
    for wrong in ("", "A", "a;DROP", "a" * 50):
        with pytest.raises(Refused, match="--generation"):
            workers.database_of(wrong)
