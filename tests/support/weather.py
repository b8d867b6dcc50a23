"""Weather facts for tests, and a straight computation of as-of answers that shares nothing with the operator."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from stream_processors.outputs import Output
from stream_processors.pipeline import Batch, States
from topics.codec import encode
from topics.events import Beat, Cause
from topics.policies import Policy
from topics.units import NS_PER_S
from topics.weather import Climate, Forecast, ForecastRun

RAW = "raw.iem.mos"


def ns(text: str) -> int:
    """`2026-04-10 12:00` (UTC) -> nanoseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_S


def forecast(run: str, valid: str, value_f: int | None, known: str, **over: Any) -> Forecast:
    """One valid time of a GFS run at KMIA; its revision is its value unless said otherwise."""
    offset = over.pop("offset", 1)
    values: dict[str, Any] = {
        "station": "KMIA",
        "model": "GFS",
        "label": "GFS",
        "run_ns": ns(run),
        "event_ns": ns(valid),
        "revision": f"r{value_f}",
        "n_x_f": value_f,
        "known_ns": ns(known),
        "received_ns": ns(known),
        "known_by": "observed",
        "cause": Cause(RAW, 0, offset),
        "conn": "iem",
    }
    return Forecast(**(values | over))


def policy(**over: Any) -> Policy:
    """D-1 18:00 standard time, GFS, one day of patience."""
    values: dict[str, Any] = {
        "policy_id": "test",
        "version": 1,
        "at": "D-1 18:00 station local standard",
        "models": ("GFS",),
        "max_staleness_s": 86_400,
    }
    return Policy(**(values | over))


def forecast_beat(clock_ns: int, conn: str = "iem") -> Beat:
    """A beat of the recorder of model output."""
    return Beat(source="iem.mos", conn=conn, raw_partition=0, clock_ns=clock_ns, lease_ns=30 * NS_PER_S)


def forecast_run(received_ns: int, **over: Any) -> ForecastRun:
    """An answer about KMIA, received at that time, that had no run."""
    values: dict[str, Any] = {
        "station": "KMIA",
        "model": "GFS",
        "run_ns": received_ns - 3600 * NS_PER_S,
        "event_ns": received_ns - 3600 * NS_PER_S,
        "known_ns": received_ns,
        "received_ns": received_ns,
        "known_by": "observed",
        "cause": Cause(RAW, 0, 999),
        "conn": "iem",
        "seen": "archive",
        "valid_times": 0,
        "reason": "absent",
    }
    return ForecastRun(**(values | over))


def said(row: Any) -> Any:
    """What a row says: all but where the same words, known at the same time, stand on the log."""
    if hasattr(row, "inputs"):
        return replace(row, inputs=())
    if hasattr(row, "values"):
        return replace(row, values=tuple(replace(each, cause=Cause("", 0, 0)) for each in row.values))
    return row


def straight(
    forecasts: list[Forecast], asked: Policy, model: str, day: str, standard_hours: int
) -> dict[str, Any] | None:
    """The newest run known in time and fresh, with its values, by brute force over all facts; None where there is none.

    Knows the rules `stated` and `fixed_lag`. standard_hours: of the station's standard time, such as -5.
    """
    zone = timedelta(hours=standard_hours)
    midnight = datetime.fromisoformat(day)
    asof = midnight + timedelta(days=asked.day_offset, minutes=asked.minute_of_day) - zone
    best: dict[str, Any] | None = None
    for run_ns in {f.run_ns for f in forecasts if f.model == model}:
        run = datetime.fromtimestamp(run_ns // NS_PER_S, UTC).replace(tzinfo=None)
        if not asof - timedelta(seconds=asked.max_staleness_s) <= run <= asof:
            continue
        found = {}
        for name, hour in (("tmax_f", 0), ("tmin_f", 12)):
            valid = next(
                moment for moment in (midnight - zone + timedelta(hours=h) for h in range(24)) if moment.hour == hour
            )
            told: dict[str, tuple[int, Cause, int | None]] = {}
            for f in forecasts:
                same = (f.model, f.run_ns, f.event_ns) == (model, run_ns, ns(str(valid)))
                if same and (
                    f.revision not in told
                    or (f.known_ns, _place(f.cause)) < (told[f.revision][0], _place(told[f.revision][1]))
                ):
                    told[f.revision] = (f.known_ns, f.cause, f.n_x_f if f.n_x_f is not None else f.txn_f)
            lag = timedelta(seconds=asked.lags_s.get(model, 0))
            known = [
                (t[0], revision, t[2])
                for revision, t in told.items()
                if t[0] <= ns(str(asof)) and t[2] is not None and run + lag <= asof
            ]
            if known:
                found[name] = max(known)[2]
        if "tmax_f" in found and (best is None or run_ns > best["chosen_run_ns"]):
            best = {"chosen_run_ns": run_ns, "tmax_f": found["tmax_f"], "tmin_f": found.get("tmin_f")}
    return best


def _place(cause: Cause) -> tuple[str, int, int, int]:
    return cause.topic, cause.partition, cause.offset, cause.index


class WeatherFold:
    """The fold of one partition with its states in a dictionary, as replay and the agent run it."""

    def __init__(self) -> None:
        self.states: dict[str, bytes] = {}
        self.outputs: list[Output] = []
        self.offset = 0

    def feed(self, topic: str, *facts: Any) -> "WeatherFold":
        """Fold one batch; states are stored as bytes, like in the agent."""
        states = States(self.states.get)
        offsets = range(self.offset, self.offset + len(facts))
        self.offset += len(facts)
        self.outputs += Batch(states, topic, 0, 1).fold(offsets, [encode(fact) for fact in facts])
        self.states.update(states.encoded())
        return self

    def told(self, topic: str, decode: Any) -> list[Any]:
        """All rows of a topic, in the order in which they were told."""
        return [decode(output.value) for output in self.outputs if output.topic == topic]

    def rows(self, topic: str, decode: Any) -> dict[str, Any]:
        """Final rows by id. Revisions never fall, and equal revisions are equal rows."""
        last: dict[str, Any] = {}
        for row in self.told(topic, decode):
            before = last.get(row.row_id)
            assert before is None or row.rev >= before.rev, f"a revision fell: {before} {row}"
            assert before is None or row.rev > before.rev or row == before, f"equal revisions differ: {before} {row}"
            last[row.row_id] = row
        return last


def climate(issued: str, high_f: int | None, day: str = "2024-11-27", **over: Any) -> Climate:
    """A report of KMIA; known a minute after its issue, as our poller would have it."""
    issued_ns = ns(issued)
    values: dict[str, Any] = {
        "station": "KMIA",
        "event_ns": issued_ns,
        "issued_ns": issued_ns,
        "received_ns": issued_ns + 60 * NS_PER_S,
        "known_ns": issued_ns + 60 * NS_PER_S,
        "known_by": "observed",
        "cause": Cause("raw.iem.cli", 0, issued_ns // NS_PER_S),
        "conn": "iem",
        "day": day,
        "product": f"{issued.translate(str.maketrans('', '', '-: '))}-KMFL-CDUS42-CLIMIA",
        "revision": f"r{high_f}",
        "high_f": high_f,
        "low_f": 70,
    }
    return Climate(**(values | over))
