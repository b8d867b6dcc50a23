"""Dead letters before today's parser: shown, and appended again where it accepts them."""

import pytest

from producers.webhook.content import content_of
from stream_processors.ingest import ingest
from tapefold.webhook.redrive import REDRIVES_MAX, letters, redrive
from topics.catalog import DEAD, RAW_WEBHOOK
from topics.log import MemoryLog

BODY = b'{"type": "a"}'


class Tape:
    """A log with the two topics, and ingest turning the one into the other."""

    def __init__(self):
        self.log = MemoryLog()
        self.log.create({RAW_WEBHOOK: {}, DEAD: {}}, 1)
        self.done = 0

    def receive(self, event_id, body=BODY, **more):
        """What a receiver appends."""
        headers = {
            "source": "webhook",
            "kind": "frame",
            "received_ns": "5000000",
            "clock": "wall",
            "conn": "c",
            "provider": "p",
            "scheme": "standard",
            "webhook_id": event_id,
            "content": content_of("standard", body).digest.hex(),
        } | more
        pairs = [(name, value.encode()) for name, value in headers.items()]
        self.log.appender().append(RAW_WEBHOOK, body, key=event_id.encode(), headers=pairs, timestamp_ms=5)

    def ingest(self):
        """Parse what is new; refusals go to `dead`. Returns the facts."""
        records = self.log.reader({(RAW_WEBHOOK, 0): self.done}).read(1_000, 0)
        self.done += len(records)
        outputs = ingest(RAW_WEBHOOK, 0, 1, records)
        for output in outputs:
            if output.topic == DEAD:
                self.log.appender().append(DEAD, output.value, key=output.key)
        return [output for output in outputs if output.topic != DEAD]

    def letters(self, *, reason=None, accept_conflicts=False, again=False):
        """All of them."""
        return list(letters(self.log, reason=reason, accept_conflicts=accept_conflicts, again=again))

    def redrive(self, **how):
        """Redrive what is accepted, and parse it."""
        chosen = [letter for letter in self.letters(**how) if letter.verdict == "accepted now"]
        redrive(self.log.appender(), chosen)
        return self.ingest()


@pytest.fixture
def tape():
    """One good event, one conflict with it, one that is no JSON."""
    tape = Tape()
    tape.receive("good")
    tape.receive("good", b'{"type": "b"}', conflict="0/0")
    tape.receive("broken", b"no JSON")
    assert 1 == len(tape.ingest())
    return tape


def test_dead_letters_are_shown_with_what_a_redrive_would_do(tape):
    """A look changes nothing."""
    shown = [(letter.webhook_id, letter.refused, letter.verdict) for letter in tape.letters()]
    assert [("good", "conflict", "refused again"), ("broken", "not_json", "refused again")] == shown
    assert 3 == tape.log.watermarks([RAW_WEBHOOK])[RAW_WEBHOOK, 0].high
    assert ["conflict"] == [letter.refused for letter in tape.letters(reason="conflict")]


def test_what_the_parser_still_refuses_is_left_alone(tape):
    """No loop of refusals."""
    assert [] == tape.redrive()
    assert 3 == tape.log.watermarks([RAW_WEBHOOK])[RAW_WEBHOOK, 0].high


def test_a_conflict_is_taken_as_a_second_event_if_asked_for(tape):
    """Same bytes, same stamps, and a word of what it repeats; a second time it is not, unless asked for again."""
    assert 1 == len(tape.redrive(accept_conflicts=True))
    (again,) = tape.log.reader({(RAW_WEBHOOK, 0): 3}).read(10, 0)
    headers = dict(again.headers)
    assert (b'{"type": "b"}', b"5000000", b"0/1") == (again.value, headers["received_ns"], headers["redrive_of"])
    assert "conflict" not in headers
    assert [] == tape.redrive(accept_conflicts=True)
    assert "redriven before" == tape.letters(accept_conflicts=True)[0].verdict
    for _ in range(REDRIVES_MAX + 2):
        tape.redrive(accept_conflicts=True, again=True)
    assert "too many redrives" == tape.letters(accept_conflicts=True, again=True)[0].verdict
    assert 3 + REDRIVES_MAX == tape.log.watermarks([RAW_WEBHOOK])[RAW_WEBHOOK, 0].high


def test_what_an_older_parser_refused_is_redriven(tape, monkeypatch):
    """The fix of a parser: the letter is accepted now, with its own receive stamp."""
    from stream_processors import registry  # noqa: PLC0415
    from stream_processors.parsers import webhook  # noqa: PLC0415

    real = registry.PARSERS[RAW_WEBHOOK]
    monkeypatch.setitem(registry.PARSERS, RAW_WEBHOOK, lambda *_: webhook.parse(b"", None, {}, None))
    tape.receive("later")
    assert [] == tape.ingest()
    monkeypatch.setitem(registry.PARSERS, RAW_WEBHOOK, real)
    (output,) = tape.redrive()
    assert b'"event_id":"later"' in output.value
    assert b'"known_ns":5000000' in output.value


def test_a_redriven_record_that_is_refused_is_not_driven_on(tape):
    """Its first one is the letter to look at."""
    tape.receive("x", b"no JSON", redrive_of="0/2")
    tape.ingest()
    assert "was itself redriven" == tape.letters()[-1].verdict
    assert "redriven before" == tape.letters()[1].verdict
