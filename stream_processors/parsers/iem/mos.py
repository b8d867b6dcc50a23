"""Model output statistics: rows of mos.py, of the API and of the legacy page, and bulletins, -> forecasts and runs."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Raw, Struct

from stream_processors.envelope import Headers
from stream_processors.parsers.iem import bulletin, daily, table
from stream_processors.parsers.iem.answer import Answer, Unfit, answer_of, digest, station_of, time_ns
from stream_processors.parsers.iem.table import NoTable, Row, Table
from topics.errors import BadRecord
from topics.events import Cause, KnownBy
from topics.iem import LABELS, RUN_LAGS, known_of_run, promised, scheduled
from topics.units import NS_PER_DAY, NS_PER_HOUR
from topics.weather import Forecast, ForecastRun, Model, RunReason

Said = Forecast | ForecastRun | Unfit

WINDOW_MAX_NS = 400 * NS_PER_DAY  # a window of a year is named run by run; nobody asks for more at once
LEAD_DAYS_MAX = 20  # the longest of ours looks 11 days ahead; it bounds how many runs can speak of one day
_RUN_PATHS = ("/api/1/mos.json", "/api/1/mos.txt", "/mos/csv.php")

# Column -> field. All values are whole numbers in IEM's table.
_FIELDS: dict[str, str] = {
    **{name: f"{name}_f" for name in ("n_x", "txn", "xnd", "tmp", "dpt", "tsd", "dsd")},
    "wdr": "wdr_deg",
    "wsp": "wsp_kt",
    "sky": "sky_pct",
    "p06": "p06_pct",
    "p12": "p12_pct",
}
# Codes that stand for no value, or for one beyond what the card can show (NBM text card v4.2, vlab.noaa.gov; the
# parser of pyIEM leaves them in). They stay in `extra`.
_CODES = frozenset({999, -99, 998, -98})
_NAMES = frozenset({"runtime", "ftime", "station", "model", "runtime_utc", "ftime_utc", "index"})


class _Run(Struct):
    """What one answer has of one run: valid time -> its revisions."""

    contents: dict[int, set[str]] = msgspec.field(default_factory=dict)


class _Told:
    """The facts of one answer, in order."""

    def __init__(self, answer: Answer, cause: Cause) -> None:
        self._answer = answer
        self._cause = cause
        self.runs: dict[tuple[str, Model, int], _Run] = {}

    def forecast(self, index: int, row: Row, asked: str | None) -> Forecast:
        """One row. Raises ValueError, KeyError."""
        station = station_of(row["station"])
        label = str(row["model"]).strip().upper()
        model = LABELS.get(label)
        if model is None or (asked in LABELS and LABELS[asked] != model):
            raise ValueError(f"expected a model of {asked or ', '.join(LABELS)}, was {label[:16]!r}")
        run_ns, valid_ns = time_ns(str(row["runtime"])), time_ns(str(row["ftime"]))
        if valid_ns < run_ns:
            raise ValueError(f"expected a valid time after the run, was {row['ftime']!r} of {row['runtime']!r}")
        if run_ns % NS_PER_HOUR or valid_ns - run_ns > LEAD_DAYS_MAX * NS_PER_DAY:
            raise ValueError(
                f"expected a run on the hour, {LEAD_DAYS_MAX} days ahead at most, was {row['ftime']!r} of {row['runtime']!r}"
            )
        values, extra = _content(row)
        revision = digest({**values, **extra})
        run = self.runs.setdefault((station, model, run_ns), _Run())
        run.contents.setdefault(valid_ns, set()).add(revision)
        known_ns, known_by = self._known(model, run_ns)
        return Forecast(
            station=station,
            event_ns=valid_ns,
            received_ns=self._answer.received_ns,
            known_ns=known_ns,
            known_by=known_by,
            cause=_at(self._cause, index),
            conn=self._answer.conn,
            model=model,
            label=label,
            run_ns=run_ns,
            revision=revision,
            extra=Raw(msgspec.json.encode(extra)),
            **values,
        )

    def run(self, index: int, key: tuple[str, Model, int], reason: RunReason | None) -> ForecastRun:
        """What the answer shows of one run; reason: why nothing of it, or not all of it, can be there."""
        station, model, run_ns = key
        contents = self.runs[key].contents if key in self.runs else {}
        whole = promised(model, run_ns)
        if whole is not None and contents and set(whole) <= contents.keys():
            reason = None
        elif contents and reason is None:
            reason = "unscheduled" if whole is None else "partial"
        known_ns, known_by = self._known(model, run_ns)
        if reason is not None:  # that something was not there is known when the answer came
            known_ns = self._answer.received_ns
        return ForecastRun(
            station=station,
            event_ns=run_ns,
            received_ns=self._answer.received_ns,
            known_ns=known_ns,
            known_by=known_by if reason is None else self._observed(),
            cause=_at(self._cause, index),
            conn=self._answer.conn,
            model=model,
            run_ns=run_ns,
            seen=self._answer.seen,
            valid_times=len(contents),
            conflicts=sum(len(revisions) > 1 for revisions in contents.values()),
            expected=None if whole is None else len(whole),
            last_valid_ns=max(contents, default=None),
            absent_ns=self._answer.absent_ns,
            status=self._answer.status,
            reason=reason,
        )

    def _known(self, model: Model, run_ns: int) -> tuple[int, KnownBy]:
        answer = self._answer
        lag_ns = RUN_LAGS[model].lag_ns if answer.lag_ns is None else answer.lag_ns
        known_ns, known_by = known_of_run(
            run_ns,
            answer.received_ns,
            seen=answer.seen,
            lag_ns=lag_ns,
            lag_by="assumed" if answer.lag_ns is None else "modelled",
        )
        return known_ns, known_by if answer.live else "assumed"

    def _observed(self) -> KnownBy:
        return "observed" if self._answer.live else "assumed"


def parse(value: bytes, headers: Headers, cause: Cause) -> Iterator[Said]:
    """All that an answer, or a file, says. Raises BadRecord for headers that are not ours, and too much at once."""
    answer = answer_of(headers)
    told = _Told(answer, cause)
    asked = (answer.asked("model") or "").upper() or None
    if (failed := answer.failure(value)) is not None:
        yield Unfit(0, failed[1])
        yield from _runs(told, answer, 1, failed[0])
        return
    found = _found(value, answer)
    if isinstance(found, NoTable):
        yield Unfit(0, found.error)
        yield from _runs(told, answer, 1, found.reason)
        return
    last = -1
    for index, row in found.rows:
        last = max(last, index)
        try:
            yield told.forecast(index, row, asked)
        except KeyError as error:
            yield Unfit(index, BadRecord("missing_field", f"expected the column {error}"))
        except (ValueError, OverflowError) as error:
            yield Unfit(index, BadRecord("bad_value", str(error)))
    yield from found.unfit
    last = max([last, *(unfit.place for unfit in found.unfit)])
    yield from _runs(told, answer, last + 1, "truncated" if found.truncated else None)


def _found(value: bytes, answer: Answer) -> Table | NoTable:
    if (model := daily.model_of(value)) is not None:
        rows = table.read(value, "date", "runtime")
        return rows if isinstance(rows, NoTable) else daily.read(rows, model, answer.path)
    found = table.read(value, "runtime", "ftime", "model", "station")
    return bulletin.read(value) if isinstance(found, NoTable) and bulletin.is_one(value) else found


def _runs(told: _Told, answer: Answer, index: int, reason: RunReason | None) -> Iterator[ForecastRun]:
    """Each run that is there, and each that was asked for, is in the calendar, and is not.

    A body that was cut off says nothing of the runs behind its last one; `truncated` is the reason of these.
    """
    there = set(told.runs)
    latest_ns = max((run_ns for _, _, run_ns in there), default=0)
    for key in sorted(there | set(_asked(answer))):
        if key in there:
            yield told.run(index, key, reason if key[2] == latest_ns else None)
        else:
            cut = reason == "truncated" and key[2] < latest_ns
            yield told.run(index, key, "absent" if reason is None or cut else reason)
        index += 1


def _asked(answer: Answer) -> Iterable[tuple[str, Model, int]]:
    """The runs that the URL asks for, by the calendar; none for a file and for arguments that name no window."""
    model = LABELS.get((answer.asked("model") or "").upper())
    if model is None:
        return []
    stations = [name for part in answer.query.get("station", []) for name in part.split(",")]
    try:
        if answer.path in _RUN_PATHS:
            runtime = answer.asked("runtime")
            runs = [] if not runtime else [time_ns(runtime)]
        else:
            from_ns, to_ns = time_ns(answer.asked("sts") or ""), time_ns(answer.asked("ets") or "")
            if to_ns - from_ns > WINDOW_MAX_NS:
                raise BadRecord("too_large", f"expected a window of at most 400 days, was {answer.query}")
            runs = [*scheduled(model, from_ns, to_ns)]
            if from_ns == to_ns and not runs and not from_ns % NS_PER_HOUR:
                runs = [from_ns]  # one run was asked for, whatever the calendar says
        return [(station_of(name), model, run_ns) for name in stations for run_ns in runs]
    except ValueError:
        return []


def _content(row: Row) -> tuple[dict[str, int | None], dict[str, table.Cell]]:
    """The typed values of a row, and all else that has a value. Raises ValueError."""
    values: dict[str, int | None] = {}
    extra: dict[str, table.Cell] = {}
    for name, cell in row.items():
        if name in _NAMES or table.is_null(cell):
            continue
        field = _FIELDS.get(name)
        if field is None:
            extra[name] = table.plain(cell)
            continue
        value = table.number(cell)
        if isinstance(value, float):
            raise ValueError(f"{name}: expected a whole number, was {value!r}")  # noqa: TRY004  # theirs, a value
        if value in _CODES:
            extra[name] = value
        else:
            values[field] = value
    for name in ("t06", "t12"):  # `a/b` of two columns that stand beside it, or in place of them
        parts = str(extra.get(name, "")).split("/")
        if len(parts) == 2 and all(part.strip().isdigit() for part in parts):  # noqa: PLR2004
            told = {f"{name}_{number}": int(part[:9]) for number, part in enumerate(parts, 1)}
            if all(extra.get(part, value) == value for part, value in told.items()):
                del extra[name]
                extra |= told
    return values, extra


def _at(cause: Cause, index: int) -> Cause:
    return Cause(cause.topic, cause.partition, cause.offset, index)
