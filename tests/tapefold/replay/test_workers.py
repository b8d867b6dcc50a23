"""What the workers of a replay are asked for: topics by kind."""

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
