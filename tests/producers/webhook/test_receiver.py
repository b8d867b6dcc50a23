"""A whole request's way: verified, told apart from its repeats, stored, answered. On a log in memory."""

import asyncio
import contextlib
import json

import pytest

from producers.webhook.counts import Counts
from producers.webhook.markers import Markers
from producers.webhook.providers import provider_of
from producers.webhook.receiver import Answer, Policy, Receiver
from producers.webhook.schemes import Tolerance
from stream_processors.registry import PARSERS
from tapefold.simulators.webhook.signing import signed
from topics.catalog import RAW_WEBHOOK
from topics.errors import BadRecord, SettingsError, Unavailable, Undelivered
from topics.events import Cause
from topics.log import MemoryLog
from topics.storer import MemoryStorer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW_S = 1_776_000_000
BODY = b'{"type": "a", "data": {"id": "x"}}'
POLICY = Policy(tolerance=Tolerance(300, 300), horizon_s=600, confirm_s=0.2)


class Held(MemoryStorer):
    """A broker that can be held: what is stored then is told later, or is never known."""

    held = False
    full = False

    def store(self, *arguments, **named):
        """As the broker, unless it is full."""
        if self.full:
            raise Unavailable("the broker", "10000 records wait for it")
        super().store(*arguments, **named)

    def poll(self):
        """As the broker, unless it is held."""
        if not self.held:
            super().poll()

    def lose(self):
        """The fate of all that waits is unknown, although it is stored."""
        due, self._due = self._due, []
        for on_stored, _ in due:
            on_stored(Undelivered(1, "timed out"))


class Bench:
    """A receiver, its log and its lines."""

    def __init__(self, tmp_path, policy=POLICY, scheme="standard"):
        self.log = MemoryLog()
        self.log.create({RAW_WEBHOOK: {}}, 2)
        self.storer = Held(self.log)
        self.markers = Markers(tmp_path)
        self.counts = Counts()
        self.lines = []
        self.scheme = scheme
        self.now_ns = NOW_S * 10**9
        self.receiver = Receiver(
            policy,
            lambda: {"pay": provider_of("pay", scheme, [SECRET])},
            self.markers,
            self.storer,
            self.counts,
            conn="c",
            now_ns=lambda: self.now_ns,
            on_event=lambda event, **fields: self.lines.append((event, fields)),
        )
        self.receiver.ready = True

    def send(self, event_id="msg_1", body=BODY, name="pay", **changed):
        """One request, signed and then changed."""
        headers = signed(self.scheme, SECRET, event_id, body, NOW_S) | changed
        return self.receiver.receive(name, [(n.encode(), v.encode()) for n, v in headers.items()], body)

    @contextlib.asynccontextmanager
    async def polled(self):
        """With its storer's callbacks served."""
        task = asyncio.ensure_future(self.receiver.poll())
        yield self
        task.cancel()

    def records(self):
        """All that is stored."""
        marks = self.log.watermarks([RAW_WEBHOOK])
        return self.log.reader(dict.fromkeys(marks, 0)).read(1_000, 0)

    def reasons(self):
        """What the parser makes of each record."""
        found = []
        for record in self.records():
            try:
                list(PARSERS[RAW_WEBHOOK](record, dict(record.headers), Cause(RAW_WEBHOOK, 0, record.offset)))
                found.append("fact")
            except BadRecord as error:
                found.append(error.reason)
        return sorted(found)


def run(tmp_path, story, **named):
    async def play():
        async with Bench(tmp_path, **named).polled() as bench:
            await story(bench)

    asyncio.run(play())


def test_a_right_request_is_stored_and_then_answered(tmp_path):
    """The body to the byte, what was verified in headers, and the fact that the parser reads."""

    async def story(bench):
        assert Answer(200, "Event stored") == await bench.send()
        (record,) = bench.records()
        headers = dict(record.headers)
        assert (BODY, b"pay/msg_1") == (record.value, record.key)
        assert (b"msg_1", b"%d" % NOW_S, b"pay") == (headers["webhook_id"], headers["signed_s"], headers["provider"])
        assert ["fact"] == bench.reasons()

    run(tmp_path, story)


