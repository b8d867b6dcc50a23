"""Anything at all that may come down a socket: a fact that the log and the store can hold, nothing, or a refusal."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kalshi_frames import CAUSE, ENVELOPE, FACT_FRAMES, REPLIES, ssmd

from stream_processors.parsers.kalshi import parse
from topics.codec import decode_fact, encode
from topics.errors import REASONS, BadRecord


def fact_or_refusal(value):
    """The one promise: a fact that the log and the store can hold, nothing, or a refusal with a reason of the list."""
    try:
        fact = parse(value, ENVELOPE, CAUSE)
    except BadRecord as refused:
        if refused.reason not in REASONS:
            raise
        return
    if fact is None:
        return
    assert fact == decode_fact(encode(fact))
    for name in fact.__struct_fields__:
        number = getattr(fact, name)
        if name.endswith(("_e6", "_e4")) and number is not None:
            assert abs(number) < 10**18
        elif isinstance(number, int):
            assert -(2**63) <= number < 2**63


RECORDED = (*ssmd("trade"), *ssmd("ticker"))
TOP = {
    "type": "top_of_book",
    "sid": 0,
    "msg": {
        "timestamp": "2025-12-09T07:04:02.893378", "zone": "America/Los_Angeles", "market_ticker": "KXHIGHNY-25DEC10-B46.5",
        "best_yes_bid": 2, "best_no_bid": 38, "implied_no_ask": 98, "implied_yes_ask": 62,
    },
}  # fmt: skip
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(10**13, 10**20) | st.floats() | st.text(max_size=20)
    | st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,8})?", fullmatch=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


@st.composite
def broken_frames(draw):
    """A frame with some fields set to anything or taken out, then perhaps with bytes changed or cut off."""
    frame = draw(st.sampled_from((*RECORDED, *FACT_FRAMES, TOP, *REPLIES)))
    frame = frame | ({"msg": dict(frame["msg"])} if isinstance(frame.get("msg"), dict) else {})
    for _ in range(draw(st.integers(0, 3))):
        inner = frame.get("msg")
        target = inner if isinstance(inner, dict) and inner and draw(st.booleans()) else frame
        name = draw(st.sampled_from(sorted(target))) if target else "type"
        if draw(st.booleans()):
            target[name] = draw(ANY_JSON)
        else:
            target.pop(name, None)
    value = bytearray(json.dumps(frame, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.sampled_from((0, 0, 1, 3)))):
        place = draw(st.integers(0, len(value)))
        value[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(value)


@settings(max_examples=500, deadline=None)
@given(st.binary())
def test_any_bytes_give_a_fact_or_a_refusal(value):
    """Bytes out of nowhere never raise anything but BadRecord."""
    fact_or_refusal(value)


@settings(max_examples=1_500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(broken_frames())
def test_any_broken_frame_gives_a_fact_or_a_refusal(value):
    """Real frames with fields and bytes changed neither: what passes fits the log and the store."""
    fact_or_refusal(value)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@settings(max_examples=100_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary() | broken_frames())
def test_any_of_very_many_broken_frames_gives_a_fact_or_a_refusal(value):
    """The same with enough examples to meet rare pairs of faults."""
    fact_or_refusal(value)
