"""`tapefold sql`: one statement against the store, whether the stack runs or not."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from sinks.tables import Tables
from tapefold import stores
from tapefold.local.errors import AlreadyRunning, FolderLocked
from tapefold.local.store import process as local_store
from tapefold.settings import Settings
from topics.errors import Refused

Format = Literal["table", "json", "csv", "arrow"]

# JSON: an array of row objects; decimals as strings, since a JSON number would become a float in most readers.
_FORMS: dict[Format, str] = {
    "table": "PrettyCompactMonoBlock",
    "json": "JSONEachRow",
    "csv": "CSVWithNames",
    "arrow": "ArrowStream",
}
_JSON_SETTINGS = "output_format_json_array_of_rows = 1, output_format_json_quote_decimals = 1"


@contextlib.contextmanager
def opened_tables(settings: Settings, state_dir: Path) -> Iterator[Tables]:
    """The tables of the running store, or of one that is started for this question alone."""
    with contextlib.ExitStack() as opened:
        if not settings.clickhouse_url and local_store.running(state_dir) is None:
            if not (state_dir / "store").is_dir():
                raise Refused(f"nothing is stored in {state_dir}; run `tapefold demo` or `tapefold up` first")
            try:
                opened.enter_context(local_store.LocalStore(state_dir))
            except (FolderLocked, AlreadyRunning):
                if local_store.running(state_dir) is None:  # else a stack that has just started serves by now
                    raise
        yield opened.enter_context(contextlib.closing(stores.open_tables(settings, state_dir)))


def answer(tables: Tables, sql: str, form: Format) -> bytes:
    """The answer of one statement in one format."""
    text = sql.strip().rstrip(";")
    if form == "json" and "settings" not in text.lower():
        text += f" SETTINGS {_JSON_SETTINGS}"
    return tables.query_bytes(text, _FORMS[form])
