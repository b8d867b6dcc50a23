"""Rows of the weather that the fold derives: as-of forecasts, and the labels that markets settle on."""

from typing import Literal

from msgspec import Struct

from topics.events import Cause, KnownBy

MissingReason = Literal[
    "pending",  # the tape has not reached the as-of time, and no run known so far has the value
    "no_run",  # no run of the model speaks of the day
    "not_observed",  # the policy wants runs whose arrival a recorder saw, and there is none
    "known_too_late",  # there are runs, but each was known after the as-of time
    "too_stale",  # the runs known in time are older than the policy allows
    "no_value",  # the runs known in time and not too stale lack the value that the policy needs
]


class AsofForecast(Struct, frozen=True, kw_only=True, gc=False):
    """What one policy saw of one model, at its as-of time, for one climate day of one station.

    series_tickers: the series that settle on the station. missing_reason: None when a run was chosen; else the fields of the
    choice are None and `inputs` is empty. known_ns: when the values were known, by the policy's rule. lead_hours: from the
    run to the valid time of the value that the policy needs. unsafe: the policy does not ask when something was known.
    inputs: where the values stand on the raw log.
    """

    row_id: str
    rev: int
    station: str
    series_tickers: tuple[str, ...]
    target_date_local: str
    model: str
    policy_id: str
    policy_version: int
    asof_ns: int
    chosen_run_ns: int | None
    known_ns: int | None
    known_by: KnownBy | None
    tmax_f: int | None
    tmin_f: int | None
    lead_hours: int | None
    missing_reason: MissingReason | None
    unsafe: bool
    inputs: tuple[Cause, ...]


Era = Literal[
    "nws",  # the National Weather Service's climate report settles
    "twc",  # The Weather Company settles; the climate report is a proxy
]
LabelReason = Literal[
    "no_report",  # no climate report of the day is on the tape
    "not_final",  # only reports that were issued before the day was over
    "after_expiration",  # the first final report was issued later than a week after the day: the market expired without it
    "no_value",  # no final report issued by the check has the value: it was told as missing
]


class ClimateValue(Struct, frozen=True, array_like=True, gc=False):
    """What one climate report says. report: preliminary or final, by when it was issued where it does not tell."""

    issued_ns: int
    known_ns: int
    known_by: KnownBy
    value_f: int | None
    report: Literal["preliminary", "final"]
    product: str
    cause: Cause


class SettlementLabel(Struct, frozen=True, kw_only=True, gc=False):
    """What one series settles on for one climate day: the report's value as it stood at the venue's check, and the venue's own.

    check_ns: when the venue looked; check_by: `venue`, it said when it settled, or `rule`, by the era's rule; None while no
    final report is on the tape. label_f: the value of the last final report issued by then; later ones are not looked at.
    known_ns: when the label was known: not before the check, nor before the report, nor before an outcome that moved the check.
    values: every report, oldest first.
    venue_value_f: what the venue says it settled on, None where it does not say a number. agrees: None unless both are there.
    """

    row_id: str
    rev: int
    station: str
    series_ticker: str
    target_date_local: str
    measure: Literal["high", "low"]
    era: Era
    check_ns: int | None
    check_by: Literal["venue", "rule"] | None
    label_f: int | None
    product: str | None
    known_ns: int | None
    known_by: KnownBy | None
    missing_reason: LabelReason | None
    venue_value_f: int | None
    venue_value: str | None
    venue_known_ns: int | None
    venue_settled_ns: int | None
    agrees: bool | None
    values: tuple[ClimateValue, ...]
