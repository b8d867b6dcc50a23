"""What the sender sends: a seeded, consistent stream of events, and how each of them is spoilt on purpose."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from tapefold.simulators.scenario import Scenario
from tapefold.simulators.webhook.signing import Headers, Scheme, signed

Kind = Literal["honest", "duplicate", "conflict", "unreadable", "wrong", "old", "future"]
EXPECTED: dict[Kind, int] = {
    "honest": 200,
    "duplicate": 200,
    "conflict": 202,
    "unreadable": 202,
    "wrong": 400,
    "old": 400,
    "future": 400,
}
_SKEW_S = 3_600  # of old and future signatures
_OBJECTS = 500
_FAR = 100  # deliveries between an event and its repeat: more than are on their way at once


class Mix(NamedTuple):
    """Which part of the deliveries is of each kind; the rest is honest."""

    duplicate: float = 0.0
    conflict: float = 0.0
    unreadable: float = 0.0
    wrong: float = 0.0
    old: float = 0.0
    future: float = 0.0


def mix_at(mix: Mix, scenario: Scenario, now_ns: int) -> Mix:
    """The mix as the scenario has it at this time; more than all is scaled to all."""
    shares = [scenario.share(kind, now_ns, least) for kind, least in zip(Mix._fields, mix, strict=True)]
    total = max(1.0, sum(shares))
    return Mix(*(share / total for share in shares))


class Delivery(NamedTuple):
    """One event to deliver. It is signed anew for each attempt, as senders do."""

    kind: Kind
    event_id: str
    body: bytes

    def headers(self, scheme: Scheme, secret: str, now_s: int) -> Headers:
        """The signature of this attempt, wrong where the kind says so."""
        at_s = now_s + {"old": -_SKEW_S, "future": _SKEW_S}.get(self.kind, 0)
        headers = signed(scheme, secret, self.event_id, self.body, at_s)
        if self.kind == "wrong":
            name = "stripe-signature" if scheme == "stripe" else "webhook-signature"
            headers[name] = _spoilt(headers[name])
        return headers


def deliveries(
    seed: int, scheme: Scheme, mix: Mix | Callable[[], Mix], bodies: tuple[bytes, ...] = ()
) -> Iterator[Delivery]:
    """Deliveries without end. Equal seeds give equal ones. bodies: recorded payloads to take instead of made-up ones.

    mix: asked for each delivery where it changes with the time.
    The ids carry the seed, so that two runs with different seeds do not repeat each other.
    """
    rng = random.Random(seed)  # noqa: S311  # a made-up world
    kinds: tuple[Kind, ...] = ("honest", "duplicate", "conflict", "unreadable", "wrong", "old", "future")
    sent: list[Delivery] = []
    number = 0
    while True:
        now = mix() if callable(mix) else mix
        kind = rng.choices(kinds, (1.0 - sum(now), *now))[0]
        if kind in {"duplicate", "conflict"} and len(sent) <= _FAR:
            kind = "honest"
        if kind == "duplicate":
            yield rng.choice(sent[:-_FAR])._replace(kind="duplicate")
            continue
        number += 1
        if kind == "conflict":
            first = rng.choice(sent[:-_FAR])
            yield Delivery("conflict", first.event_id, _body(rng, scheme, first.event_id, number))
            continue
        event_id = f"{'evt' if scheme == 'stripe' else 'msg'}_{seed:x}_{number}"
        body = bodies[number % len(bodies)] if bodies else _body(rng, scheme, event_id, number)
        if kind == "unreadable":
            body = b"no JSON, %d" % number
        delivery = Delivery(kind, event_id, body)
        if kind == "honest":
            sent.append(delivery)
            del sent[:-_OBJECTS]
        yield delivery


def _body(rng: random.Random, scheme: Scheme, event_id: str, number: int) -> bytes:
    about = {"id": f"pi_{rng.randrange(_OBJECTS)}", "object": "payment_intent", "amount": rng.randrange(1, 10**6)}
    created_s = 1_776_000_000 + number
    if scheme == "stripe":
        event = {
            "id": event_id,
            "object": "event",
            "api_version": None,
            "created": created_s,
            "livemode": False,
            "pending_webhooks": rng.randrange(1, 4),
            "type": rng.choice(("payment_intent.created", "payment_intent.succeeded", "charge.refunded")),
            "data": {"object": about},
        }
        return json.dumps(event).encode()
    return json.dumps({"type": "payment.updated", "timestamp": "2026-04-12T13:20:00Z", "data": about}).encode()


def _spoilt(signature: str) -> str:
    """The same, with its last significant character changed."""
    at = len(signature.rstrip("=")) - 2
    return signature[:at] + ("A" if signature[at] != "A" else "B") + signature[at + 1 :]
