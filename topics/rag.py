"""Predictions: the headers that their recorder writes beside a predictor's answer, and the facts that are read in it.

`rag` is the users' word for the predictor, whatever stands behind its URL.
"""

from typing import Annotated

from msgspec import Meta, Raw

from topics.events import Told

NOTHING = Raw(b"{}")

# Headers of `raw.rag` beside the common ones: what was asked, so that an answer can be read without the question.
H_RUN_ID = "run_id"
H_ASOF_NS = "asof_ns"  # the features of the question are those that were known then
H_FEATURES = "features"  # feature set and its version, such as `features_weather/2`
H_ASKED = "asked"  # the markets of the question, separated by commas

Share = Annotated[float, Meta(ge=0.0, le=1.0)]


class PredictionRun(Told, frozen=True, kw_only=True, gc=False, tag="prediction_run"):
    """One answer of the predictor. Identity: `run_id`.

    event_ns: the as-of time, up to which its features were known. features: see H_FEATURES. asked: the markets of the
    question. predicted: how many predictions can be read in the answer. extra: what else it holds, as sent.
    """

    run_id: str
    series_ticker: str
    model_version: str
    features: str
    asked: tuple[str, ...]
    predicted: int
    extra: Raw = NOTHING


class MarketPrediction(Told, frozen=True, kw_only=True, gc=False, tag="market_prediction"):
    """What one run says of one market. Identity: `run_id` and `market_ticker`.

    event_ns, model_version, features: of the run. probability_yes: a share of 1. extra: what else is said, as sent.
    """

    run_id: str
    market_ticker: str
    model_version: str
    features: str
    probability_yes: Share
    extra: Raw = NOTHING


AnyPrediction = PredictionRun | MarketPrediction
