"""The weather within a batch of the fold: forecasts, policies, reports, beats in; as-of rows and labels out.

A row is told again when something that it is made of came: a forecast of its day, its policy, or the moment at which its
tape reached the as-of time. That moment is a beat's watermark, or when a later answer about the station was received.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from stream_processors.operators import asof, horizon, labels, watermark
from stream_processors.outputs import Output, dead
from topics.asof import AsofForecast, SettlementLabel
from topics.catalog import ASOF_FORECAST, FACT_CLIMATE, FACT_FORECAST, FACT_MARKET, FACT_POLICY, LABELS
from topics.climate_day import from_iso, iso, offset_of, series_of_station
from topics.codec import encode
from topics.events import Beat, Cause
from topics.kalshi_rest import Settlement
from topics.policies import Policy
from topics.weather import Climate, Forecast, ForecastRun

T = TypeVar("T")


class Stored(Protocol):
    """The states of a batch, by key."""

    def get(self, key: str, kind: type[T]) -> T:
        """The state under `key`, new if there is none, to be changed and stored."""

    def read(self, key: str, kind: type[T]) -> T:
        """The state under `key`, new if there is none, to be read only."""


class Weather:
    """The part of one batch that is about the weather."""

    def __init__(self, states: Stored, topic: str, partition: int, partitions: int) -> None:
        self._states = states
        self._topic = topic
        self._partition = partition
        self._partitions = partitions
        self._touched: dict[tuple[str, int], set[tuple[str, str]]] = {}  # (station, day) -> {(model, policy key)}
        self._outputs: list[Output] = []

    def fold(self, facts: Iterable[tuple[int, object]]) -> list[Output]:
        """Fold (offset, fact) pairs, beats among them; returns what to append. Facts of other topics pass by."""
        if self._topic in {FACT_CLIMATE, FACT_MARKET}:
            return self._labels(facts)
        if self._topic not in {FACT_FORECAST, FACT_POLICY}:
            return []
        state = self._states.get(f"asof/{self._partition}", horizon.State)
        beats: list[Beat] = []
        for offset, fact in facts:
            match fact:
                case Forecast():
                    self._forecast(state, fact)
                case ForecastRun() if offset_of(fact.station) is not None:
                    about = state.stations.setdefault(fact.station, horizon.Station())
                    self._reach(state, fact.station, about, fact.received_ns)
                case Policy():
                    self._policy(state, offset, fact)
                case Beat():
                    beats.append(fact)
        self._beats(state, beats)
        for (station, day), asked in self._touched.items():
            self._tell(state, station, day, asked)
        return self._outputs

    def _labels(self, facts: Iterable[tuple[int, object]]) -> list[Output]:
        """Labels of the climate days that the facts speak of."""
        touched: dict[tuple[str, int], bool] = {}
        for _, fact in facts:
            match fact:
                case Climate(station=station, day=date) if offset_of(station) is not None:
                    place = station, from_iso(date)
                    taken = labels.add_report(self._states.get(_label_key(*place), labels.Day), fact)
                case Settlement(station=str(station), climate_day=str(date)) if offset_of(station) is not None:
                    place = station, from_iso(date)
                    told = labels.outcome_of(fact)
                    taken = labels.add_outcome(
                        self._states.get(_label_key(*place), labels.Day), fact.market_ticker, told
                    )
                case _:
                    continue
            if taken.changed:
                touched[place] = True
            if taken.left_out is not None:
                self._over(place[0], taken.left_out, labels.REPORTS_MAX, f"reports or outcomes of {place[0]} {date}")
        return self._outputs + [
            Output(LABELS, station.encode(), None, encode(row))
            for station, day in touched
            for row in labels_of(station, day, self._states.get(_label_key(station, day), labels.Day))
        ]

    def _day(self, station: str, day: int) -> asof.Day:
        return self._states.get(_day_key(station, day), asof.Day)

    def _touch(self, station: str, day: int, models: Iterable[str], policies: Iterable[Policy]) -> None:
        touched = self._touched.setdefault((station, day), set())
        touched.update((model, policy.key) for policy in policies for model in models if model in policy.models)

    def _policy(self, state: horizon.State, offset: int, policy: Policy) -> None:
        known = state.policies.setdefault(policy.key, policy)
        if known != policy:
            detail = f"policy {policy.key}: a version never changes; expected {known}"
            cause = Cause(FACT_POLICY, self._partition, offset)
            value = encode(policy)
            self._outputs.append(dead("fold", "conflict", detail, cause, key=None, received_ns=None, value=value))
            return
        for name, station in state.stations.items():
            for day in horizon.days(station):
                self._touch(name, day, policy.models, [policy])

    def _forecast(self, state: horizon.State, forecast: Forecast) -> None:
        name = forecast.station
        offset_s = offset_of(name)
        if offset_s is None:
            return  # no market settles there: the forecast stands in `forecasts`, and nobody asks for its days
        station = state.stations.setdefault(name, horizon.Station())
        value = asof.value_of(forecast, offset_s)
        if value is not None:
            policies = state.policies.values()
            for day in horizon.cover(station, value.day):
                for policy in policies:
                    self._touch(name, day, policy.models, [policy])
            taken = asof.add(self._day(name, value.day), value)
            if taken.changed:
                self._touch(name, value.day, [forecast.model], policies)
            if (over := taken.left_out) is not None:
                what = f"contents of one value of {name} {forecast.model} run {forecast.run_ns}"
                self._over(name, Cause(over.topic, over.partition, over.offset, over.place), asof.REVISIONS_MAX, what)

    def _over(self, station: str, cause: Cause, limit: int, what: str) -> None:
        """Name what no row is made of, because a state holds so many already that were known before it."""
        detail = f"expected at most {limit} {what}; the one known last is left out"
        key = station.encode()
        self._outputs.append(dead("fold", "over_limit", detail, cause, key=key, received_ns=None, value=b""))

    def _reach(self, state: horizon.State, name: str, station: horizon.Station, reached_ns: int) -> None:
        offset_s = offset_of(name)
        assert offset_s is not None  # only such stations are in the state
        for policy, day in horizon.reach(station, reached_ns, state.policies.values(), offset_s):
            self._touch(name, day, policy.models, [policy])

    def _beats(self, state: horizon.State, beats: Sequence[Beat]) -> None:
        """Let every station's tape come to the watermark; also without beats, for stations that are new."""
        clock = self._states.get(f"watermark/{FACT_FORECAST}/{self._partition}", watermark.State)
        watermark.step(clock, FACT_FORECAST, beats)
        reached_ns = watermark.advance(clock, (FACT_FORECAST,), self._partitions)
        if reached_ns is not None:
            for name, station in state.stations.items():
                self._reach(state, name, station, reached_ns)

    def _tell(self, state: horizon.State, station: str, day: int, asked: Iterable[tuple[str, str]]) -> None:
        """Tell the rows of one day. Its state is read alone: a new policy asks for years, and stores none of them."""
        runs = self._states.read(_day_key(station, day), asof.Day)
        reached_ns = state.stations[station].reached_ns
        for model, policy_key in sorted(asked):
            row = row_of(station, day, model, state.policies[policy_key], runs, reached_ns)
            self._outputs.append(Output(ASOF_FORECAST, station.encode(), None, encode(row)))


