"""The topics: one place that says what stands on the log, under which key, for how long, and who writes it.

Partition counts of all topics are equal and frozen by `tapefold migrate`: facts of one join domain meet in the
partition of the same number, so a fold needs no repartitioning. The broker never creates a topic by itself.
"""

from typing import Literal

import msgspec

CODE_VERSION = "0.1.0"  # stamped on refusals: the code that refused
SCHEMA_VERSION = 1  # of every value written by this code; stamped in the `schema` header

# Names of raw topics differ in their first 13 bytes: the store ranks several tellings of a fact by them (clickhouse/0003).
RAW_KALSHI_WS = "raw.kalshi.ws"
RAW_KALSHI_REST = "raw.kalshi.rest"
RAW_TWS = "raw.tws"
RAW_WEBHOOK = "raw.webhook"
RAW_RAG = "raw.rag"
RAW_IEM_MOS = "raw.iem.mos"
RAW_IEM_CLI = "raw.iem.cli"
FACT_MARKET = "fact.market"
FACT_TICK = "fact.tick"
FACT_TRADE = "fact.trade"
FACT_BOOK = "fact.book"
FACT_GAP = "fact.gap"
FACT_FORECAST = "fact.forecast"
FACT_CLIMATE = "fact.climate"
FACT_BAR = "fact.bar"
FACT_WEBHOOK = "fact.webhook"
FACT_PREDICTION = "fact.prediction"
FACT_POLICY = "fact.policy"
FACT_ANNOTATION = "fact.annotation"
BARS_1M = "bars.1m"
BARS_TWS = "bars.tws"
BOOKS = "books"
ASOF_FORECAST = "asof.forecast"
LABELS = "labels"
GAPS = "gaps"
DEAD = "dead"

Group = Literal["raw", "fact", "derived", "dead"]


class Topic(msgspec.Struct, frozen=True):
    """One topic. `retention_ms` None keeps records for ever: raw topics are the source of truth."""

    name: str
    group: Group
    owner: str
    key: str
    value: str
    description: str
    retention_ms: int | None = None
    compacted: bool = False


_WEEK_MS = 7 * 24 * 3600 * 1000

