"""How complete the as-of forecasts are that a worker tells, as figures for its log. Pure: the time is an argument.

Per policy and model, of the answers told since the last figures: how many percent are missing, and the most frequent reasons.
An answer told again counts once, as it was told last; one whose as-of time has not come is not counted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from stream_processors.outputs import Output
from topics.asof import MissingReason
from topics.catalog import ASOF_FORECAST

METRIC = "mos_asof.completeness"
EVERY_S = 60.0
QUIET_S = 5.0  # nothing came for so long: what a backfill or a batch of runs told is complete
ANSWERS_MAX = 200_000  # held at once; beyond it figures are due at once
REASONS_SHOWN = 3


class _Told(msgspec.Struct, gc=False):
    """What of an AsofForecast matters here."""

    row_id: str
    policy_id: str
    model: str
    missing_reason: MissingReason | None


_decode = msgspec.json.Decoder(_Told).decode


class Completeness:
    """Counts what is told, and says when figures are due."""

    def __init__(self) -> None:
        self._answers: dict[str, _Told] = {}
        self._since_s = self._last_s = 0.0

    def take(self, outputs: Iterable[Output], now_s: float) -> None:
        """Count the answers among the outputs of a round."""
        told = [_decode(output.value) for output in outputs if output.topic == ASOF_FORECAST]
        if told:
            self._since_s = self._since_s if self._answers else now_s
            self._last_s = now_s
            self._answers.update((answer.row_id, answer) for answer in told)

    def due(self, now_s: float) -> bool:
        """Whether figures should be said now."""
        waited = now_s - self._since_s >= EVERY_S or now_s - self._last_s >= QUIET_S
        return bool(self._answers) and (waited or len(self._answers) >= ANSWERS_MAX)

    def figures(self) -> list[Mapping[str, Any]]:
        """One mapping per policy and model, and begin anew."""
        by_asker: dict[tuple[str, str], Counter[str]] = {}
        for answer in self._answers.values():
            if answer.missing_reason != "pending":
                counts = by_asker.setdefault((answer.policy_id, answer.model), Counter())
                counts[answer.missing_reason or ""] += 1
        self._answers = {}
        return [
            {"policy": policy, "model": model, **_shares(counts)}
            for (policy, model), counts in sorted(by_asker.items())
        ]


def _shares(counts: Counter[str]) -> dict[str, Any]:
    answers, chosen = counts.total(), counts.pop("", 0)
    return {
        "answers": answers,
        "missing_percent": round(100 * (answers - chosen) / answers, 3),
        "top_reasons": {reason: round(100 * count / answers, 3) for reason, count in counts.most_common(REASONS_SHOWN)},
    }
