"""Signatures: the published vectors, every way to spoil one, and both limits of time."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.webhook import schemes
from producers.webhook.schemes import Rejected, Tolerance, key_of, unverified, verify
from tapefold.simulators.webhook.signing import public_key, signed
from topics.errors import SettingsError

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "webhooks" / "vectors.json").read_text())
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
PRIVATE = "whsk_" + base64.b64encode(bytes(range(32))).decode()
WITHIN = Tolerance(300, 60)
NOW_S = 1_614_265_330
BODY = b'{"test": 2432232314}'
STANDARD = signed("standard", SECRET, "msg_1", BODY, NOW_S)


def raw(headers):
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def check(scheme, secrets, headers, body=BODY, now_s=NOW_S):
    keys = [key_of(scheme, secret) for secret in secrets]
    return verify(scheme, keys, headers, body, now_ns=int(now_s * 10**9), within=WITHIN)


def why(*arguments, **named):
    with pytest.raises(Rejected) as rejected:
        check(*arguments, **named)
    return rejected.value.why


def scheme_of(vector):
    return "stripe" if vector["scheme"].startswith("stripe") else "standard"


def time_of(vector):
    headers = vector["headers"]
    return int(headers.get("webhook-timestamp") or headers["Stripe-Signature"].split(",")[0].split("=")[1])


SIGNED = [vector for vector in VECTORS if vector["body"] is not None]


@pytest.mark.parametrize(
    "vector", [v for v in SIGNED if v["expect"].startswith("valid")], ids=lambda vector: vector["name"]
)
def test_a_published_signature_is_right(vector):
    """The vectors of the official libraries, at their own time."""
    result = check(
        scheme_of(vector), [vector["secret"]], raw(vector["headers"]), vector["body"].encode(), time_of(vector)
    )
    assert time_of(vector) == result.signed_s
    assert vector["headers"].get("webhook-id") == result.event_id


@pytest.mark.parametrize(
    "vector", [v for v in SIGNED if v["expect"].startswith("invalid")], ids=lambda vector: vector["name"]
)
def test_a_published_forgery_is_rejected(vector):
    """Each for its own reason."""
    reasons = {
        "standard-webhooks/invalid-signature": "wrong_signature",
        "standard-webhooks/partial-signature": "wrong_signature",
        "stripe/wrong-scheme": "no_known_signature",
        "stripe/not-a-header": "malformed_header",
    }
    body = vector["body"].encode()
    assert reasons[vector["name"]] == why(scheme_of(vector), [vector["secret"]], raw(vector["headers"]), body)


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["body"] is None], ids=lambda vector: vector["name"])
def test_a_published_header_is_read(vector):
    """Without its secret the signature is wrong, but the header is none of the malformed."""
    secret = "whsec_x" if scheme_of(vector) == "stripe" else SECRET
    assert "wrong_signature" == why(scheme_of(vector), [secret], raw(vector["headers"]), b"", time_of(vector))


def test_stripe_s_own_library_signs_like_this():
    """Computed with stripe 16.1.0."""
    headers = raw(
        {"Stripe-Signature": "t=1492774577,v1=799c4ba7bb339f3c8601adfd112f0e477c930a268be1243d341abb8286501c2f"}
    )
    assert 1_492_774_577 == check("stripe", ["whsec_test_secret"], headers, b'{"id":"evt_1"}', 1_492_774_577).signed_s


@pytest.mark.parametrize("secrets", [[SECRET, OTHER], [OTHER, SECRET]])
def test_any_of_several_secrets_will_do(secrets):
    """While a secret rotates the old and the new one are right, wherever they stand."""
    assert "msg_1" == check("standard", secrets, raw(STANDARD)).event_id
    assert "wrong_signature" == why("standard", [OTHER], raw(STANDARD))


def test_a_signature_of_ed25519_is_right():
    """With the provider's public key; the private one is refused, with a remedy."""
    headers = signed("standard", PRIVATE, "msg_1", BODY, NOW_S)
    assert headers["webhook-signature"].startswith("v1a,")
    assert "msg_1" == check("standard", [OTHER, public_key(PRIVATE)], raw(headers)).event_id
    assert "wrong_signature" == why("standard", [public_key(PRIVATE)], raw(headers), BODY + b" ")
    assert "no_known_signature" == why("standard", [SECRET], raw(headers))
    with pytest.raises(SettingsError, match="take its public key"):
        key_of("standard", PRIVATE)


def test_the_headers_of_svix_mean_the_same():
    """Its senders name them so."""
    headers = {name.replace("webhook", "svix"): value for name, value in STANDARD.items()}
    assert "msg_1" == check("standard", [SECRET], raw(headers)).event_id


@pytest.mark.parametrize(
    ("later_s", "reason"), [(300, None), (301, "too_old"), (-60, None), (-61, "in_future")], ids=str
)
@pytest.mark.parametrize("scheme", ["standard", "stripe"])
def test_age_and_future_have_limits_of_their_own(scheme, later_s, reason):
    """300 s back, 60 s ahead, both inclusive; the skew is told to who reads the logs."""
    headers = raw(signed(scheme, SECRET, "msg_1", BODY, NOW_S))
    if reason is None:
        assert NOW_S == check(scheme, [SECRET], headers, now_s=NOW_S + later_s).signed_s
        return
    with pytest.raises(Rejected) as rejected:
        check(scheme, [SECRET], headers, now_s=NOW_S + later_s)
    assert (reason, later_s) == (rejected.value.why, rejected.value.skew_s)


