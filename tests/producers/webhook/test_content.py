"""What a body says of itself: ids, and whether two deliveries tell the same."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.webhook.content import DIGEST_BYTES, content_of, id_of_content

EVENT = {"id": "evt_1", "object": "event", "pending_webhooks": 1, "data": {"object": {"id": "ch_1", "n": 1.5}}}


def digest(value, scheme="stripe"):
    return content_of(scheme, value if isinstance(value, bytes) else json.dumps(value).encode()).digest


def test_stripe_s_ids_stand_in_the_body():
    """Of the event, and of the object that it is about."""
    content = content_of("stripe", json.dumps(EVENT).encode())
    assert ("evt_1", "ch_1", True) == (content.event_id, content.object_id, content.readable)


def test_a_standard_webhook_s_id_stands_in_a_header():
    """The body's own `id` is not the event's."""
    content = content_of("standard", b'{"id": "x", "data": {"id": "in_7"}}')
    assert (None, "in_7") == (content.event_id, content.object_id)


def test_order_and_blanks_are_no_content():
    """A sender may write the same event in another way."""
    assert digest(b'{"a":1,"b":[1.0,2]}') == digest(b'{ "b": [1.0, 2], "a": 1 }')


@pytest.mark.parametrize(
    ("one", "other"),
    [(b'{"a":1}', b'{"a":2}'), (b'{"a":0.1}', b'{"a":0.10000000000000000001}'), (b'{"a":1}', b'{"a":"1"}')],
)
def test_a_value_is_content_to_its_last_digit(one, other):
    """No number is rounded on the way."""
    assert digest(one) != digest(other)


def test_the_number_of_pending_deliveries_is_no_content():
    """Stripe counts it down from delivery to delivery; for other senders it is a field like any."""
    changed = EVENT | {"pending_webhooks": 0}
    assert digest(EVENT) == digest(changed)
    assert digest(EVENT, "standard") != digest(changed, "standard")


@pytest.mark.parametrize("body", [b"", b"\xff", b"[1]", b"NaN", b'{"a":NaN}', b"[" * 100_000, b'{"a":' + b"9" * 5_000])
def test_a_body_that_is_no_object_still_has_a_digest(body):
    """Its repeats are found by it."""
    content = content_of("stripe", body)
    assert (None, None, False) == (content.event_id, content.object_id, content.readable)
    assert DIGEST_BYTES == len(content.digest)
    assert id_of_content(content.digest).startswith("content:")


@pytest.mark.parametrize("bad", [5, None, "", "a b", "x" * 300, "\ud800"])
def test_an_id_that_names_nothing_is_none(bad):
    """Then the content stands in."""
    assert content_of("stripe", json.dumps(EVENT | {"id": bad}).encode()).event_id is None


@settings(max_examples=2_000, deadline=None)
@given(st.one_of(st.binary(max_size=100), st.text('{}[]",:0123.eE-\\u aid', max_size=60).map(str.encode)))
def test_any_body_has_a_digest(body):
    """Never an exception, and equal bytes have equal digests."""
    for scheme in ("stripe", "standard"):
        assert content_of(scheme, body).digest == content_of(scheme, bytes(body)).digest
