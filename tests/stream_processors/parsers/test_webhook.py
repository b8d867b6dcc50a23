"""Webhook bodies -> facts: what is read, what stands in for what is not told, and what is refused."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processors.envelope import Envelope
from stream_processors.parsers.webhook import key_of, parse
from topics.codec import decode_fact, encode
from topics.errors import BadRecord
from topics.events import Cause

ENVELOPE = Envelope("door-1", 1_776_000_001_000_000_000, "observed")
CAUSE = Cause("raw.webhook", 2, 7)
STRIPE = {"id": "evt_1", "object": "event", "type": "charge.succeeded", "created": 1_776_000_000}


def headers(scheme="stripe", **more):
    said = {"provider": "pay", "scheme": scheme, "webhook_id": "evt_1", "content": "0a", "signed_s": "1776000000"}
    return {name: value.encode() for name, value in (said | more).items()}


def read(body, scheme="stripe", **more):
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse(value, ENVELOPE, headers(scheme, **more), CAUSE)


def refused(body, scheme="stripe", **more):
    with pytest.raises(BadRecord) as error:
        read(body, scheme, **more)
    return error.value.reason


def test_a_stripe_event_is_typed():
    """Type, object and creation are read; identity and signed time are the receiver's."""
    fact = read(STRIPE | {"data": {"object": {"id": "ch_1", "object": "charge"}}})
    assert ("pay", "evt_1", "charge.succeeded", "ch_1") == (
        fact.provider,
        fact.event_id,
        fact.event_type,
        fact.object_id,
    )
    assert (1_776_000_000_000_000_000, "payload") == (fact.event_ns, fact.event_by)
    assert (True, 1_776_000_000_000_000_000) == (fact.verified, fact.signed_ns)
    assert "pay/ch_1" == key_of(fact)


def test_a_webhook_is_known_when_it_was_received():
    """Neither its own time nor the signed one makes it known: the receive stamp alone does."""
    fact = read(STRIPE | {"created": 1})
    assert (ENVELOPE.received_ns, ENVELOPE.received_ns, "observed") == (fact.known_ns, fact.received_ns, fact.known_by)


def test_a_thin_stripe_event_is_typed():
    """Its time is RFC 3339, and it has no object."""
    fact = read({"id": "evt_2", "object": "v2.core.event", "type": "v1.billing", "created": "2022-02-15T00:27:45.330Z"})
    assert 1_644_884_865_330_000_000 == fact.event_ns
    assert "pay/evt_1" == key_of(fact)


@pytest.mark.parametrize(
    ("body", "event_type", "object_id", "event_ns", "event_by"),
    [
        ({"test": 2432232314}, None, None, 1_776_000_000_000_000_000, "signed"),
        (
            {"type": "a.b", "timestamp": "2026-04-12T13:20:00.000001+00:00", "data": {"id": "x"}},
            "a.b",
            "x",
            1_776_000_000_000_001_000,
            "payload",
        ),
        (
            {"type": 5, "timestamp": "2026-04-12T13:20:00", "data": []},
            None,
            None,
            1_776_000_000_000_000_000,
            "signed",
        ),
    ],
    ids=["nothing", "all", "other kinds"],
)
def test_a_standard_webhook_is_read_where_it_follows_the_recommendation(
    body, event_type, object_id, event_ns, event_by
):
    """The specification prescribes no payload; a time without an offset is no time."""
    fact = read(body, "standard")
    assert (event_type, object_id, event_ns, event_by) == (
        fact.event_type,
        fact.object_id,
        fact.event_ns,
        fact.event_by,
    )


def test_without_a_verified_signature_our_clock_stands_in():
    """An unverified request vouches for no time."""
    said = headers("standard")
    del said["signed_s"]
    fact = parse(b"{}", ENVELOPE, said, CAUSE)
    assert (ENVELOPE.received_ns, "received", False) == (fact.event_ns, fact.event_by, fact.verified)


