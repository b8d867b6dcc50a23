"""Recorded files as an archive: tables of mos.py, rows of cli.py, texts of reports; in the upstream's own formats.

A file has no arrival times. A run is out after the lag that the shipped table assumes, a report a minute after its
issue: a simulated client that watches sees them come.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from stream_processors.parsers.iem import bulletin, product, table
from stream_processors.parsers.iem.answer import station_of, time_ns
from tapefold.payloads.files import content, find
from tapefold.simulators.iem.holdings import Product, Row, Run
from topics.errors import Refused
from topics.iem import LABELS, RUN_LAGS
from topics.units import NS_PER_MINUTE

SUFFIXES = (".csv", ".json", ".txt", ".sql", ".csv.gz", ".json.gz", ".txt.gz", ".sql.gz")


class Archive:
    """All files of `paths`. Raises Refused when none of them holds anything, UnreadableFile."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._runs: dict[tuple[str, str, int], list[Row]] = {}
        self._products: dict[tuple[str, str], Product] = {}
        for path in find(paths, SUFFIXES):
            self._take(content(path))
        if not self._runs and not self._products:
            raise Refused(f"--archive: expected answers of IEM in {', '.join(map(str, paths))}, found none")

    def stations(self) -> Sequence[str]:
        """All that a file names."""
        return sorted({station for station, _, _ in self._runs} | {one.station for one in self._products.values()})

    def span_ns(self) -> tuple[int, int]:
        """The first and the last moment that the files speak of: runs and issues."""
        moments = [run_ns for _, _, run_ns in self._runs] + [one.issued_ns for one in self._products.values()]
        return min(moments), max(moments)

    def runs(self, station: str, model: str, from_ns: int, to_ns: int) -> Iterator[Run]:
        """Rows as recorded, repeated ones too."""
        for (of_station, of_model, run_ns), rows in sorted(self._runs.items()):
            if (of_station, of_model) == (station, model) and from_ns <= run_ns <= to_ns:
                yield Run(station, model, run_ns, run_ns + RUN_LAGS[model].lag_ns, rows)

    def products(self, station: str, from_ns: int, to_ns: int) -> Iterator[Product]:
        """In order of issue."""
        for one in sorted(self._products.values(), key=lambda one: (one.issued_ns, one.name)):
            if one.station == station and from_ns <= one.issued_ns < to_ns:
                yield one

    def _take(self, value: bytes) -> None:
        if product.is_one(value):
            texts = [text.strip("\r\n\x03 ") for text in value.decode("utf-8", "replace").split("\x01") if text.strip()]
            for text in texts:
                for _, row in product.read(text.encode())[0]:
                    self._keep_product(row, text + "\n")
            return
        found = table.read(value, "station")
        if isinstance(found, table.NoTable):
            found = bulletin.read(value) if bulletin.is_one(value) else table.Table((), (), truncated=False)
        for _, row in found.rows:
            if "runtime" in row and "ftime" in row:
                self._keep_row(row)
            elif "valid" in row and row.get("product"):
                self._keep_product(row, None)

    def _keep_row(self, row: table.Row) -> None:
        try:
            key = (station_of(row["station"]), LABELS[str(row["model"]).strip()], time_ns(str(row["runtime"])))
        except (KeyError, ValueError):
            return  # a model that the simulator does not offer
        kept = {
            name: cell if isinstance(cell, int) else str(cell).strip()
            for name, cell in row.items()
            if cell not in (None, "")
        }
        self._runs.setdefault(key, []).append({**kept, "station": key[0]})

    def _keep_product(self, row: table.Row, text: str | None) -> None:
        try:
            station, name = station_of(row["station"]), str(row["product"])
            issued_ns = time_ns(f"{name[:4]}-{name[4:6]}-{name[6:8]} {name[8:10]}:{name[10:12]}")
        except ValueError:
            return
        plain = {name: cell for name, cell in row.items() if name not in {"text", "correction", "through_ns", "report"}}
        known = self._products.get((station, name))
        if known is None or known.text is None:
            out_ns = issued_ns + NS_PER_MINUTE
            self._products[station, name] = Product(
                station, str(row["valid"]), name, issued_ns, out_ns, dict(plain), text
            )
