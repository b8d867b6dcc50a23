"""Why a curated minute of TWS says what it says: what was told of it, and the minute made again. Pure.

A minute depends on the finished tellings of its own bar and on nothing else.
"""

from collections.abc import Mapping, Sequence

from stream_processors.explain import Explanation, input_of
from stream_processors.operators import curated
from stream_processors.replay import Part
from topics.catalog import BARS_TWS, FACT_BAR
from topics.codec import decode_fact, decode_tws_minute
from topics.log import Record, TopicPartition
from topics.tws import TwsBar, TwsMinute, is_finished_minute
from topics.units import NS_PER_MINUTE


class SymbolTellings:
    """What raw records say of one symbol, folded: tellings of minutes, and the minutes, by the minute's identity."""

    def __init__(self, symbol: str, records: Mapping[TopicPartition, Sequence[Record]]) -> None:
        self.told: dict[str, list[TwsBar]] = {}
        self.minutes: dict[str, TwsMinute] = {}
        part = Part([0], 1)  # rows of TWS depend on no beat and on no other key, so one partition does
        for (topic, number), batch in records.items():
            for record in part.raw(topic, number, batch):
                if record.topic == BARS_TWS:
                    row = decode_tws_minute(record.value)
                    if row.symbol == symbol:
                        self.minutes[row.row_id] = row
                elif record.topic == FACT_BAR:
                    fact = decode_fact(record.value)
                    if isinstance(fact, TwsBar) and fact.symbol == symbol and is_finished_minute(fact):
                        self.told.setdefault(curated.row_id_of(fact), []).append(fact)


def explain(tellings: SymbolTellings, row_id: str) -> Explanation:
    """The explanation of one minute; one that the facts do not give has no inputs."""
    row = tellings.minutes.get(row_id)
    explanation = Explanation(row_id=row_id, row=row, inputs=[], not_chosen=[], too_late=[])
    if row is None:
        return explanation
    end_ns, told = row.minute_ns + NS_PER_MINUTE, sorted(tellings.told[row_id], key=_order)
    held = next(bar for bar in told if bar.cause == row.cause)
    for bar in told:
        same = _content(bar) == _content(held)
        if bar is held:
            entries, why = explanation.inputs, "the first telling of the content that holds, since it last held"
        elif same and _order(bar) > _order(held):
            entries, why = explanation.not_chosen, "the same content told again: it was known already"
        elif same:
            entries, why = (
                explanation.not_chosen,
                "the same content, but another one held between: it had to be known anew",
            )
        else:
            entries, why = explanation.not_chosen, "other content, known earlier: a later telling holds"
        entries.append(input_of(bar, "bar", bar.told_by, row.known_ns, why))
        if bar.known_ns > end_ns:
            late = (
                f"known {(bar.known_ns - end_ns) / 1e9:.3f} s after the minute's end: a decision there could not use it"
            )
            explanation.too_late.append(input_of(bar, "bar", bar.told_by, row.known_ns, late))
    return explanation


def _order(bar: TwsBar) -> tuple[int, str, int, int, int]:
    return (bar.known_ns, bar.cause.topic, bar.cause.partition, bar.cause.offset, bar.cause.index)


def _content(bar: TwsBar) -> curated.Content:
    return bar.open_e6, bar.high_e6, bar.low_e6, bar.close_e6, bar.volume_e4, bar.average_e6, bar.count
