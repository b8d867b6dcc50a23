"""What to ask while it happens: each run from the moment it may come until it is whole, each station's reports. Pure.

This is the sensor of availability. The first answers to a question show what was there before us: `pre_existing`. After
two answers that did not have it (one may be an empty 200 by mistake) whatever is new came since: `first`, with the stamp
of the last one that did not have it.
"""

import hashlib
from collections.abc import Iterable, Sequence

from msgspec import Struct

from producers.iem import ask
from producers.iem.ask import Ask
from producers.iem.look import Reply, outcome, outcome_of_run
from producers.publish import Outgoing
from topics.catalog import H_ABSENT_NS, H_SEEN, H_STATUS, H_URL
from topics.iem import scheduled
from topics.units import NS_PER_HOUR, NS_PER_MINUTE
from topics.weather import Seen

EARLIEST_NS = 30 * NS_PER_MINUTE  # no run of any model is out sooner after its nominal time
HORIZON_NS = 36 * NS_PER_HOUR  # a run that has not come by then will not come
RECHECK_NS = 6 * NS_PER_HOUR  # a whole run is asked for once more: corrections come
_ABSENCES_MIN = 2
REPORTS_SPAN_NS = 48 * NS_PER_HOUR


class _Question(Struct):
    """One question that is asked again and again.

    answers: how many there were that showed what was there; answered_ns: the last of them, None before the first.
    """

    ask: Ask
    due_ns: int
    answers: int = 0
    answered_ns: int | None = None
    digest: bytes = b""
    whole: bool = False
    done: bool = False


class Live:
    """The open questions of one producer. poll_ns, reports_ns: how often a run, and a station's reports, are asked for."""

    def __init__(
        self, stations: Sequence[str], models: Sequence[str], *, poll_ns: int, reports_ns: int, base_url: str
    ) -> None:
        self._stations = tuple(stations)
        self._models = tuple(models)
        self._poll_ns = poll_ns
        self._reports_ns = reports_ns
        self._base_url = base_url
        self._runs: dict[tuple[str, str, int], _Question] = {}
        self._reports: dict[str, _Question] = {}

    def next(self, now_ns: int) -> Ask | None:
        """The question that has waited longest past its time; None when none is due."""
        self._open(now_ns)
        due = [question for question in self._questions() if not question.done and question.due_ns <= now_ns]
        if not due:
            return None
        question = min(due, key=lambda one: (one.due_ns, one.ask))
        if question.ask.kind == "texts":
            question.ask = ask.texts(question.ask.station, now_ns - REPORTS_SPAN_NS, now_ns + NS_PER_HOUR)
        return question.ask

    def due_ns(self) -> int | None:
        """When the next question is due; None when there is none."""
        return min((question.due_ns for question in self._questions() if not question.done), default=None)

    def answered(self, asked: Ask, reply: Reply, now_ns: int) -> Outgoing | None:
        """Take an answer; returns what to append, None when it says what was said before."""
        question = self._question(asked)
        said = outcome_of_run(reply, asked.model, asked.from_ns) if asked.kind == "run" else outcome(reply, asked.kind)
        every_ns = self._poll_ns if asked.kind == "run" else self._reports_ns
        question.due_ns = now_ns + every_ns
        fresh = hashlib.blake2b(b"%d " % reply.status + reply.body, digest_size=16).digest()
        told = fresh != question.digest
        question.digest = fresh
        if asked.kind == "run":
            self._proceed(question, whole=said == "whole", now_ns=now_ns)
        if said == "refused":
            question.due_ns = now_ns + NS_PER_HOUR  # our arguments will not get better; the upstream may
        watched = question.answers >= _ABSENCES_MIN
        seen: Seen = "first" if watched else "pre_existing"
        absent_ns = question.answered_ns if watched else None
        if said in {"whole", "part"}:
            question.answers += 1
            question.answered_ns = now_ns
        return outgoing(asked, reply, self._base_url, now_ns, seen=seen, absent_ns=absent_ns) if told else None

    def _proceed(self, question: _Question, *, whole: bool, now_ns: int) -> None:
        if question.whole:
            question.done = whole or now_ns - question.ask.from_ns > HORIZON_NS
        elif whole:
            question.whole = True
            question.due_ns = now_ns + RECHECK_NS
        elif now_ns - question.ask.from_ns > HORIZON_NS:
            question.done = True

    def _open(self, now_ns: int) -> None:
        """Open a question for each run that may have come; forget those that are long over."""
        for model in self._models:
            for run_ns in scheduled(model, now_ns - HORIZON_NS, now_ns - EARLIEST_NS):
                for station in self._stations:
                    key = (station, model, run_ns)
                    if key not in self._runs:
                        # A start does not ask old ones first.
                        due_ns = max(run_ns + EARLIEST_NS, now_ns - self._poll_ns)
                        self._runs[key] = _Question(ask.run(station, model, run_ns), due_ns)
        for station in self._stations:
            if station not in self._reports:
                self._reports[station] = _Question(ask.texts(station, now_ns - REPORTS_SPAN_NS, now_ns), now_ns)
        for key in [key for key in self._runs if now_ns - key[2] > 2 * HORIZON_NS]:
            del self._runs[key]

    def _questions(self) -> Iterable[_Question]:
        yield from self._runs.values()
        yield from self._reports.values()

    def _question(self, asked: Ask) -> _Question:
        if asked.kind == "run":
            return self._runs[asked.station, asked.model, asked.from_ns]
        return self._reports[asked.station]


def outgoing(
    asked: Ask,
    reply: Reply,
    base_url: str,
    received_ns: int,
    *,
    seen: Seen,
    absent_ns: int | None = None,
    more: tuple[tuple[str, bytes], ...] = (),
) -> Outgoing:
    """The raw record of an answer: its bytes, keyed by station, with what was asked and what is known of when it came."""
    headers = [
        (H_URL, asked.url(base_url).encode("ascii")),
        (H_STATUS, b"%03d" % reply.status),
        (H_SEEN, seen.encode("ascii")),
    ]
    if absent_ns is not None:
        headers.append((H_ABSENT_NS, b"%d" % absent_ns))
    return Outgoing(reply.body, asked.station.encode(), received_ns, headers=(*headers, *more))