def _day_key(station: str, day: int) -> str:
    return f"asofday/{station}/{day}"


def _label_key(station: str, day: int) -> str:
    return f"label/{station}/{day}"


def labels_of(station: str, day: int, state: labels.Day) -> list[SettlementLabel]:
    """The labels of one climate day, one of each series that settles on the station. Raises KeyError as `row_of`."""
    offset_s = offset_of(station)
    if offset_s is None:
        raise KeyError(station)
    return [labels.label(state, station, series, day, offset_s) for series in series_of_station(station)]


def row_of(  # noqa: PLR0917  # what a row is a function of
    station: str, day: int, model: str, policy: Policy, state: asof.Day, reached_ns: int | None
) -> AsofForecast:
    """The row of one station, day, model and policy; reached_ns: how far the station's tape has come, None: nowhere.

    Raises KeyError for a station whose calendar is not known.
    """
    offset_s = offset_of(station)
    if offset_s is None:
        raise KeyError(station)
    asof_ns = policy.asof_ns(day, offset_s)
    reached = reached_ns is not None and reached_ns >= asof_ns
    answer = asof.answer(state, model, policy, asof_ns, reached=reached)
    date = iso(day)
    return AsofForecast(
        row_id=f"asof:{station}:{date}:{model}:{policy.key}",
        rev=answer.rev,
        station=station,
        series_tickers=series_of_station(station),
        target_date_local=date,
        model=model,
        policy_id=policy.policy_id,
        policy_version=policy.version,
        asof_ns=asof_ns,
        chosen_run_ns=answer.run_ns,
        known_ns=answer.known_ns,
        known_by=answer.known_by,
        tmax_f=answer.tmax_f,
        tmin_f=answer.tmin_f,
        lead_hours=answer.lead_hours,
        missing_reason=answer.missing_reason,
        unsafe=policy.unsafe,
        inputs=answer.inputs,
    )
