"""As-of policies: when a forecast is asked for, and what counts as known then. Data with a version, facts on the log.

A policy never changes: other words are another version, and the rows of both stand side by side, each under its own.
A knowledge rule may only be more careful than the facts are. The one that is not says so in every row it makes.
"""

import re
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import replace

from topics.units import NS_PER_MINUTE, NS_PER_S

Knowledge = Literal[
    "stated",  # at the fact's own `known_ns`, however it is known
    "observed",  # the same, but only facts that a live recorder saw
    "modelled",  # not before run + the model's lag in `lags_s`, which is the `quantile` of measured lags
    "fixed_lag",  # not before run + the model's lag in `lags_s`, which somebody stated
    "run_time",  # at the run's nominal time. UNSAFE: no run is public at its nominal time
]
UNSAFE: Knowledge = "run_time"
STALENESS_MAX_S = 10 * 86_400  # the longest horizon of these models; older runs say nothing of the day

_AT = re.compile(
    r"D(?P<days>[+-][0-9]{1,2})? (?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]) (?P<clock>station local standard|UTC)"
)
_AT_HELP = "a time like `D-1 18:00 station local standard` or `D 12:00 UTC`"


class At(NamedTuple):
    """The as-of time of target day D: `days` after D, `minutes` after midnight, in standard time or in UTC."""

    days: int
    minutes: int
    standard: bool


@lru_cache(maxsize=1_024)  # one entry per policy
def parse_at(text: str) -> At:
    """Read a time rule. Raises ValueError."""
    match = _AT.fullmatch(text)
    if match is None:
        raise ValueError(f"at: expected {_AT_HELP}, was {text!r}")
    minutes = 60 * int(match["hour"]) + int(match["minute"])
    return At(int(match["days"] or 0), minutes, match["clock"] != "UTC")


class Policy(Struct, frozen=True, kw_only=True, tag_field="type", tag="policy", omit_defaults=True):
    """One version of one policy.

    at: the as-of time, see `parse_at`. calendar: what a day is. models: asked for each day, whether they are there or not.
    max_staleness_s: from the run's nominal time to the as-of time. needs: the value without which a run is no answer.
    lags_s: by model, for `modelled` and `fixed_lag`. quantile: of measured lags, for `modelled`.
    """

    policy_id: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_.-]{0,62}$")]
    version: Annotated[int, Meta(ge=1, le=65_535)]
    at: str
    models: Annotated[tuple[str, ...], Meta(min_length=1, max_length=32)]
    max_staleness_s: Annotated[int, Meta(ge=1, le=STALENESS_MAX_S)]
    knowledge: Knowledge = "stated"
    calendar: Literal["climate_day"] = "climate_day"
    needs: Literal["tmax", "tmin"] = "tmax"
    lags_s: dict[str, Annotated[int, Meta(ge=0, le=STALENESS_MAX_S)]] = {}
    quantile: Annotated[float, Meta(gt=0, lt=1)] | None = None
    description: str = ""

    def __post_init__(self) -> None:
        parse_at(self.at)
        lagged = self.knowledge in {"modelled", "fixed_lag"}
        if lagged and (missing := [model for model in self.models if model not in self.lags_s]):
            raise ValueError(f"lags_s: expected a lag of every model, was none of {', '.join(missing)}")
        if not lagged and self.lags_s:
            raise ValueError(f"lags_s: expected none with knowledge {self.knowledge!r}, was {self.lags_s}")
        if (self.knowledge == "modelled") != (self.quantile is not None):
            raise ValueError(f"quantile: expected with knowledge 'modelled' and only there, was {self.quantile}")
        if len(set(self.models)) < len(self.models):
            raise ValueError(f"models: expected each once, was {self.models}")

    @property
    def key(self) -> str:
        """Id and version: what a row's answer depends on."""
        return f"{self.policy_id}@{self.version}"

    @property
    def day_offset(self) -> int:
        """Days from the target day to the as-of time's day."""
        return parse_at(self.at).days

    @property
    def minute_of_day(self) -> int:
        """Minutes from that day's midnight to the as-of time."""
        return parse_at(self.at).minutes

    @property
    def standard_time(self) -> bool:
        """Whether the clock is the station's standard time; else it is UTC."""
        return parse_at(self.at).standard

    @property
    def unsafe(self) -> bool:
        """Whether rows of this policy may use what nobody could know at their as-of time."""
        return self.knowledge == UNSAFE

    def asof_ns(self, day: int, offset_s: int) -> int:
        """The as-of time of a target day at a station whose standard time is `offset_s` ahead of UTC."""
        at = parse_at(self.at)
        utc_ns = ((day + at.days) * 1_440 + at.minutes) * NS_PER_MINUTE
        return utc_ns - offset_s * NS_PER_S if at.standard else utc_ns


DEFAULT_POLICY_ID = "d1-1800"
_EVENING = Policy(
    policy_id=DEFAULT_POLICY_ID,
    version=1,
    at="D-1 18:00 station local standard",
    models=("GFS", "MEX", "NAM", "NBS", "NBE"),
    max_staleness_s=86_400,
    description="The evening before, with what was known by then as each fact states it.",
)
# Shipped policies, appended to the log by `tapefold migrate`. Lags of `d1-1800-careful`: planning values, rounded up.
SHIPPED: tuple[Policy, ...] = (
    _EVENING,
    replace(
        _EVENING,
        policy_id="d1-1000",
        at="D-1 10:00 station local standard",
        description="When the markets of the day open, the morning before.",
    ),
    replace(
        _EVENING,
        policy_id="d0-0700",
        at="D 07:00 station local standard",
        description="The morning of the day itself.",
    ),
    replace(
        _EVENING,
        policy_id="d1-1800-observed",
        knowledge="observed",
        description="The evening before, with runs alone whose arrival a live recorder saw.",
    ),
    replace(
        _EVENING,
        policy_id="d1-1800-careful",
        knowledge="fixed_lag",
        lags_s={"GFS": 5 * 3600, "MEX": 6 * 3600, "NAM": 4 * 3600, "NBS": 2 * 3600, "NBE": 2 * 3600},
        description="The evening before, and no run sooner than a stated lag: history and live alike.",
    ),
)
