"""Recorded deliveries: verified at their own time, parsed as live, and nothing invented about when they were known."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapefold.payloads import records
from tapefold.payloads.files import UnreadableFile
from tapefold.payloads.sources import SOURCES
from tapefold.payloads.webhook import payloads
from tapefold.simulators.webhook.signing import signed

VECTORS = Path(__file__).resolve().parents[2] / "data" / "webhooks" / "vectors.json"
SHARED_DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW_NS = 1_800_000_000 * 10**9
BODY = '{"type": "a"}'
DELIVERY = {"headers": signed("standard", SECRET, "m1", BODY.encode(), 1_776_000_000), "body": BODY, "secret": SECRET}


def parsed(path):
    lines = []
    records.parse("webhook", SOURCES["webhook"], [path], "them", now_ns=lambda: NOW_NS, out=lines.append)
    return [json.loads(line) for line in lines]


def of(tmp_path, value):
    path = tmp_path / "deliveries.json"
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return parsed(path)


def test_the_published_vectors_are_facts_where_they_are_right():
    """As an independent count of the file has it: valid ones with a body are facts, all others are refused."""
    vectors = json.loads(VECTORS.read_text())
    right = [vector["body"] is not None and vector["expect"].startswith("valid") for vector in vectors]
    assert 7 == sum(right)
    assert right == [line["topic"] == "fact.webhook" for line in parsed(VECTORS)]


def test_a_delivery_without_a_stamp_is_assumed_at_its_signed_time(tmp_path):
    """Nobody stamped it; it is not known before it was signed."""
    (line,) = of(tmp_path, DELIVERY)
    assert (1_776_000_000 * 10**9, "assumed") == (line["value"]["known_ns"], line["value"]["known_by"])


def test_a_receiver_s_stamp_is_observed(tmp_path):
    """By that receiver."""
    (line,) = of(tmp_path, DELIVERY | {"received_ns": 1_776_000_002 * 10**9, "provider": "pay"})
    assert (1_776_000_002 * 10**9, "observed") == (line["value"]["known_ns"], line["value"]["known_by"])
    assert "pay/m1" == line["key"]


def test_a_bare_payload_is_known_from_the_load_on(tmp_path):
    """It shows a time of its own, but not when anybody had it; and no signature vouches for it."""
    (line,) = of(tmp_path, {"id": "evt_1", "object": "event", "type": "t", "created": 1_776_000_000})
    assert (NOW_NS, "stripe", "evt_1") == (
        line["value"]["known_ns"],
        line["value"]["scheme"],
        line["value"]["event_id"],
    )
    assert "signed_ns" not in line["value"]


@pytest.mark.parametrize("shape", ["list", "lines", "base64"])
def test_deliveries_may_stand_in_several_shapes(tmp_path, shape):
    """A list, one a line, or with the body packed."""
    packed = {"headers": DELIVERY["headers"], "secret": SECRET, "body_base64": base64.b64encode(BODY.encode()).decode()}
    value = {
        "list": [DELIVERY, DELIVERY],
        "lines": b"\n".join([json.dumps(DELIVERY).encode()] * 2),
        "base64": [packed] * 2,
    }[shape]
    assert ["fact.webhook"] * 2 == [line["topic"] for line in of(tmp_path, value)]


def test_lines_that_are_none_are_refused_and_the_others_pass(tmp_path):
    """Each line stands for itself."""
    lines = of(tmp_path, b"nonsense\n" + json.dumps(DELIVERY).encode() + b"\n[1]\n")
    assert ["dead", "fact.webhook", "dead"] == [line["topic"] for line in lines]


def test_a_wrong_signature_is_refused(tmp_path):
    """A receiver would not have stored it."""
    (line,) = of(tmp_path, DELIVERY | {"body": BODY + " "})
    assert ("dead", "bad_signature") == (line["topic"], line["value"]["reason"])


def test_stripe_s_published_resources_are_events_or_refused():
    """Of twelve, one is an event; a resource without its event is none."""
    path = SHARED_DATA / "webhooks" / "stripe_openapi_fixtures_subset.json"
    if not path.is_file():
        pytest.skip(f"needs {path.name}, which is not shipped")
    topics = [line["topic"] for line in parsed(path)]
    assert (1, 11) == (topics.count("fact.webhook"), topics.count("dead"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["headers", "body", "secret", "body_base64", "webhook-id", "object", "x"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(JSON.map(lambda value: json.dumps(value).encode()), st.binary(max_size=60)))
def test_any_file_gives_payloads(tmp_path, text):
    """Facts or refusals; the only exception says that it cannot be unpacked."""
    path = tmp_path / "any.json"
    path.write_bytes(text)
    try:
        found = list(payloads(path))
    except UnreadableFile:  # it begins like gzip
        return
    records.parse("webhook", SOURCES["webhook"], [path], "them", now_ns=lambda: NOW_NS, out=lambda _: None)
    assert all(payload.headers for payload in found)
