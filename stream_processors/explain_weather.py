"""Why an as-of row or a label says what it says: the forecasts, reports and outcomes of its day, and the row made again. Pure.

A row depends on what was told of its station and day, on the policies, and on how far the station's tape has come.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from stream_processors.explain import Explanation, input_of
from stream_processors.operators import asof, labels
from stream_processors.refold import Told as ToldFact
from stream_processors.refold import refolded
from stream_processors.replay import Part
from topics.asof import AsofForecast, SettlementLabel
from topics.catalog import ASOF_FORECAST, FACT_CLIMATE, FACT_FORECAST, FACT_MARKET, FACT_POLICY, LABELS
from topics.climate_day import from_iso, offset_of
from topics.codec import decode_asof_forecast, decode_fact, decode_label, encode
from topics.domains import series_of
from topics.events import Cause
from topics.kalshi_rest import Settlement
from topics.log import Record, TopicPartition, partition_of
from topics.policies import Policy
from topics.weather import Climate, Forecast

Told = Forecast | Climate | Settlement
_DECODE: dict[str, Callable[[bytes], AsofForecast | SettlementLabel]] = {
    ASOF_FORECAST: decode_asof_forecast,
    LABELS: decode_label,
}


class StationTellings:
    """What raw records say of one station, folded: its facts in order, and its rows by identity, as told last."""

    def __init__(
        self,
        station: str,
        partitions: int,
        records: Mapping[TopicPartition, Sequence[Record]],
        policies: Sequence[Policy],
    ) -> None:
        self.station = station
        self.facts: list[Told] = []
        self.rows: dict[str, AsofForecast | SettlementLabel] = {}
        self._told: list[ToldFact] = []
        self._policies = policies
        self._number, self._partitions = partition_of(station.encode(), partitions), partitions
        self._part = Part([self._number], partitions)
        values = [encode(policy) for policy in policies]
        self._take(self._part.facts(FACT_POLICY, self._number, range(len(values)), values))
        for (topic, raw_number), batch in records.items():
            self._take(self._part.raw(topic, raw_number, batch))

    def without(self, gone: Collection[Cause]) -> "StationTellings":
        """The station as it would be if the facts of these causes had never been told, folded again."""
        left = StationTellings(self.station, self._partitions, {}, self._policies)
        left._take(refolded(left._part, self._number, self._told, gone))
        return left

    def _take(self, records: Iterable[Record]) -> None:
        for record in records:
            if (decode := _DECODE.get(record.topic)) is not None:
                row = decode(record.value)
                if row.station == self.station:
                    self.rows[row.row_id] = row
            elif record.topic in {FACT_FORECAST, FACT_CLIMATE, FACT_MARKET}:
                fact = decode_fact(record.value)
                self._told.append(ToldFact(record, getattr(fact, "cause", None)))
                if isinstance(fact, Forecast | Climate | Settlement) and fact.station == self.station:
                    self.facts.append(fact)


def explain(tellings: StationTellings, row_id: str) -> Explanation:
    """The explanation of one row; a row that the facts do not give has no inputs."""
    match tellings.rows.get(row_id):
        case AsofForecast() as row:
            return _asof(tellings.facts, row)
        case SettlementLabel() as row:
            return _label(tellings.facts, row)
        case _:
            return Explanation(row_id=row_id, row=None, inputs=[], not_chosen=[], too_late=[])


def _asof(facts: Iterable[Told], row: AsofForecast) -> Explanation:
    offset_s = offset_of(row.station)
    assert offset_s is not None  # the row was made
    explanation = Explanation(row_id=row.row_id, row=row, inputs=[], not_chosen=[], too_late=[])
    day, used = from_iso(row.target_date_local), set(row.inputs)
    for fact in facts:
        if not isinstance(fact, Forecast) or fact.model != row.model:
            continue
        value = asof.value_of(fact, offset_s)
        if value is None or value.day != day:
            continue
        what = ("maximum", "minimum")[value.slot]
        if fact.cause in used:
            entries, why = explanation.inputs, f"the {what} of the newest run that was known in time"
        elif value.told.known_ns > row.asof_ns:
            late_s = (value.told.known_ns - row.asof_ns) / 1e9
            entries, why = explanation.too_late, f"the {what}, known {late_s:.3f} s after the as-of time"
        else:
            entries, why = explanation.not_chosen, f"the {what}, {_passed_over(fact, row)}"
        entries.append(input_of(fact, "forecast", f"{fact.model} run {_hour(fact.run_ns)}", row.asof_ns, why))
    return explanation


def _hour(run_ns: int) -> str:
    return f"{run_ns // 3_600_000_000_000 % 24:02}Z"


def _passed_over(fact: Forecast, row: AsofForecast) -> str:
    """Why a value that was known in time, as it says itself, is not the answer."""
    if row.chosen_run_ns is None:
        return f"is no answer: {row.missing_reason}"
    if fact.run_ns < row.chosen_run_ns:
        return "of an older run"
    if fact.run_ns > row.chosen_run_ns:
        return "of a newer run, which the policy did not know yet, or which lacks the value that it needs"
    return "of the chosen run: told again, or other content that was known earlier or has no value"


def _label(facts: Iterable[Told], row: SettlementLabel) -> Explanation:
    explanation = Explanation(row_id=row.row_id, row=row, inputs=[], not_chosen=[], too_late=[])
    by_ns = row.known_ns or row.check_ns or 0
    seen = [value for value in row.values if row.label_f is not None and value.issued_ns <= (row.check_ns or 0)]
    chosen = next((v.cause for v in reversed(seen) if v.report == "final" and v.value_f is not None), None)
    causes = {value.cause: value for value in row.values}
    venue = _venue(facts, row)
    for fact in facts:
        if isinstance(fact, Climate) and fact.day == row.target_date_local:
            value = causes.get(fact.cause)
            if value is None:
                entries, why = explanation.not_chosen, "the same report told again"
            elif fact.cause == chosen:
                entries, why = explanation.inputs, "the last final report issued by the venue's check"
            elif row.check_ns is not None and value.issued_ns > row.check_ns:
                late_s = (value.issued_ns - row.check_ns) / 1e9
                entries, why = explanation.too_late, f"issued {late_s:.0f} s after the venue's check, which ignores it"
            else:
                entries, why = explanation.not_chosen, _no_label(value.report, row)
            entries.append(input_of(fact, "report", fact.product, by_ns, why))
        elif isinstance(fact, Settlement) and _is_of(fact, row):
            entries = explanation.inputs if fact.cause == venue else explanation.not_chosen
            why = (
                "what the venue says it settled on" if fact.cause == venue else "the venue said it otherwise, or before"
            )
            entries.append(input_of(fact, "outcome", fact.market_ticker, by_ns, why))
    return explanation


def _venue(facts: Iterable[Told], row: SettlementLabel) -> Cause | None:
    """Where the outcome stands that the row shows: one market's, though all of the day may have been told the same."""
    state = labels.Day()
    for fact in facts:
        if isinstance(fact, Settlement) and _is_of(fact, row):
            labels.add_outcome(state, fact.market_ticker, labels.outcome_of(fact))
    shown = labels.venue_of(state.outcomes.values())
    return None if shown is None else Cause(*shown.cause)


def _is_of(fact: Settlement, row: SettlementLabel) -> bool:
    return fact.climate_day == row.target_date_local and series_of(fact.market_ticker) == row.series_ticker


def _no_label(report: str, row: SettlementLabel) -> str:
    if report == "preliminary":
        return "issued before the day was over"
    return f"no label: {row.missing_reason}" if row.label_f is None else "a later report, or one with a value, holds"
