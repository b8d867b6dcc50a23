"""Why a row of features says what it says: the bars, runs, reports and closes it leans on, and the row made again. Pure.

An input is what the row would differ without: each candidate is left out once, and the row is made again. What a view
joins, and the row would be the same without, is said under `not_chosen`.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from stream_processors import explain as explaining
from stream_processors import features
from stream_processors.explain import SAME, Explanation, Input, Role, Tellings, causes, input_of
from stream_processors.explain_tws import SymbolTellings
from stream_processors.features import Asked, Bars, Close, Row
from topics.climate_day import from_iso, iso
from topics.domains import series_of
from topics.events import Bar, Market
from topics.kalshi_rest import MarketTerms
from topics.stations import Measure, climate_day
from topics.tws import TwsMinute
from topics.units import NS_PER_HOUR, NS_PER_MINUTE
from topics.weather import Climate, Forecast

Make = Callable[[], Row | None]
_LATE = "known {:.3f} s after the minute's end: the features are of what was known there"


class Known(Struct):
    """What was told of a station: forecasts and reports, known or not."""

    forecasts: Sequence[Forecast] = ()
    reports: Sequence[Climate] = ()

    def without(self, gone: Forecast | Climate) -> "Known":
        """All but one fact, and its other tellings: a copy must not stand in for it."""
        return Known(
            [f for f in self.forecasts if _content(f) != _content(gone)],
            [f for f in self.reports if _content(f) != _content(gone)],
        )


def _content(fact: Forecast | Climate) -> tuple[object, ...]:
    """What is the same in all tellings of a fact."""
    if isinstance(fact, Forecast):
        return fact.station, fact.model, fact.run_ns, fact.event_ns, fact.revision
    return fact.station, fact.day, fact.product, fact.revision


class _Sorted(Struct):
    """Candidates sorted out: inputs are those that the row would differ without."""

    row: Row
    inputs: list[Input] = []
    not_chosen: list[Input] = []
    too_late: list[Input] = []

    def take(self, told: Input, without: Row | None) -> None:
        """One candidate, and the row that is made without it."""
        if without != self.row:
            self.inputs.append(told)
        else:
            self.not_chosen.append(_said(told, f"{told.why}; {SAME}"))

    def explanation(self, row_id: str) -> Explanation:
        """The whole."""
        return Explanation(
            row_id=row_id, row=self.row, inputs=self.inputs, not_chosen=self.not_chosen, too_late=self.too_late
        )


def _said(told: Input, why: str) -> Input:
    return Input(**{name: getattr(told, name) for name in Input.__struct_fields__} | {"why": why})


class SymbolFeatures:
    """All that price features of one symbol lean on. about: station, measure, days ahead, seconds ahead of UTC; None: none."""

    def __init__(self, tellings: SymbolTellings, about: tuple[str, Measure, int, int] | None, known: Known) -> None:
        self.tellings = tellings
        self.about = about
        self.known = known

    def row(self, row_id: str) -> Row | None:
        """One row; None where the facts do not give it."""
        here = self.tellings.minutes.get(row_id.removeprefix("price:"))
        if here is None:
            return None
        number = here.minute_ns // NS_PER_MINUTE
        asked = None if self.about is None else features.asked_by_symbol(self.about, number)
        return features.price_row(self._bars(here), number) | _weather_of(asked, self.known)

    def _bars(self, here: TwsMinute) -> dict[int, TwsMinute]:
        """The minutes of that contract and kind up to this one."""
        return {
            each.minute_ns // NS_PER_MINUTE: each
            for each in self.tellings.minutes.values()
            if _kind(each) == _kind(here) and each.minute_ns <= here.minute_ns
        }

    def explain(self, row_id: str) -> Explanation:
        """The explanation of one row; one that the facts do not give has no inputs."""
        here = self.tellings.minutes.get(row_id.removeprefix("price:"))
        if here is None:
            return Explanation(row_id=row_id, row=None, inputs=[], not_chosen=[], too_late=[])
        number = here.minute_ns // NS_PER_MINUTE
        bars = self._bars(here)
        asked = None if self.about is None else features.asked_by_symbol(self.about, number)
        weather = _weather_of(asked, self.known)
        prices = features.price_row(bars, number)
        found = _Sorted(prices | weather)
        end_ns = here.minute_ns + NS_PER_MINUTE
        for each, why in _leaned_on(bars, number):
            told = self._told(each, prices["known_at"], why)
            left = {minute: bar for minute, bar in bars.items() if bar is not each}
            found.take(told, features.price_row(left, number) | weather if number in left else None)
            if each.known_ns > end_ns:
                found.too_late.append(_said(told, _LATE.format((each.known_ns - end_ns) / 1e9)))
        if asked is not None:
            _sort_weather(found, asked, self.known, lambda known: prices | _weather_of(asked, known))
        return found.explanation(row_id)

    def _told(self, minute: TwsMinute, by_ns: int, why: str) -> Input:
        telling = next(bar for bar in self.tellings.told[minute.row_id] if bar.cause == minute.cause)
        return input_of(telling, "bar", minute.row_id, by_ns, why)


def _kind(minute: TwsMinute) -> tuple[object, ...]:
    return minute.con_id, minute.what_to_show, minute.use_rth


def _leaned_on(bars: Bars, number: int) -> Iterable[tuple[TwsMinute, str]]:
    """Bars that the row may differ without: the last hour, the session's first, those that join it, the one known last."""
    start = features.opened(bars, number)
    session = [each for each in range(start, number + 1) if each in bars]
    why = {number: "the minute itself"}
    why |= {number - ago: f"{ago} minutes before" for ago in range(1, 61) if number - ago in bars}
    why.setdefault(start, "the first of the session")
    for before, each, after in zip(session, session[1:], session[2:], strict=False):
        if after - before > features.SESSION_GAP:
            why.setdefault(each, "without it the session would break there")
    known_ns = {each: bars[each].known_ns for each in session}
    ranks = {each: features.RANKS.index(bars[each].known_by) for each in session}
    for figures in (known_ns, ranks):
        last = [each for each in session if figures[each] == max(figures.values())]
        if len(last) == 1:
            why.setdefault(last[0], "the last of the session that was known, or the least certain one")
    return [(bars[each], reason) for each, reason in sorted(why.items(), reverse=True)]


