"""The typed events of the weather: what a model run says of a station, and what a climate report said of its day.

Facts are keyed by station (`KMIA`). Temperatures are whole degrees Fahrenheit, as all these products have them. `known_ns`
is what `topics.events` says; the rules that set it stand in `topics.iem`. `None`: the source did not say, or said
"missing"; where the two differ, `missing` names the fields that were said to be missing.
"""

from typing import Literal

from msgspec import Raw, Struct

from topics.events import Cause, Int64, KnownBy

Model = Literal["GFS", "MEX", "NAM", "NBS", "NBE", "LAV"]
RunReason = Literal[
    "absent",  # the upstream answered, and had no row of a run that its calendar promises
    "partial",  # valid times that every run of the model has are not there (yet)
    "truncated",  # the body ends within a row: what stands before it is told, the rest is unknown
    "unscheduled",  # rows are there, but the calendar knows no such run: nothing says when it would be whole
    "throttled",  # 429, or 503: asked too often, or too much; nothing was learnt
    "upstream_error",  # 500, 502, 504, or a 200 whose body begins with `ERROR:`
    "not_found",  # 404: the service knows no run for these arguments
    "bad_request",  # 422 and other 4xx: our arguments; asking again does not help
    "not_a_table",  # 200 with a body that is no table of this product
]
YearReason = Literal[
    "absent", "partial", "truncated", "throttled", "upstream_error", "not_found", "bad_request", "not_a_table"
]
Seen = Literal[
    "first",  # we had asked before, and it was not there: `received_ns` is when it came, to within `absent_ns`
    "pre_existing",  # it was there when we asked for the first time: it came at some time before
    "archive",  # asked for, or loaded, as history
]


class WeatherFact(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", omit_defaults=True):
    """What every fact of the weather carries. conn: the producer's run, or the recorder that a file names."""

    station: str
    event_ns: Int64
    received_ns: Int64
    known_ns: Int64
    known_by: KnownBy
    cause: Cause
    conn: str


class Forecast(WeatherFact, frozen=True, kw_only=True, gc=False, tag="forecast"):
    """One valid time (`event_ns`) of one model run at one station.

    Identity: (station, model, run_ns, event_ns, revision). revision is a hash of the content alone: the same content
    told again is the same revision, other content for the same valid time is another one, and both are kept; the later
    known replaces the earlier (told in one answer: the one with the larger cause).
    model: as asked for. label: as sent (AVN within GFS, ETA within NAM).
    n_x_f, txn_f: max or min of the 12 (18) hours that end at the valid time: at 00Z the maximum of the US local day
    before, at 12Z the minimum. xnd_f, tsd_f, dsd_f: standard deviations of txn, tmp, dpt.
    extra: all other columns with a value, as an object, names as sent; among them codes that are no value (999, -99).
    """

    model: Model
    label: str
    run_ns: Int64
    revision: str
    n_x_f: Int64 | None = None
    txn_f: Int64 | None = None
    xnd_f: Int64 | None = None
    tmp_f: Int64 | None = None
    dpt_f: Int64 | None = None
    tsd_f: Int64 | None = None
    dsd_f: Int64 | None = None
    wdr_deg: Int64 | None = None
    wsp_kt: Int64 | None = None
    sky_pct: Int64 | None = None
    p06_pct: Int64 | None = None
    p12_pct: Int64 | None = None
    extra: Raw = Raw(b"{}")


class ForecastRun(WeatherFact, frozen=True, kw_only=True, gc=False, tag="forecast_run"):
    """What one answer showed of one run (`event_ns` and `run_ns`: its nominal time) at one station.

    reason: None is positive evidence that the run is whole: every valid time that the model's calendar promises was
    there. valid_times: distinct ones; conflicts: those that came with more than one content. expected: how many the
    calendar promises, None when it knows no such run. absent_ns: the receive stamp of our last answer that did not have
    the whole run, None when we had not asked; with it `received_ns` is an observed arrival.
    """

    model: Model
    run_ns: Int64
    seen: Seen
    valid_times: Int64
    conflicts: Int64 = 0
    expected: Int64 | None = None
    last_valid_ns: Int64 | None = None
    absent_ns: Int64 | None = None
    status: Int64 | None = None
    reason: RunReason | None = None


class Climate(WeatherFact, frozen=True, kw_only=True, gc=False, tag="climate"):
    """One climate report (CLI) of one station and one climate day, as one product told it.

    Identity: (station, day, product, revision). day: `YYYY-MM-DD`, midnight to midnight local standard time, all year.
    product: `YYYYMMDDHHMM-CCCC-TTAAII-PIL[-BBB]`; empty where the record does not name it. event_ns, issued_ns: its issuance
    (the WMO header's time, UTC); without a product 12 hours after the day is over everywhere.
    revision: a hash of high and low, which every form of a report has and markets settle by.
    report: `preliminary`, issued before the day was over: its high is the highest *so far*, its low the lowest so far;
    `final`, issued after it; None when the record does not tell. A later product replaces an earlier one.
    through_ns: what a preliminary report says it holds up to. correction: it says that it corrects another one.
    high_time, low_time: as told, local standard time. Depths: precip_e2 hundredths of an inch, snow_e1 tenths, both None
    for a trace. missing, trace: the names of the fields that were told as missing (`M`, `MM`) or as a trace (`T`).
    extra: all other fields as an object, names as sent.
    """

    day: str
    product: str
    issued_ns: Int64
    revision: str
    report: Literal["preliminary", "final"] | None = None
    correction: bool = False
    through_ns: Int64 | None = None
    high_f: Int64 | None = None
    low_f: Int64 | None = None
    high_time: str | None = None
    low_time: str | None = None
    high_normal_f: Int64 | None = None
    low_normal_f: Int64 | None = None
    high_record_f: Int64 | None = None
    low_record_f: Int64 | None = None
    precip_e2: Int64 | None = None
    snow_e1: Int64 | None = None
    snow_depth_in: Int64 | None = None
    missing: tuple[str, ...] = ()
    trace: tuple[str, ...] = ()
    name: str | None = None
    extra: Raw = Raw(b"{}")


class ClimateYear(WeatherFact, frozen=True, kw_only=True, gc=False, tag="climate_year"):
    """What one answer showed of a station's climate days of a year (`event_ns`: its first moment, UTC).

    reason: None when every day from `from_day` to `to_day` (both included, ISO) was there. missing_days: those that were not.
    """

    year: Int64
    days: Int64
    from_day: str | None = None
    to_day: str | None = None
    missing_days: tuple[str, ...] = ()
    status: Int64 | None = None
    reason: YearReason | None = None


AnyWeather = Forecast | ForecastRun | Climate | ClimateYear
