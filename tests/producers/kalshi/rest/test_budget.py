"""How fast, and when not at all."""

import bisect

import pytest

from producers.backoff import Breaker
from producers.kalshi.rest.budget import COST, PARTS, SHARE, TOKENS_PER_S, Budget
from topics.errors import SettingsError


def calls(budget, lane, from_s, to_s):
    """How many calls a greedy caller gets through in [from_s, to_s), told to wait and waiting."""
    now_s, count = from_s, 0
    while now_s < to_s:
        wait_s = budget.draw(lane, now_s)
        count += not wait_s
        now_s += max(wait_s, 0.001)
    return count


def test_a_greedy_caller_stays_below_the_tier():
    """Of the basic tier's 20 calls a second `run rest` takes 13.6, after what the bucket held at the start."""
    budget = Budget("basic", 0.0)
    calls(budget, "live", 0.0, 10.0)
    allowed = TOKENS_PER_S["basic"] * PARTS["rest"] * SHARE / COST
    assert allowed * 60 * 0.98 <= calls(budget, "live", 10.0, 70.0) <= allowed * 60 + 1


def test_unsigned_calls_come_below_one_a_second():
    """The address's limit is not documented; above one a second 429 were seen."""
    budget = Budget("unsigned", 0.0)
    assert 40 <= calls(budget, "live", 10.0, 70.0) <= 42


def times(budget, from_s, to_s):
    """When a greedy caller gets through in [from_s, to_s)."""
    now_s, found = from_s, []
    while now_s < to_s:
        wait_s = budget.draw("live", now_s)
        if not wait_s:
            found.append(now_s)
        now_s += max(wait_s, 0.001)
    return found


@pytest.mark.parametrize(
    ("tier", "shards"),
    [("basic", 1), ("basic", 4), ("basic", 8), ("basic", 16), ("advanced", 4), ("advanced", 20), ("prestige", 8)],
)
def test_all_recorders_together_stay_below_the_tier_in_every_second(tier, shards):
    """They share an account and know nothing of each other; wherever the second begins, one call is kept back."""
    sockets = [Budget(tier, 0.0, caller="ws", shards=shards) for _ in range(shards)]
    rest = Budget(tier, 0.0, shards=shards)
    asked = sorted(at_s for one in (rest, *sockets) for at_s in times(one, 0.0, 12.0))
    busiest = max(bisect.bisect_left(asked, at_s + 1.0) - place for place, at_s in enumerate(asked))
    limit = TOKENS_PER_S[tier] / COST
    assert limit * 0.6 <= busiest <= limit - 1
    assert times(rest, 12.0, 13.0)


@pytest.mark.parametrize("caller", ["rest", "ws"])
def test_more_shards_than_the_tier_has_calls_for_are_refused(caller):
    """A greater tier, or fewer of them; without a signature there are none."""
    with pytest.raises(SettingsError, match=r"WS_SHARD_COUNT: .* 200 tokens a second of REST_TIER=basic, was 17"):
        Budget("basic", 0.0, caller=caller, shards=17)
    Budget("unsigned", 0.0, caller=caller, shards=17)


def test_backfill_never_starves_live():
    """However greedy backfill was, a live call goes at once."""
    budget = Budget("basic", 0.0)
    calls(budget, "backfill", 0.0, 30.0)
    assert 0.0 == budget.draw("live", 30.0)


def test_live_calls_do_not_starve_backfill_for_ever():
    """A live loop that asks twice a second leaves backfill most of the rate."""
    budget, done = Budget("basic", 0.0), 0
    for second in range(20):
        budget.draw("live", float(second))
        budget.draw("live", second + 0.5)
        done += calls(budget, "backfill", second + 0.51, second + 1.0)
    assert 100 <= done


def test_a_clock_that_steps_back_gives_no_tokens():
    """Nothing is gained, nothing lost."""
    budget = Budget("unsigned", 100.0)
    assert [0.0, 0.0] == [budget.draw("live", 100.0), budget.draw("live", 100.0)]
    assert budget.draw("live", 50.0) > 0


def test_the_breaker_opens_at_the_threshold_and_lets_one_try_afterwards():
    """Closed again by a success; a failure of the one that tried opens it anew."""
    breaker = Breaker(3, 60.0)
    assert [False, False, True] == [breaker.failed(float(at)) for at in range(3)]
    assert (60.0, 0.0) == (breaker.wait_s(2.0), breaker.wait_s(62.0))
    assert breaker.failed(62.0)
    assert (60.0, 2) == (breaker.wait_s(62.0), breaker.opened)
    breaker.succeeded()
    assert (0.0, 0) == (breaker.wait_s(62.0), breaker.failures)


def test_a_threshold_of_zero_never_opens():
    """As the settings say."""
    breaker = Breaker(0, 60.0)
    assert not any(breaker.failed(0.0) for _ in range(100))
    assert 0.0 == breaker.wait_s(0.0)
