"""Labels in the store: a revised day as it was known at each time, and what label and venue do not agree on."""

from stored import insert, records
from weather import climate, ns

from sinks.tables import Tables
from stream_processors.operators import labels
from topics.catalog import FACT_CLIMATE, LABELS
from topics.climate_day import from_iso

REAL = [
    climate("2024-11-27 21:25", 81, report="preliminary"),
    climate("2024-11-28 09:32", 84, report="final"),
    climate("2024-11-28 13:56", 81, report="final", correction=True),
]


def test_a_revised_day_as_it_was_known_at_each_time(tables: Tables) -> None:
    """81 in the evening, 84 in the morning, 81 since the correction, and nothing before the first report."""
    insert(tables, records(FACT_CLIMATE, *REAL))
    moments = {"2024-11-27 21:00": [], "2024-11-27 22:00": [81], "2024-11-28 10:00": [84], "2024-11-28 14:00": [81]}
    for moment, highs in moments.items():
        answer = tables.query_rows(f"SELECT high_f FROM tapefold_api.climate_known(t = '{moment}:00')")
        assert highs == [row[0] for row in answer.rows]


def test_label_and_venue_stand_side_by_side_and_disagreements_are_listed(tables: Tables) -> None:
    """A row has every report with its own times; a day on which the two differ is in the list, with all values."""
    state, day = labels.Day(), from_iso("2024-11-27")
    for report in REAL:
        labels.add_report(state, report)
    labels.add_outcome(
        state, "KXHIGHMIA-24NOV27-T83", labels.Outcome(ns("2024-11-28 16:00"), ("r", 0, 1, 0), True, "84.00", 84, None)
    )
    labels.add_outcome(
        state, "HIGHMIA-24NOV27-T83", labels.Outcome(ns("2024-11-28 16:00"), ("r", 0, 2, 0), True, "81.00", 81, None)
    )
    insert(
        tables, records(LABELS, *[labels.label(state, "KMIA", name, day, -18_000) for name in ("KXHIGHMIA", "HIGHMIA")])
    )
    answer = tables.query_rows(
        "SELECT series_ticker, label_f, venue_value_f, agrees, reports.value_f, toString(reports.known_at[1])"
        " FROM tapefold_api.settlement_labels ORDER BY series_ticker"
    )
    assert [
        ("HIGHMIA", 84, 81, False, [81, 84, 81], "2024-11-27 21:26:00.000000000"),
        ("KXHIGHMIA", 84, 84, True, [81, 84, 81], "2024-11-27 21:26:00.000000000"),
    ] == [(*row[:4], list(row[4]), row[5]) for row in answer.rows]
    listed = tables.query_rows(
        "SELECT series_ticker, label_f, venue_value_f, values_f FROM tapefold_api.label_disagreements"
    )
    assert [("HIGHMIA", 84, 81, [81, 84, 81])] == [(*row[:3], list(row[3])) for row in listed.rows]
