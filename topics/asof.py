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
