"""Each listed input of a row left out in turn, and the row made again by the fold: what is listed must have a part in it."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from stream_processors import explain, explain_tws, explain_weather
from stream_processors.explain import Input, Tellings
from stream_processors.explain_features import MarketFeatures, SymbolFeatures
from stream_processors.explain_tws import SymbolTellings
from stream_processors.explain_weather import StationTellings
from stream_processors.operators import curated
from topics.events import BookDelta, BookSnapshot, Cause, Trade

Left = tuple[Input, object]  # an input, and the row without it; None where there is none


def checked(explains: Callable[..., Any], row_id: str) -> int:
    """Leave out each listed input of a row, one by one; returns how many there are. Each must make the row another one.

    explains: what the explainer keeps for the row. A trade or a run that is chosen changes more than the revision.
    """
    row, left = _OF[type(_told(explains))](_told(explains), row_id)
    number = 0
    for each, without in left:
        number += 1
        assert row != without, (row_id, each)
        if each.role in {"trade", "forecast", "report", "bar"} and hasattr(row, "rev"):
            assert _content(row) != _content(without), (row_id, each)
    return number


def _told(explains: Callable[..., Any]) -> Any:
    """What an explanation is bound to: the facts that it looks at."""
    return explains.args[0] if isinstance(explains, partial) else getattr(explains, "__self__")  # noqa: B009  # of a method


def _content(row: Any) -> dict[str, Any]:
    """All but the revision."""
    names = row.__struct_fields__ if row is not None else ()
    return {name: getattr(row, name) for name in names if name != "rev"}


def _of_market(tellings: Tellings, row_id: str) -> tuple[object, Iterator[Left]]:
    """Bars, best levels and gaps. A trade or a frame goes with its copies, which would stand in for it."""
    told = explain.explain(tellings, row_id)
    left = ((each, tellings.without(_copies(tellings, each)).rows.get(row_id)) for each in told.inputs)
    return told.row, left


def _copies(tellings: Tellings, each: Input) -> set[Cause]:
    facts = {(fact.cause.topic, fact.cause.partition, fact.cause.offset): fact for fact in tellings.facts}
    fact = facts[each.topic, each.partition, each.offset]
    if isinstance(fact, Trade):
        return {other.cause for other in tellings.facts if isinstance(other, Trade) and other.trade_id == fact.trade_id}
    if isinstance(fact, BookDelta | BookSnapshot):
        last = facts[each.topic, each.partition, each.offset if each.to_offset is None else each.to_offset]
        return {
            other.cause
            for other in tellings.facts
            if isinstance(other, BookDelta | BookSnapshot)
            and (other.conn, other.sid) == (fact.conn, fact.sid)
            and fact.seq <= other.seq <= last.seq  # type: ignore[operator]  # frames of a book have numbers
        }
    return {fact.cause}


def _of_station(tellings: StationTellings, row_id: str) -> tuple[object, Iterator[Left]]:
    """As-of rows and labels."""
    told = explain_weather.explain(tellings, row_id)
    left = ((each, tellings.without(explain.causes([each])).rows.get(row_id)) for each in told.inputs)
    return told.row, left


def _of_minute(tellings: SymbolTellings, row_id: str) -> tuple[object, Iterator[Left]]:
    """Minutes of TWS."""
    told = explain_tws.explain(tellings, row_id)
    return told.row, ((each, _minute(tellings, row_id, explain.causes([each]))) for each in told.inputs)


def _minute(tellings: SymbolTellings, row_id: str, gone: set[Cause]) -> object:
    state, row = curated.State(), None
    for bar in tellings.told[row_id]:
        if bar.cause not in gone:
            row = curated.step(state, bar)
    return row


def _of_symbol(features: SymbolFeatures, row_id: str) -> tuple[object, Iterator[Left]]:
    """Price features: a bar goes with all its tellings, a run or report with its copies."""
    told = features.explain(row_id)

    def left() -> Iterator[Left]:
        for each in told.inputs:
            if each.role == "bar":
                minutes = SymbolTellings("", {})
                minutes.told = features.tellings.told
                minutes.minutes = {name: bar for name, bar in features.tellings.minutes.items() if name != each.name}
                yield each, SymbolFeatures(minutes, features.about, features.known).row(row_id)
            else:
                (fact,) = (
                    fact
                    for fact in (*features.known.forecasts, *features.known.reports)
                    if {fact.cause} == explain.causes([each])
                )
                known = features.known.without(fact)
                yield each, SymbolFeatures(features.tellings, features.about, known).row(row_id)

    return told.row, left()


def _of_features(features: MarketFeatures, row_id: str) -> tuple[object, Iterator[Left]]:
    """Weather features: what makes the bar, what announces the close, runs and reports."""
    told = features.explain(row_id)

    def left() -> Iterator[Left]:
        for each in told.inputs:
            weather = [
                fact
                for fact in (*features.known.forecasts, *features.known.reports)
                if {fact.cause} == explain.causes([each])
            ]
            if weather:
                known, tellings = features.known.without(weather[0]), features.tellings
            else:
                gone = explain.causes([each]) if each.role == "close" else _copies(features.tellings, each)
                known, tellings = features.known, features.tellings.without(gone)
            yield each, MarketFeatures(tellings, known, features.place).row(row_id)

    return told.row, left()


_OF: dict[type, Callable[[Any, str], tuple[object, Iterator[Left]]]] = {
    Tellings: _of_market,
    StationTellings: _of_station,
    SymbolTellings: _of_minute,
    SymbolFeatures: _of_symbol,
    MarketFeatures: _of_features,
}
