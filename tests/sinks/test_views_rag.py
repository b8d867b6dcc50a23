"""What users read of predictions: each run once, each market of a run once, with all that was said."""

from pathlib import Path
from typing import Any

from msgspec.structs import replace
from stored import insert_each, read

from sinks.tables import Tables
from topics.catalog import FACT_PREDICTION
from topics.codec import decode_fact

GOLDEN = (Path(__file__).parents[2] / "topics" / "examples" / f"{FACT_PREDICTION}.jsonl").read_bytes().splitlines()
RUN, TOLD = (decode_fact(line) for line in GOLDEN)


def test_a_run_and_its_predictions_are_rows(tables: Tables, make: Any) -> None:
    """With the as-of time, the versions and the markets that were asked about; told twice they stand once."""
    again = [replace(fact, conn="later", known_ns=fact.known_ns + 1) for fact in (RUN, TOLD)]
    insert_each(
        tables, *(make.record(FACT_PREDICTION, fact, offset) for offset, fact in enumerate([*again, RUN, TOLD]))
    )
    common = (RUN.run_id, "2026-04-01", "features_weather/2", RUN.event_ns, RUN.known_ns, "5b1e0c")
    shown = (
        "run_id, model_version, features, toUnixTimestamp64Nano(run_as_of_ts), toUnixTimestamp64Nano(known_at), conn"
    )
    assert [(*common, "KXHIGHMIA", list(RUN.asked), 1, '{"usage":{"tokens":812}}')] == read(
        tables, f"{shown}, series_ticker, asked, predicted, extra", "prediction_runs"
    )
    assert [(*common, TOLD.market_ticker, 0.62, '{"rationale":"three of four models"}')] == read(
        tables, f"{shown}, market_ticker, probability_yes, extra", "market_predictions"
    )
    assert [(0,)] == read(tables, "count()", "dead")
