"""Standing audits: SQL files of `clickhouse/audits/`, each of whose rows is a finding with its kind.

`leakage_*.sql` are the parts of the audit `leakage`, and so on: a new promise is a new file, whose first comment says what
is promised. Every part answers with (kind, row_id, detail). `figures_NAME.sql` gives figures that are no findings.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sinks.tables import Tables
from topics.errors import Refused

Name = Literal["leakage", "completeness", "consistency"]
COLUMNS = ("kind", "row_id", "detail")


class Finding(NamedTuple):
    """One row that breaks a promise. kind: which, from the file's own closed list. detail: expected what, was what."""

    kind: str
    row_id: str
    detail: str


def parts(sql_dir: Path, name: Name) -> list[Path]:
    """The files of an audit. Raises Refused when there are none."""
    files = sorted((sql_dir / "audits").glob(f"{name}_*.sql"))
    if not files:
        raise Refused(f"{sql_dir / 'audits'}: expected files {name}_*.sql, found none; check SQL_DIR")
    return files


def findings(tables: Tables, sql_dir: Path, name: Name) -> Iterator[Finding]:
    """All findings of an audit, part after part. Raises StoreUnavailable, StatementRefused."""
    for file in parts(sql_dir, name):
        answer = tables.query_rows(file.read_text())
        assert answer.columns == COLUMNS or not answer.rows, f"{file.name}: expected {COLUMNS}, was {answer.columns}"
        yield from (Finding(*row) for row in answer.rows)


def figures(tables: Tables, sql_dir: Path, name: Name) -> list[dict[str, Any]]:
    """Figures that an audit tells beside its findings; none when it has no such file."""
    file = sql_dir / "audits" / f"figures_{name}.sql"
    if not file.exists():
        return []
    answer = tables.query_rows(file.read_text())
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
