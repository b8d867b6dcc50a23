"""What can be asked of IEM, as paths and parameters. Pure.

Windows include both their ends (IEM pylib/iemweb/request/mos.py): neighbours are a minute apart, or a run on the border
would come twice. One request at a time and a pause between them is the safe norm; no quota is published.
"""

from typing import Literal, NamedTuple
from urllib.parse import urlencode

from producers.iem.look import Kind
from topics.catalog import RAW_IEM_CLI, RAW_IEM_MOS
from topics.climate_day import from_iso
from topics.iem import day_of
from topics.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE

MOS_PATH = "/cgi-bin/request/mos.py"
YEAR_PATH = "/json/cli.py"
TEXTS_PATH = "/cgi-bin/afos/retrieve.py"
_PRODUCTS_MAX = 9_999  # as many as one answer may hold


class Ask(NamedTuple):
    """One request. kind: `run` one run of a model, `window` its runs of some time, `year` daily rows, `texts` products."""

    kind: Kind
    station: str
    model: str
    from_ns: int
    to_ns: int
    path: str
    params: tuple[tuple[str, str], ...]

    @property
    def topic(self) -> str:
        """Where its answers go."""
        return RAW_IEM_MOS if self.path == MOS_PATH else RAW_IEM_CLI

    def url(self, base_url: str) -> str:
        """The whole address, as it is asked for and recorded."""
        return f"{base_url.rstrip('/')}{self.path}?{urlencode(self.params)}"


def run(station: str, model: str, run_ns: int) -> Ask:
    """One run."""
    return _mos("run", station, model, run_ns, run_ns)


def window(station: str, model: str, from_ns: int, to_ns: int) -> Ask:
    """The runs from `from_ns` on and before `to_ns`."""
    return _mos("window", station, model, from_ns, to_ns - NS_PER_MINUTE)


def year(station: str, of_year: int) -> Ask:
    """The daily rows of a year: of each day the last report alone."""
    params = (("station", station), ("year", str(of_year)))
    return Ask("year", station, "", _start_of(of_year), _start_of(of_year + 1), YEAR_PATH, params)


def texts(station: str, from_ns: int, to_ns: int) -> Ask:
    """Every issuance of a station's reports from `from_ns` on and before `to_ns`."""
    params = (
        ("pil", f"CLI{station[1:]}"),
        ("sdate", _minute(from_ns)),
        ("edate", _minute(to_ns)),
        ("limit", str(_PRODUCTS_MAX)),
        ("fmt", "text"),
        ("order", "asc"),
    )
    return Ask("texts", station, "", from_ns, to_ns, TEXTS_PATH, params)


def _mos(kind: Literal["run", "window"], station: str, model: str, from_ns: int, to_ns: int) -> Ask:
    params = (
        ("station", station),
        ("model", model),
        ("sts", _minute(from_ns)),
        ("ets", _minute(to_ns)),
        ("format", "csv"),
    )
    return Ask(kind, station, model, from_ns, to_ns, MOS_PATH, params)


def _minute(time_ns: int) -> str:
    hour, minute = divmod(time_ns % NS_PER_DAY, NS_PER_HOUR)
    return f"{day_of(time_ns)}T{hour:02}:{minute // NS_PER_MINUTE:02}Z"


def _start_of(of_year: int) -> int:
    return from_iso(f"{of_year:04}-01-01") * NS_PER_DAY