def test_no_answer_comes_before_the_log_has_confirmed(tmp_path):
    """Held for half the time allowed, the answer waits."""

    async def story(bench):
        bench.storer.held = True
        sending = asyncio.ensure_future(bench.send())
        await asyncio.sleep(0.05)
        assert not sending.done()
        bench.storer.held = False
        assert 200 == (await sending).status

    run(tmp_path, story, policy=Policy(tolerance=Tolerance(300, 300), horizon_s=600, confirm_s=30.0))


def test_a_repeat_is_answered_and_not_stored(tmp_path):
    """The words of the runbook, and a marker that names the record."""

    async def story(bench):
        await bench.send()
        assert Answer(200, "Event already processed") == await bench.send()
        assert Answer(200, "Event already processed") == await bench.send(body=b'{"data":{"id":"x"},"type":"a"}')
        assert 1 == len(bench.records())
        (marker,) = bench.markers.find("pay", "msg_1")
        assert (marker.partition, marker.offset) == (bench.records()[0].partition, bench.records()[0].offset)

    run(tmp_path, story)


def test_repeats_at_the_same_time_are_stored_once(tmp_path):
    """They wait for the first, whose fate is theirs."""

    async def story(bench):
        answers = await asyncio.gather(*(bench.send() for _ in range(20)))
        assert ["Event already processed"] * 19 + ["Event stored"] == sorted(answer.text for answer in answers)
        assert 1 == len(bench.records())

    run(tmp_path, story)


def test_other_content_under_a_known_id_is_kept_for_review(tmp_path):
    """Stored, refused by the parser as a conflict; and its own repeat is a repeat."""

    async def story(bench):
        await bench.send()
        other = b'{"type": "b"}'
        assert 202 == (await bench.send(body=other)).status
        assert "Event already processed" == (await bench.send(body=other)).text
        assert ["conflict", "fact"] == bench.reasons()

    run(tmp_path, story)


def test_two_providers_may_use_one_id(tmp_path):
    """Ids are a provider's own."""

    async def story(bench):
        bench.receiver._providers = lambda: {n: provider_of(n, "standard", [SECRET]) for n in ("pay", "two")}
        assert ["Event stored"] * 2 == [(await bench.send(name=name)).text for name in ("pay", "two")]

    run(tmp_path, story)


@pytest.mark.parametrize("status", [202, 422])
def test_a_signed_body_that_is_no_json_is_kept(tmp_path, status):
    """Its sender may give up after a 4xx, so the answer is a setting; the record stands on the log either way."""

    async def story(bench):
        assert status == (await bench.send(body=b"no JSON")).status
        assert ["not_json"] == bench.reasons()

    policy = Policy(tolerance=Tolerance(1, 1), horizon_s=600, unreadable=Answer(status, "kept"))
    run(tmp_path, story, policy=policy)


def test_a_stripe_event_s_id_is_that_of_its_body(tmp_path):
    """One that has none is known by its content."""

    async def story(bench):
        body = json.dumps({"id": "evt_1", "object": "event", "type": "t", "pending_webhooks": 2}).encode()
        later = body.replace(b": 2", b": 1")
        assert "Event stored" == (await bench.send(body=body)).text
        assert "Event already processed" == (await bench.send(body=later)).text
        assert [202, 200] == [(await bench.send(body=b"{broken")).status for _ in range(2)]
        assert 2 == len(bench.records())

    run(tmp_path, story, scheme="stripe")


def test_a_forgery_is_answered_in_one_way_and_told_in_the_log(tmp_path):
    """Whatever is wrong: 400 and the same words; the reason is in the line and the counter; nothing is stored."""

    async def story(bench):
        spoilt = [{"webhook-signature": "v1,AAAA"}, {"webhook-id": "a b"}, {"webhook-timestamp": "x"}]
        assert {Answer(400, "Bad request")} == {await bench.send(**changed) for changed in spoilt}
        bench.now_ns += 301 * 10**9
        assert Answer(400, "Bad request") == await bench.send()
        assert [] == bench.records()
        reasons = [fields["outcome"] for _, fields in bench.lines]
        assert ["wrong_signature", "malformed_header", "malformed_header", "too_old"] == reasons
        assert {"wrong_signature": 1, "malformed_header": 2, "too_old": 1} == dict(bench.counts.outcomes)
        assert 301 == bench.counts.skew_s
        assert "MfKQ9r8GKYqr" not in str(bench.lines)
        assert "AAAA" not in str(bench.lines)

    run(tmp_path, story)


