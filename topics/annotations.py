"""Annotations: what a person decided about a range of a dataset. Facts on the log; together they are the ledger.

An annotation never changes: another decision is another version, and the latest one holds. Times are those of the rows
it is about: minutes of bars and features, midnights (UTC) of climate days for rows of days.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from topics.events import Int64

Verdict = Literal[
    "accepted",  # the data are as bad as the figures say, for a reason outside; they are used, and no alert is needed
    "annotated",  # something is worth knowing; the data are used
    "unusable",  # nothing may be trained on these rows, nor on rows that lean on them
    "withdrawn",  # what was decided before no longer holds
]
Dataset = Literal[
    "bars_1m",
    "raw_tws_bars",
    "curated_tws_1m_bars",
    "features_price_1m_v1",
    "features_weather",
    "mos_asof",
    "settlement_labels",
]


class Annotation(Struct, frozen=True, kw_only=True, tag_field="type", tag="annotation", omit_defaults=True):
    """One version of one annotation, about rows of [from_ns, to_ns).

    keys: symbols, markets, series or stations whose rows it is about; none: all. known_ns: when it was written.
    """

    annotation_id: Annotated[str, Meta(min_length=1, max_length=200)]
    version: Annotated[int, Meta(ge=1, le=65_535)]
    dataset: Dataset
    from_ns: Int64
    to_ns: Int64
    verdict: Verdict
    note: Annotated[str, Meta(min_length=1, max_length=4_000)]
    known_ns: Int64
    author: str = ""
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.from_ns >= self.to_ns:
            raise ValueError(f"to: expected a time after from, were {self.from_ns} and {self.to_ns}")
