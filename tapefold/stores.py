"""Where the tables are."""

from pathlib import Path

from sinks.tables import Tables
from tapefold.local.store import process as local_store
from tapefold.settings import Settings
from topics.errors import Unavailable


def open_tables(settings: Settings, state_dir: Path) -> Tables:
    """The store: the server of CLICKHOUSE_URL, else the embedded store that runs in the state folder."""
    if settings.clickhouse_url:
        password = settings.clickhouse_password.get_secret_value()
        return Tables(settings.clickhouse_url, user=settings.clickhouse_user, password=password, compress=True)
    address = local_store.running(state_dir)
    if address is None:
        raise Unavailable("the store", f"none runs in {state_dir}; start `tapefold up`, or set CLICKHOUSE_URL")
    return Tables(address.url)