def test_a_forger_learns_nothing_of_our_clock():
    """A wrong signature is wrong, however old it says to be."""
    assert "wrong_signature" == why("standard", [OTHER], raw(STANDARD), now_s=NOW_S + 10**6)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"webhook-id": None}, "missing_header"),
        ({"webhook-timestamp": None}, "missing_header"),
        ({"webhook-signature": None}, "missing_header"),
        ({"webhook-id": "msg_2"}, "wrong_signature"),
        ({"webhook-id": ""}, "malformed_header"),
        ({"webhook-id": "m" * 257}, "malformed_header"),
        ({"webhook-id": "a\tb"}, "malformed_header"),
        ({"webhook-id": "a.1614265330"}, "malformed_header"),
        ({"webhook-timestamp": "1614265331"}, "wrong_signature"),
        ({"webhook-timestamp": "-1"}, "malformed_header"),
        ({"webhook-timestamp": "1e9"}, "malformed_header"),
        ({"webhook-timestamp": "1" * 13}, "malformed_header"),
        ({"webhook-timestamp": "²"}, "malformed_header"),
        ({"webhook-signature": ""}, "no_known_signature"),
        ({"webhook-signature": "v2,AAAA"}, "no_known_signature"),
        ({"webhook-signature": "v1"}, "no_known_signature"),
        ({"webhook-signature": "v1,"}, "wrong_signature"),
        ({"webhook-signature": " ".join(["v1,AAAA"] * 33)}, "malformed_header"),
    ],
    ids=str,
)
def test_a_spoilt_header_is_rejected_for_its_reason(changed, reason):
    """What is missing, what is malformed, what is wrong."""
    headers = {name: value for name, value in (STANDARD | changed).items() if value is not None}
    assert reason == why("standard", [SECRET], raw(headers))


def test_a_header_that_stands_twice_is_rejected():
    """Two readers could take two of them."""
    assert "malformed_header" == why("standard", [SECRET], [*raw(STANDARD), (b"webhook-id", b"msg_1")])


def test_an_id_cannot_be_cut_in_another_place():
    """`a.5` at time 6 signs the bytes of `a` at time 5 with a body that begins `6.`: such ids are no ids."""
    assert not schemes.is_id("a.5")
    assert schemes.is_id("a.b5")
    assert schemes.is_id("5")


@pytest.mark.parametrize("header", ["v1=00", "t=1,t=2,v1=00", "t=x,v1=00", ""])
def test_a_stripe_header_needs_one_time(header):
    """None, two, or no number."""
    assert "malformed_header" == why("stripe", [SECRET], [(b"stripe-signature", header.encode())])


def test_the_body_is_signed_to_the_byte():
    """Whoever parses before he verifies would take this for the same."""
    assert "wrong_signature" == why("standard", [SECRET], raw(STANDARD), b'{"test":2432232314}')


def test_every_key_is_tried_on_every_signature(monkeypatch):
    """No early exit: the time an answer takes does not tell which one was right."""
    compared = []
    real = schemes.hmac.compare_digest
    monkeypatch.setattr(schemes.hmac, "compare_digest", lambda a, b: compared.append(1) or real(a, b))
    for order in ("v1,AAAA " + STANDARD["webhook-signature"], STANDARD["webhook-signature"] + " v1,AAAA"):
        for secrets in ([SECRET, OTHER], [OTHER, SECRET]):
            compared.clear()
            check("standard", secrets, raw(STANDARD | {"webhook-signature": order}))
            assert 4 == len(compared)


@pytest.mark.parametrize(
    ("scheme", "secret", "words"),
    [
        ("standard", "whsec_test_secret", "WEBHOOK_SCHEME=stripe"),
        ("standard", "whsec_AAAA", "expected 24 to 64 bytes in base64, were 3"),
        ("standard", "whpk_AAAA", "expected 32 bytes"),
        ("standard", "whsec_\x80", "expected base64"),
        ("standard", "", "expected 24 to 64 bytes in base64, were 0"),
        ("stripe", "", "was empty"),
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_quoted(scheme, secret, words):
    """The message names the remedy, never the secret."""
    with pytest.raises(SettingsError, match=words) as refused:
        key_of(scheme, secret)
    assert not secret or secret not in str(refused.value)


def test_a_secret_without_padding_is_read():
    """As the official libraries do."""
    padded = "whsec_" + base64.b64encode(b"k" * 25).decode()
    assert key_of("standard", padded) == key_of("standard", padded.rstrip("="))


def test_without_verification_the_headers_are_believed():
    """For local tests: an id where a good one stands, and our time."""
    assert ("msg_1", 5) == unverified("standard", raw(STANDARD), 5_000_000_000)
    assert (None, 5) == unverified("standard", [], 5_000_000_000)
    assert (None, 5) == unverified("standard", [(b"webhook-id", b"a b")], 5_000_000_000)
    assert (None, 5) == unverified("stripe", raw(STANDARD), 5_000_000_000)


NAMES = st.sampled_from([b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"stripe-signature", b"host"])
VALUES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([value.encode() for value in STANDARD.values()]),
    st.text("v1a,= t0", max_size=40).map(str.encode),
)


@settings(max_examples=2_000, deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=6), st.binary(max_size=40), st.sampled_from(["standard", "stripe"]))
def test_whatever_comes_is_rejected_or_right(headers, body, scheme):
    """Never another exception; and right is only what was signed."""
    try:
        result = check(scheme, [SECRET, public_key(PRIVATE)] if scheme == "standard" else [SECRET], headers, body)
    except Rejected:
        return
    assert ("msg_1", BODY) == (result.event_id, body)
