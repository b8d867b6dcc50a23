from typing import Any

import pyarrow as pa
import pytest

from sinks.batch import Round, Share, intent_rows
from sinks.tables import StatementRefused, StoreUnavailable, Tables
from topics.log import Identity


def test_an_insert_that_is_sent_twice_stands_once(tables: Tables, make: Any) -> None:
    """The driver repeats an INSERT by itself when the peer hangs up; its token is what makes that harmless."""
    round_ = Round(1, 0, "me", 1, (Share("raw.kalshi.ws", 0, 0, 1, 1, 0),))
    rows = intent_rows(round_, sink="main", identity=Identity("", {"raw.kalshi.ws": ""}), at_ns=make.t0_ns)
    for at_token, expected in (("t1", 1), ("t1", 1), ("t2", 2)):
        tables.insert_arrow("sink_intents", rows, at_token)
        assert expected == tables.query_rows("SELECT count() FROM tapefold.sink_intents").rows[0][0]


def test_a_query_that_is_wrong_is_told_from_a_store_that_is_away(tables: Tables) -> None:
    """The one is the asker's to mend, the other passes."""
    with pytest.raises(StatementRefused, match="code 62"):
        tables.query_rows("SELEC 1")
    away = Tables("http://127.0.0.1:9")
    with pytest.raises(StoreUnavailable, match="the store is not available"):
        away.query_rows("SELECT 1")


def test_answers_come_in_every_format(tables: Tables) -> None:
    """What `tapefold sql` prints."""
    assert '{"a":1}\n' == tables.query_text("SELECT 1 AS a;", "JSONEachRow")
    assert '"a"\n1\n' == tables.query_text("SELECT 1 AS a", "CSVWithNames")
    stream = pa.ipc.open_stream(tables.query_bytes("SELECT 1 AS a", "ArrowStream"))
    assert [{"a": 1}] == stream.read_all().to_pylist()
    assert [{"a": 1}] == tables.query_arrow("SELECT 1 AS a").to_pylist()
    assert (("a",), [(1,)]) == (
        tables.query_rows("SELECT 1 AS a").columns,
        list(tables.query_rows("SELECT 1 AS a").rows),
    )