TOPICS: tuple[Topic, ...] = (
    Topic(
        RAW_KALSHI_WS,
        "raw",
        "producers.kalshi",
        "market ticker (none for control frames; beats name their partition)",
        "the frame's bytes as received; for the kinds beat, gap and coverage the JSON of topics.events",
        "Everything a Kalshi WebSocket session received or noticed. A parser fix is a replay, never a re-download.",
    ),
    Topic(
        RAW_KALSHI_REST,
        "raw",
        "producers.kalshi",
        "series or market ticker that was asked for (none for the exchange as a whole, and for beats)",
        "the frame's bytes as received: the body of one answer; for the kinds beat, gap and coverage the JSON of topics.events",
        "Answers of Kalshi's REST API, with what was asked in a header. A listing is appended when its last page is here.",
    ),
    Topic(
        RAW_TWS,
        "raw",
        "producers.tws",
        "symbol (none for messages of no request; beats name their partition)",
        "the frame's bytes as received: the body of one TWS message, fields ended by NUL; for a recorded file one line "
        "of it; for the kinds beat, unit and outage the JSON of topics.events and topics.tws",
        "Bars, errors and notices of a TWS session, with the request they answer to in a header.",
    ),
    Topic(
        RAW_WEBHOOK,
        "raw",
        "producers.webhook",
        "provider and event id (of coverage the provider; beats name their partition)",
        "the frame's bytes as received: the body of one request; what was verified stands in headers (topics.webhook); for "
        "the kinds beat and coverage the JSON of topics.events",
        "Webhooks that were rightly signed, each once: the record's headers are the marker that finds its repeats.",
    ),
    Topic(
        RAW_RAG,
        "raw",
        "producers.rag",
        "series that was asked about (beats name their partition)",
        "the frame's bytes as received: one answer of the predictor; what was asked stands in headers (topics.rag); for the "
        "kind beat the JSON of topics.events",
        "Every answer of the predictor, refusals among them, with its as-of time and the markets of the question.",
    ),
    Topic(
        RAW_IEM_MOS,
        "raw",
        "producers.iem",
        "station that was asked for (none for several, and for beats)",
        "the frame's bytes as received: one answer, or one file; for the kind beat the JSON of topics.events",
        "Every answer of IEM on model output statistics, refusals and empty ones among them, with URL and status.",
    ),
    Topic(
        RAW_IEM_CLI,
        "raw",
        "producers.iem",
        "station that was asked for (none for beats)",
        "the frame's bytes as received: one answer, or one file; for the kind beat the JSON of topics.events",
        "Every answer of IEM on climate reports: daily rows, and the texts of every issuance.",
    ),
    Topic(FACT_TRADE, "fact", "ingest", "join domain", "Trade | Beat", "One trade as one channel told it."),
    Topic(
        FACT_TICK,
        "fact",
        "ingest",
        "join domain",
        "Tick | MarketPoll | Candle | BookPoll",
        "Quotes: ticker frames, and what REST says of a market.",
    ),
    Topic(FACT_BOOK, "fact", "ingest", "join domain", "BookSnapshot | BookDelta | Gap | Beat", "Order book changes."),
    Topic(
        FACT_MARKET,
        "fact",
        "ingest",
        "join domain",
        "Market | MarketTerms | Settlement | Event | Series | Document | Beat",
        "Lifecycle, contract and outcome of a market, its event and its series.",
    ),
    Topic(
        FACT_GAP,
        "fact",
        "ingest",
        "join domain",
        "Gap | Coverage",
        "What was not recorded, and what was: gaps of all channels but books, coverage.",
    ),
    Topic(
        FACT_FORECAST,
        "fact",
        "ingest",
        "station",
        "Forecast | ForecastRun | Beat",
        "Model output statistics: one fact per run and valid time, and one per answer on whether a run is whole.",
    ),
    Topic(
        FACT_CLIMATE,
        "fact",
        "ingest",
        "station",
        "Climate | ClimateYear | Beat",
        "Daily climate reports, every issuance of them, and which days of a year are missing.",
    ),
    Topic(
        FACT_BAR,
        "fact",
        "ingest",
        "symbol",
        "TwsBar | TwsUnit | TwsOutage | TwsError",
        "Every telling of every bar of TWS, what was fetched and what could not be, outages, errors.",
    ),
    Topic(FACT_WEBHOOK, "fact", "ingest", "provider and object id", "Webhook", "One event that a provider pushed."),
    Topic(
        FACT_PREDICTION,
        "fact",
        "ingest",
        "join domain",
        "PredictionRun | MarketPrediction",
        "What a predictor was asked, and what it said of each market.",
    ),
    Topic(
        FACT_POLICY,
        "fact",
        "tapefold.policies",
        "none: a copy stands in each partition",
        "Policy",
        "As-of policies: when forecasts are asked for, and what counts as known then. A version never changes.",
    ),
    Topic(
        FACT_ANNOTATION,
        "fact",
        "tapefold.ledger",
        "annotation",
        "Annotation",
        "What people decided about ranges of datasets: accepted, annotated, unusable. A version never changes.",
    ),
    Topic(BARS_1M, "derived", "fold", "join domain", "Bar", "One-minute bars, revised as facts arrive.", _WEEK_MS),
    Topic(
        BARS_TWS,
        "derived",
        "fold",
        "symbol",
        "TwsMinute",
        "Minutes of TWS: of all that was told the one that holds.",
        _WEEK_MS,
    ),
    Topic(BOOKS, "derived", "fold", "join domain", "BookTop", "Best levels after each change, by session.", _WEEK_MS),
    Topic(
        ASOF_FORECAST,
        "derived",
        "fold",
        "station",
        "AsofForecast",
        "What each policy saw of each model at its as-of time, revised as facts arrive.",
        _WEEK_MS,
    ),
    Topic(
        LABELS,
        "derived",
        "fold",
        "station",
        "SettlementLabel",
        "What markets settle on: the climate report as it stood at the venue's check, and the venue's own value.",
        _WEEK_MS,
    ),
    Topic(GAPS, "derived", "fold", "join domain", "GapRow", "Gaps with the time of their repair.", _WEEK_MS),
    Topic(DEAD, "dead", "ingest, fold", "join domain or raw key", "Dead", "Refused records with reason and cause."),
)
BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}
RAW_TOPICS: tuple[str, ...] = tuple(t.name for t in TOPICS if t.group == "raw")
FOLD_TOPICS: tuple[str, ...] = (
    FACT_TRADE,
    FACT_BOOK,
    FACT_MARKET,
    FACT_GAP,
    FACT_FORECAST,
    FACT_CLIMATE,
    FACT_BAR,
    FACT_POLICY,
)
SINK_TOPICS: tuple[str, ...] = tuple(t.name for t in TOPICS if t.name != FACT_BOOK)

# Headers of raw records. All values are ASCII text, so that `kcat` shows them.
H_SOURCE = "source"  # `kalshi.ws`
H_KIND = "kind"  # frame | beat | gap | coverage; raw.tws: unit | outage as well
H_RECEIVED_NS = "received_ns"  # the producer's clock when the frame was read from the socket
H_CLOCK = "clock"  # wall | tape: which clock `received_ns` was read from; rule: the wall, at the load of a file
# whose recorder left no stamp: the parser says by its own stated rule when its facts were known
H_CONN = "conn"  # the connection's id
H_SID_NS = "sid_ns"  # snapshots only: the latest exchange time that their subscription had shown before
H_RECORDER = "recorder"  # loaded payloads only: whoever received them and stamped them
H_URL = "url"  # what was asked for, with its query; fetched sources only
H_STATUS = "status"  # the answer's HTTP status; 000: there was no answer
H_SEEN = "seen"  # first | pre_existing | archive: see topics.weather.Seen
H_ABSENT_NS = "absent_ns"  # when we last had an answer without the whole of it; with `seen` first
H_LAG_NS = "lag_ns"  # a measured lag, in place of the assumed one
H_SCHEMA = "schema"  # SCHEMA_VERSION of the code that wrote the record
H_REQUEST = "request"  # raw.tws: the topics.tws.TwsRequest that a message answers to
H_REQ_ID = "req_id"  # raw.tws: the number of the request within its connection
H_SERVER = "server"  # raw.tws: version of the TWS server, which decides the order of fields
H_FORMAT = "format"  # raw.tws: wire (a message as received), or that of a recorded file: csv, json, transcript
H_COLUMNS = "columns"  # raw.tws, csv: the names of the columns, as the file gives them
H_PREVIOUS = (
    "previous"  # raw.tws: the update before this one; this one, of a later bar, shows that it was its bar's last
)
SCHEMA_HEADER: tuple[tuple[str, bytes], ...] = ((H_SCHEMA, str(SCHEMA_VERSION).encode()),)