def test_a_flood_of_forgeries_is_no_flood_of_lines(tmp_path):
    """Ten a second of each outcome are written, all are counted."""

    async def story(bench):
        for _ in range(100):
            await bench.send(**{"webhook-signature": "v1,AAAA"})
        assert 10 == len(bench.lines)
        assert 100 == bench.counts.outcomes["wrong_signature"]

    run(tmp_path, story)


def test_who_is_not_known_is_not_found(tmp_path):
    """The path names the provider."""

    async def story(bench):
        assert 404 == (await bench.send(name="other")).status

    run(tmp_path, story)


def test_too_many_requests_of_one_provider_are_told_to_wait(tmp_path):
    """After the burst; forgeries take nothing from the budget."""

    async def story(bench):
        for _ in range(50):
            await bench.send(**{"webhook-signature": "v1,AAAA"})
        answers = [(await bench.send(event_id=f"m{number}")).status for number in range(7)]
        assert [200] * 6 + [429] == answers
        assert 1 <= (await bench.send()).retry_after_s

    run(tmp_path, story, policy=Policy(tolerance=Tolerance(300, 300), horizon_s=600, rate=3.0))


def test_a_log_that_does_not_confirm_means_503_and_the_repeat_is_found(tmp_path):
    """The record arrives after all: its sender's next attempt is a repeat, and it is stored once."""

    async def story(bench):
        bench.storer.held = True
        for _ in range(2):
            sending = asyncio.ensure_future(bench.send())
            await asyncio.sleep(0.01)
            bench.now_ns += 10**9
            assert Answer(503, "Come again", 5) == await sending
        assert 503 == (await bench.send(event_id="other")).status  # at once: it would wait in vain
        bench.storer.held = False
        await asyncio.sleep(0.05)
        assert "Event already processed" == (await bench.send()).text
        assert 1 == len(bench.records())

    run(tmp_path, story)


def test_when_a_fate_is_unknown_nothing_is_accepted_until_the_log_was_read(tmp_path):
    """It may be stored or not; only the log can tell."""

    async def story(bench):
        bench.storer.held = True
        sending = asyncio.ensure_future(bench.send())
        await asyncio.sleep(0.01)
        bench.storer.lose()
        bench.storer.held = False
        assert 503 == (await sending).status
        assert bench.receiver.lost.is_set()
        assert [503, 503] == [(await bench.send(event_id=name)).status for name in ("msg_1", "other")]
        bench.markers.catch_up(bench.log, 0)
        bench.receiver.ready = True
        assert ["Event already processed", "Event stored"] == [
            (await bench.send(event_id=name)).text for name in ("msg_1", "other")
        ]
        assert 2 == len(bench.records())

    run(tmp_path, story)


def test_a_full_queue_means_503(tmp_path):
    """Nothing waits beside the queue."""

    async def story(bench):
        bench.storer.full = True
        assert 503 == (await bench.send()).status
        bench.storer.full = False
        assert 200 == (await bench.send()).status

    run(tmp_path, story)


def test_without_verification_nothing_is_claimed_to_be_signed(tmp_path):
    """For local tests: stored, without a signed time, hence a fact that is not verified."""

    async def story(bench):
        assert 200 == (await bench.send(**{"webhook-signature": "none"})).status
        assert "signed_s" not in dict(bench.records()[0].headers)

    run(tmp_path, story, policy=Policy(tolerance=Tolerance(1, 1), horizon_s=9, verified=False))


@pytest.mark.parametrize(("horizon_s", "fits"), [(600, True), (599, False)])
def test_markers_outlive_signatures(horizon_s, fits):
    """Age and future together are the window in which one signature is good."""
    policy = Policy(tolerance=Tolerance(300, 300), horizon_s=horizon_s)
    if fits:
        policy.check()
        return
    with pytest.raises(SettingsError, match=r"expected at least .* = 600, was 599"):
        policy.check()