def _weather_of(asked: Asked | None, known: Known) -> Row:
    """The weather's part of price features."""
    if asked is None:
        place: Row = {"station": None, "measure": None, "target_date_local": None}
        report, normal, used = None, None, {}
        asked = Asked("", "high", 0, 0, 0)
    else:
        place = {"station": asked.station, "measure": asked.measure, "target_date_local": iso(asked.day)}
        reports = features.reports_of(asked.station, known.reports)
        report, normal = features.report_used(asked, reports), features.normal_used(asked, reports)
        used = features.used_runs(asked, features.runs_of(asked, known.forecasts))
    return place | features.forecast_row(used) | features.report_row(asked, report) | features.normal_row(asked, normal)


def _sort_weather(
    found: _Sorted, asked: Asked, known: Known, make: Callable[[Known], Row | None], *, reported: bool = True
) -> None:
    """Sort out the runs of the day and the reports of the days around it. reported: the report of the day plays a part."""
    told = features.runs_of(asked, known.forecasts)
    used = features.used_runs(asked, told)
    for model, runs in sorted(told.items()):
        newest, before = used.get(model, (None, None))
        for run, fact in sorted(runs.items(), reverse=True):
            name = f"{model} run {run.run_ns // 3_600_000_000_000 % 24:02}Z"
            if run.known_ns > asked.end_ns:
                found.too_late.append(
                    _fact(fact, "forecast", name, asked, _LATE.format((run.known_ns - asked.end_ns) / 1e9))
                )
            elif run in {newest, before}:
                why = "the newest known run" if run == newest else "the run before the newest"
                found.take(_fact(fact, "forecast", name, asked, why), make(known.without(fact)))
            else:
                found.not_chosen.append(
                    _fact(fact, "forecast", name, asked, "an older run, or a revision known earlier")
                )
    reports = features.reports_of(asked.station, known.reports)
    normal = features.normal_used(asked, reports)
    chosen = features.report_used(asked, reports) if reported else None
    for each in reports:
        days = asked.day - from_iso(each.day)
        if not (0 <= days <= features.NORMAL_DAYS and (each.high_normal_f is not None or (reported and not days))):
            continue
        if each.known_ns > asked.end_ns:
            why = _LATE.format((each.known_ns - asked.end_ns) / 1e9)
            found.too_late.append(_fact(each, "report", each.product, asked, why))
        elif each is chosen:
            why = "the latest issue of the day's report"
            found.take(_fact(each, "report", each.product, asked, why), make(known.without(each)))
        elif each is normal:
            why = "the normal of the latest day"
            found.take(_fact(each, "normal", each.product, asked, why), make(known.without(each)))
        else:
            why = "an earlier issue, or of an earlier day"
            found.not_chosen.append(_fact(each, "report", each.product, asked, why))