def test_the_payload_is_kept_as_sent_but_for_blanks():
    """Numbers keep their digits, and the fact is one line."""
    fact = read(b'{"a": 0.10000000000000000001,\n "b" : [1 , 2.0 ]}', "standard")
    assert b'{"a":0.10000000000000000001,"b":[1,2.0]}' == bytes(fact.payload)
    assert bytes(fact.payload) == bytes(decode_fact(encode(fact)).payload)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"not JSON", "not_json"),
        (b'{"a": "\xff"}', "not_json"),
        ('{"id":"e"}'.encode("utf-16"), "not_json"),
        ([1], "bad_value"),
        ({"object": "event", "type": "t"}, "missing_field"),
        (STRIPE | {"object": "charge"}, "bad_value"),
        (STRIPE | {"created": "yesterday"}, "bad_value"),
        (STRIPE | {"created": 10**12}, "bad_value"),
        (STRIPE | {"created": -1}, "bad_value"),
    ],
)
def test_what_is_no_event_is_refused(body, reason):
    """Each with its reason; the record itself stands on the log."""
    assert reason == refused(body)


def test_other_content_under_a_known_id_is_a_conflict():
    """The receiver said so; the refusal names the record that came first."""
    with pytest.raises(BadRecord, match=r"conflict: expected the content of raw.webhook 1/5, .* 'evt_1'"):
        read(STRIPE, conflict="1/5")


def test_a_recorded_request_that_nobody_signed_is_refused():
    """Only recordings hold such: a receiver answers them with 400."""
    assert "bad_signature" == refused(STRIPE, rejected="wrong_signature")


@pytest.mark.parametrize("lost", ["provider", "scheme", "webhook_id", "content"])
def test_a_record_without_the_receiver_s_words_is_refused(lost):
    """Foreign records on the topic are no webhooks."""
    said = headers()
    del said[lost]
    with pytest.raises(BadRecord, match="missing_header"):
        parse(json.dumps(STRIPE).encode(), ENVELOPE, said, CAUSE)


def test_a_signed_time_is_digits():
    """Our own header, or none."""
    assert "missing_header" == refused(STRIPE, signed_s="soon")
    assert "missing_header" == refused(STRIPE, signed_s="9" * 19)


def mangled(seeds):
    """Bodies that begin like real ones: cut, spliced, flipped."""

    def mangle(parts):
        body, at, piece = parts
        return body[: at % (len(body) + 1)] + piece + body[at % (len(body) + 1) + len(piece) :]

    return st.tuples(st.sampled_from(seeds), st.integers(0, 4_000), st.binary(max_size=8)).map(mangle)


SEEDS = [
    json.dumps(STRIPE | {"data": {"object": {"id": "ch_1"}}}).encode(),
    b'{"type":"a.b","timestamp":"2026-04-12T13:20:00Z","data":{"id":"x","n":1.5e300}}',
    b'{"a":' * 400 + b"1" + b"}" * 400,
]


def give_fact_or_refusal(body, scheme):
    """The only two answers; a fact comes back from the log as it was written."""
    try:
        fact = read(body, scheme)
    except BadRecord:
        return
    try:
        again = decode_fact(encode(fact))
    except RecursionError:  # nested too deep for whoever reads it: the sink refuses it with its cause
        return
    assert encode(again) == encode(fact)
    msgspec.json.decode(fact.payload, type=dict[str, msgspec.Raw])


@settings(max_examples=2_000, deadline=None)
@given(st.one_of(mangled(SEEDS), st.binary(max_size=200)), st.sampled_from(["stripe", "standard"]))
def test_any_body_gives_a_fact_or_a_refusal(body, scheme):
    """Never another exception, and never a hang."""
    give_fact_or_refusal(body, scheme)


@pytest.mark.slow
@settings(max_examples=100_000, deadline=None)
@given(st.one_of(mangled(SEEDS), st.binary(max_size=200)), st.sampled_from(["stripe", "standard"]))
def test_very_many_bodies_give_a_fact_or_a_refusal(body, scheme):
    """The same, for a night."""
    give_fact_or_refusal(body, scheme)
