"""The simulator's REST side: what the archive or the recording says, and what goes wrong on the way."""

import random
from collections.abc import Callable, Sequence

import msgspec

from tapefold.simulators.kalshi.archive import ROOT, Archive, Reply
from tapefold.simulators.kalshi.faults import REST_KINDS, Counters, RestFaults
from tapefold.simulators.kalshi.markets import error_body, markets_page
from tapefold.simulators.kalshi.wire import MARKETS_PATH, SOCKET_PATH

_MS_PER_S = 1_000
_OK = 200
_SCRIPTED = frozenset(REST_KINDS)


class RestDoor:
    """Answers GETs. tickers: of the recorded frames; without an archive their list is all that there is.

    clock_ms: the wall, by which requests are counted. tape_ns: the simulated time, by which the scenario goes.
    """

    def __init__(
        self,
        archive: Archive | None,
        tickers: Sequence[str],
        faults: RestFaults,
        counters: Counters,
        *,
        seed: int,
        clock_ms: Callable[[], int],
        tape_ns: Callable[[], int],
    ) -> None:
        self._archive = archive
        self._tickers = tickers
        self._faults = faults
        self._counters = counters
        self._rng = random.Random(seed)  # noqa: S311  # a simulator's chance
        self._clock_ms = clock_ms
        self._tape_ns = tape_ns
        self._second = 0
        self._asked = 0

    def reply(self, path: str, query: str) -> Reply:
        """HTTP status and body, faults included."""
        self._counters.rest[path] += 1
        if self._too_many():
            return self._fault("429")
        scenario = self._faults.scenario
        if (fault := scenario.struck(self._tape_ns(), self._rng, _SCRIPTED)) is not None:
            return self._broken(fault.kind, path, query)
        for kind, chance in self._faults.chances:
            if self._rng.random() < chance:
                return self._broken(kind, path, query)
        return self._true(path, query)

    def skew_ms(self) -> int:
        """How far off the clock is that signatures are held against."""
        return int(self._faults.scenario.seconds("skew", self._tape_ns()) * _MS_PER_S)

    def _true(self, path: str, query: str) -> Reply:
        if self._archive is not None and path.startswith(ROOT):
            return self._archive.reply(path.removeprefix(ROOT), query)
        if path == MARKETS_PATH:
            return markets_page(self._tickers, query)
        return 404, error_body("not_found", f"the simulator has {SOCKET_PATH} and {MARKETS_PATH}; more with an archive")

    def _too_many(self) -> bool:
        second = self._clock_ms() // _MS_PER_S
        self._asked = self._asked + 1 if second == self._second else 1
        self._second = second
        self._counters.rest_per_second_max = max(self._counters.rest_per_second_max, self._asked)
        return bool(self._faults.per_second) and self._asked > self._faults.per_second

    def _broken(self, kind: str, path: str, query: str) -> Reply:
        if kind not in {"empty", "truncate", "duplicate", "conflict"}:
            return self._fault(kind)
        status, body = self._true(path, query)
        broken = _spoilt(kind, body) if status == _OK else body
        self._counters.rest_faults[kind] += broken != body
        return status, broken

    def _fault(self, kind: str) -> Reply:
        self._counters.rest_faults[kind] += 1
        if kind == "429":
            return 429, b'{"error":"too many requests"}'  # as the vendor: no Retry-After
        return int(kind), error_body("service_unavailable", "simulated")


def _spoilt(kind: str, body: bytes) -> bytes:
    """A true answer as the fault leaves it; one without lists is only ever cut off."""
    if kind == "truncate":
        return body[: len(body) // 2]
    if kind == "empty":
        return b'{"markets":[],"events":[],"trades":[],"cursor":""}'
    answer = msgspec.json.decode(body)
    for name, items in answer.items():
        if isinstance(items, list) and items and kind == "duplicate":
            answer[name] = [item for item in items for _ in range(2)]
        elif name == "trades" and items:
            answer[name] = [*items, items[0] | {"count_fp": "0.01"}]
    return msgspec.json.encode(answer)
