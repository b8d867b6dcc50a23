"""What the simulated archive holds, and since when: runs of models and products of the weather service. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

Row = dict[str, str | int | None]


class Run(NamedTuple):
    """Rows of one run. out_ns: when the archive has them; a run may come in several parts, or be corrected later."""

    station: str
    model: str
    run_ns: int
    out_ns: int
    rows: Sequence[Row]


class Product(NamedTuple):
    """One climate report. name: its id; row: as cli.py shows it; text: as issued, None when only the row is known."""

    station: str
    day: str
    name: str
    issued_ns: int
    out_ns: int
    row: dict[str, object]
    text: str | None


class Holdings(Protocol):
    """An archive. Whoever asks sees what is out by then."""

    def stations(self) -> Sequence[str]:
        """All stations, sorted."""

    def runs(self, station: str, model: str, from_ns: int, to_ns: int) -> Iterable[Run]:
        """Runs from `from_ns` to `to_ns`, both included, whenever they come out."""

    def products(self, station: str, from_ns: int, to_ns: int) -> Iterable[Product]:
        """Products issued from `from_ns` on and before `to_ns`, in order of issue."""
