"""Leaks to inject into clean tables: each makes one row know, or say, what nobody could have known by then.

Each is a statement over one row that a test picks; its kind is what the audit must call it.
"""

from typing import NamedTuple

from sinks.tables import Tables

TRADED = "trades > 1 AND closed AND open < 0.9"


class Leak(NamedTuple):
    """kind: what the audit must say. table: whose row. where: rows it can befall. change: what it does to them."""

    kind: str
    table: str
    where: str
    change: str


LEAKS = (
    Leak("bar_known_before_its_end", "bars_1m", TRADED, "minute + INTERVAL 30 SECOND AS known_at"),
    Leak(
        "bar_known_before_its_inputs", "bars_1m", "known_at > minute + INTERVAL 1 MINUTE",
        "minute + INTERVAL 1 MINUTE AS known_at",
    ),
    Leak("bar_counts_what_nobody_told", "bars_1m", TRADED, "trades + 1 AS trades"),
    Leak("bar_value_revised", "bars_1m", TRADED, "close + 0.01 AS close"),
    Leak("bar_quote_of_another_minute", "bars_1m", "closed AND yes_bid IS NOT NULL", "yes_bid + 0.01 AS yes_bid"),
    Leak("revision_rewritten", "bars_1m", TRADED, "open + 0.01 AS open"),
    Leak(
        "trade_known_before_its_record", "trades", "1",
        "known_at - INTERVAL 1 HOUR AS known_at, received_at - INTERVAL 1 HOUR AS received_at",
    ),
    Leak("trade_known_before_it_was_received", "trades", "1", "received_at + INTERVAL 1 HOUR AS received_at"),
    Leak("trade_from_the_future", "trades", "1", "event_at + INTERVAL 1 HOUR AS event_at"),
    Leak("trade_without_record", "trades", "1", "cause_offset + 900000000 AS cause_offset"),
    Leak("book_known_before_its_record", "books", "kind = 'delta'", "known_at - INTERVAL 1 SECOND AS known_at"),
    Leak("book_without_record", "books", "kind = 'delta'", "cause_offset + 900000000 AS cause_offset"),
    Leak("announcement_known_before_its_record", "market_events", "1", "known_at - INTERVAL 1 DAY AS known_at"),
    Leak(
        "result_known_before_its_determination", "market_events", "1",
        "'yes' AS result, known_at + INTERVAL 1 HOUR AS determination_at",
    ),
    Leak(
        "gap_repaired_before_it_was_noticed", "gaps", "repaired_at IS NOT NULL",
        "noticed_at - INTERVAL 1 SECOND AS repaired_at, rev + 1 AS rev",
    ),
)  # fmt: skip
ROW_ID = {
    "bars_1m": "row_id",
    "books": "row_id",
    "gaps": "row_id",
    "trades": "concat('trade:', market_ticker, ':', trade_id)",
    "market_events": "concat('announcement:', cause_topic, ':', toString(cause_partition), ':', toString(cause_offset))",
}
KEYS = {
    "bars_1m": "market_ticker, minute",
    "books": "market_ticker, conn, sid, seq, kind",
    "gaps": "market_ticker, row_id",
    "trades": "market_ticker, trade_id",
    "market_events": "market_ticker, conn, sid, seq",
}


def victims(tables: Tables, leak: Leak, count: int, taken: set[str]) -> list[str]:
    """Row ids that the leak can befall, evenly spread, none of which is taken; they are afterwards."""
    free = [
        row_id
        for (row_id,) in tables.query_rows(
            f"SELECT {ROW_ID[leak.table]} FROM tapefold.{leak.table} FINAL WHERE {leak.where} ORDER BY cityHash64(1)"
        ).rows
        if row_id not in taken
    ]
    chosen = free[:: max(1, len(free) // count)][:count]
    taken.update(chosen)
    return chosen


def inject(tables: Tables, leak: Leak, row_ids: list[str]) -> None:
    """Rewrite these rows, the old ones gone, as a faulty writer would have."""
    table, listed = leak.table, ", ".join(f"'{row_id}'" for row_id in row_ids)
    tables.command(f"CREATE TABLE tapefold.leaking AS tapefold.{table}")
    tables.command(
        f"INSERT INTO tapefold.leaking SELECT * REPLACE ({leak.change}) FROM (SELECT * FROM tapefold.{table} FINAL)"
        f" WHERE {ROW_ID[table]} IN ({listed})"
    )
    tables.command(f"DELETE FROM tapefold.{table} WHERE {ROW_ID[table]} IN ({listed})")
    if leak.kind != "revision_rewritten" and table == "bars_1m":
        tables.command(f"DELETE FROM tapefold.bars_1m_journal WHERE row_id IN ({listed})")
    tables.command(f"INSERT INTO tapefold.{table} SELECT * FROM tapefold.leaking")
    tables.command("DROP TABLE tapefold.leaking SYNC")