def _fact(fact: Forecast | Climate, role: Role, name: str, asked: Asked, why: str) -> Input:
    return input_of(fact, role, name, asked.end_ns, why)


class MarketFeatures:
    """All that weather features of one market lean on. place: the station, and what its standard time is ahead of UTC in s."""

    def __init__(self, tellings: Tellings, known: Known, place: tuple[str, int]) -> None:
        self.tellings = tellings
        self.known = known
        self.place = place

    def explain(self, row_id: str) -> Explanation:
        """The explanation of one row; one that the facts do not give has no inputs."""
        about = self._asked(row_id)
        if about is None:
            return Explanation(row_id=row_id, row=None, inputs=[], not_chosen=[], too_late=[])
        asked, bar = about
        found = _Sorted(self._row(asked, bar, self._closes(), self.known))
        self._sort_bar(found, asked, bar.row_id)
        self._sort_closes(found, asked, bar)
        _sort_weather(
            found, asked, self.known, lambda known: self._row(asked, bar, self._closes(), known), reported=False
        )
        return found.explanation(row_id)

    def row(self, row_id: str) -> Row | None:
        """One row; None where the facts do not give it."""
        about = self._asked(row_id)
        return None if about is None else self._row(*about, self._closes(), self.known)

    def _asked(self, row_id: str) -> tuple[Asked, Bar] | None:
        bar = self.tellings.rows.get(row_id.replace("weather:", "bar:", 1))
        date = climate_day(self.tellings.market_ticker)
        if not isinstance(bar, Bar) or date is None:
            return None
        station, offset_s = self.place
        measure = features.measure_of(series_of(bar.market_ticker))
        return Asked(station, measure, from_iso(date), bar.minute_ns + NS_PER_MINUTE, offset_s), bar

    def _row(self, asked: Asked, bar: Bar, closes: Iterable[Close], known: Known) -> Row:
        used = features.used_runs(asked, features.runs_of(asked, known.forecasts))
        normal = features.normal_used(asked, features.reports_of(asked.station, known.reports))
        close = features.close_used(asked.end_ns, closes)
        return {
            "market_ticker": bar.market_ticker,
            "minute": bar.minute_ns,
            "station": asked.station,
            "measure": asked.measure,
            "target_date_local": iso(asked.day),
            **features.forecast_row(used),
            "lead_hours": features.lead_hours(asked, used),
            **features.normal_row(asked, normal),
            "hours_to_close": None if close is None else (close.close_ns - asked.end_ns) / NS_PER_HOUR,
            "close": bar.close_e6,
            "bar_closed": bar.closed,
            "known_at": bar.known_ns,
            "known_by": bar.known_by,
        }

    def _closes(self, gone: Market | MarketTerms | None = None) -> list[Close]:
        told = (features.close_of(fact) for fact in self.tellings.terms if fact is not gone)
        return [close for close in told if close is not None]

    def _sort_bar(self, found: _Sorted, asked: Asked, bar_id: str) -> None:
        """What the bar is made of; the tape is folded without each that the row may differ without."""
        whole = explaining.explain(self.tellings, bar_id)
        for told in whole.inputs:
            dates = told.known_ns == found.row["known_at"] or told.known_by == found.row["known_by"] != "observed"
            if told.role == "trade" and not dates and "close" not in told.why.split(", "):
                found.not_chosen.append(_said(told, f"{told.why} of the bar; {SAME}"))
                continue
            copies = [told, *(each for each in whole.not_chosen if each.role == "trade" and each.name == told.name)]
            bar = self.tellings.without(causes(copies)).rows.get(bar_id)
            row = self._row(asked, bar, self._closes(), self.known) if isinstance(bar, Bar) else None
            found.take(_said(told, f"{told.why} of the bar"), row)
        found.not_chosen += whole.not_chosen
        found.too_late += whole.too_late

    def _sort_closes(self, found: _Sorted, asked: Asked, bar: Bar) -> None:
        used = features.close_used(asked.end_ns, self._closes())
        for fact in self.tellings.terms:
            close = features.close_of(fact)
            if close is None:
                continue
            told = input_of(fact, "close", bar.market_ticker, asked.end_ns, "the close that was announced last")
            if close.known_ns > asked.end_ns:
                found.too_late.append(_said(told, _LATE.format((close.known_ns - asked.end_ns) / 1e9)))
            elif close == used:
                found.take(told, self._row(asked, bar, self._closes(fact), self.known))
            else:
                found.not_chosen.append(_said(told, "another close was announced later"))
