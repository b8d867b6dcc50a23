"""Any answer at all: facts that the log and the store can hold, or refusals; never another exception."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kalshi_answers import API, FETCHED, LOADED, MADE, facts_of, shipped

from topics.codec import decode_fact, encode
from topics.errors import REASONS, BadRecord

STATUS_URLS = [f"{API}/markets", f"{API}/events/E", f"{API}/markets/trades", f"{API}/markets/A/orderbook", "://[", "/"]
CHART = {
    "timestamp": "2026-04-23T14:01:00Z",
    "prices": {"77° or below": "", "78° to 79°": "15.00", "86° or above": "3.42"},
}
RECORDED = [
    *MADE,
    ("/chart/KXHIGHMIA-26APR24", CHART),
    *((url, json.loads(body)) for url, body in shipped() if len(body) < 20_000),
]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.integers(10**13, 10**20) | st.floats() | st.text(max_size=20)
    | st.sampled_from(["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-02-30T00:00:00Z", "1e400", "-0", "\ud800"])
    | st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,8})?", fullmatch=True)
)  # fmt: skip
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


def facts_or_refusals(url, value, envelope):
    """The one promise."""
    try:
        facts = facts_of(url, value, envelope)
    except BadRecord as refused:
        if refused.reason not in REASONS:
            raise
        return
    for fact in facts:
        if isinstance(fact, tuple):
            assert fact[1].reason in REASONS
            continue
        assert fact == decode_fact(encode(fact))
        for name in fact.__struct_fields__:
            number = getattr(fact, name)
            if name.endswith(("_e6", "_e4")) and number is not None:
                assert abs(number) < 10**18
            elif isinstance(number, int):
                assert -(2**63) <= number < 2**63


def places(node, depth=0):
    """Every container of a document."""
    if depth < 5 and isinstance(node, dict | list) and node:
        yield node
        for child in node.values() if isinstance(node, dict) else node[:3]:
            yield from places(child, depth + 1)


@st.composite
def broken_answers(draw):
    """A recorded answer with fields set to anything or taken out, then perhaps with bytes changed or cut off."""
    url, body = draw(st.sampled_from(RECORDED))
    body = json.loads(json.dumps(body))
    for _ in range(draw(st.integers(0, 3))):
        where = draw(st.sampled_from(list(places(body)) or [body]))
        name = draw(st.sampled_from(sorted(where) if isinstance(where, dict) else range(len(where)))) if where else None
        if name is None:
            break
        if draw(st.booleans()):
            where[name] = draw(ANY_JSON)
        else:
            del where[name]
    value = bytearray(json.dumps(body, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.sampled_from((0, 0, 1, 3)))):
        place = draw(st.integers(0, len(value)))
        value[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return url, bytes(value), draw(st.sampled_from((FETCHED, LOADED)))


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(STATUS_URLS) | st.text(max_size=60), st.binary())
def test_any_bytes_at_any_url_give_facts_or_refusals(url, value):
    """Bytes out of nowhere, asked for anywhere."""
    facts_or_refusals(url, value, FETCHED)


@settings(max_examples=1_500, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(broken_answers())
def test_any_broken_answer_gives_facts_or_refusals(case):
    """Real answers with fields and bytes changed."""
    facts_or_refusals(*case)


@pytest.mark.slow
@pytest.mark.timeout(3_000)
@settings(max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(broken_answers())
def test_any_of_very_many_broken_answers_gives_facts_or_refusals(case):
    """The same with enough examples to meet rare pairs of faults."""
    facts_or_refusals(*case)
