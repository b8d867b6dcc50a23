"""A predictor's answer -> its run, and one fact for each market. Pure. What was asked stands in the record's headers.

    {"model_version": "2026-11-01", "predictions": [{"market_ticker": "KXHIGHMIA-26APR11-B84.5", "probability_yes": 0.62}]}

A prediction that cannot be read, or of a market that nobody asked about, is refused by itself; the others stand.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from stream_processors.envelope import Envelope, stamp_ns
from stream_processors.fields import refusal
from topics.catalog import H_STATUS
from topics.domains import series_of
from topics.errors import BadRecord
from topics.events import Cause
from topics.rag import H_ASKED, H_ASOF_NS, H_FEATURES, H_RUN_ID, MarketPrediction, PredictionRun, Share

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Refused = tuple[Cause, BadRecord]


class _Answer(Struct):
    model_version: Name
    predictions: list[Raw]


class _Prediction(Struct):
    market_ticker: Name
    probability_yes: Share


class _Question(Struct, frozen=True):
    run_id: str
    asof_ns: int
    features: str
    asked: tuple[str, ...]


_answer = msgspec.json.Decoder(_Answer).decode
_prediction = msgspec.json.Decoder(_Prediction).decode
_raws = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder(order="sorted").encode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def parse(
    value: bytes, envelope: Envelope, headers: Mapping[str, bytes], cause: Cause
) -> Iterator[PredictionRun | MarketPrediction | Refused]:
    """The run, then its predictions and refusals in the answer's order. Raises BadRecord to refuse it as a whole."""
    question = _question(headers)
    if headers.get(H_STATUS) != b"200":
        raise BadRecord("bad_status", f"expected HTTP 200, was {headers.get(H_STATUS)!r}: {value[:300]!r}")
    try:
        value.decode()
        said, extra = _answer(value), _others(value, _Answer)
    except _UNREADABLE as error:
        raise _why(error) from error
    read = list(_predictions(said, envelope, question, cause))
    yield PredictionRun(
        event_ns=question.asof_ns,
        received_ns=envelope.received_ns,
        known_ns=envelope.received_ns,
        known_by=envelope.known_by,
        cause=cause,
        conn=envelope.conn,
        run_id=question.run_id,
        series_ticker=series_of(question.asked[0]),
        model_version=said.model_version,
        features=question.features,
        asked=question.asked,
        predicted=sum(isinstance(each, MarketPrediction) for each in read),
        extra=extra,
    )
    yield from read


def _predictions(
    said: _Answer, envelope: Envelope, question: _Question, cause: Cause
) -> Iterator[MarketPrediction | Refused]:
    left = set(question.asked)
    for index, raw in enumerate(said.predictions, 1):
        place = Cause(cause.topic, cause.partition, cause.offset, index)
        try:
            read, extra = _prediction(raw), _others(raw, _Prediction)
            if read.market_ticker not in left:
                raise _unexpected(read.market_ticker, question)
        except (BadRecord, *_UNREADABLE) as error:
            yield place, error if isinstance(error, BadRecord) else _why(error)
            continue
        left.remove(read.market_ticker)
        yield MarketPrediction(
            event_ns=question.asof_ns,
            received_ns=envelope.received_ns,
            known_ns=envelope.received_ns,
            known_by=envelope.known_by,
            cause=place,
            conn=envelope.conn,
            run_id=question.run_id,
            market_ticker=read.market_ticker,
            model_version=said.model_version,
            features=question.features,
            probability_yes=read.probability_yes,
            extra=extra,
        )


def _unexpected(market_ticker: str, question: _Question) -> BadRecord:
    if market_ticker in question.asked:
        return BadRecord("conflict", f"expected one prediction of {market_ticker}, was another one")
    return BadRecord("bad_value", f"expected a market that was asked about, was {market_ticker!r}")


def _question(headers: Mapping[str, bytes]) -> _Question:
    run_id, features, asked = (headers.get(name, b"") for name in (H_RUN_ID, H_FEATURES, H_ASKED))
    asof_ns = stamp_ns(headers.get(H_ASOF_NS, b""))
    if not all((run_id, features, asked)) or not (run_id + features + asked).isascii() or asof_ns is None:
        raise BadRecord(
            "missing_header",
            f"expected {H_RUN_ID}, {H_FEATURES} and {H_ASKED} (ASCII), {H_ASOF_NS} (digits), were {headers!r}",
        )
    return _Question(run_id.decode(), asof_ns, features.decode(), tuple(asked.decode().split(",")))


def _others(raw: Raw | bytes, known: type[Struct]) -> Raw:
    """The fields that no other names, as sent."""
    return Raw(_encode({name: each for name, each in _raws(raw).items() if name not in known.__struct_fields__}))


def _why(error: Exception) -> BadRecord:
    if isinstance(error, msgspec.ValidationError):
        return refusal(error)
    return BadRecord("not_json", f"expected one JSON object: {error}")
