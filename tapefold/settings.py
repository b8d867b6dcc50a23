"""All settings, read from the environment (and the file that ENV_FILE names) in this one place.

Command line options win over these. Names are those of the user's runbooks where they have one.
"""

import os
from pathlib import Path
from typing import Literal

import pydantic
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from topics import domains, iem, stations
from topics.catalog import SCHEMA_VERSION
from topics.errors import SettingsError
from topics.tws import WhatToShow

REPO = Path(__file__).resolve().parents[1]
DEFAULT_STATE_DIR = Path(".tapefold")


class Settings(BaseSettings):
    """What the services need to know. Empty addresses mean the embedded broker and store of the state folder."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    tapefold_state_dir: Path = DEFAULT_STATE_DIR
    sql_dir: Path = REPO / "clickhouse"

    pipeline_env: Literal["LOCAL", "AWS"] = Field(
        "LOCAL", description="AWS is understood, and refused: nothing is in S3"
    )
    s3_bucket: str | None = None

    kafka_bootstrap: str | None = Field(None, description="host:port[,host:port] of a Kafka-compatible cluster")
    kafka_security_protocol: str | None = Field(None, description="librdkafka's security.protocol, such as SASL_SSL")
    kafka_sasl_mechanism: str | None = None
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_ca_location: str | None = None
    topic_partitions: int = Field(4, ge=1, le=256, description="of every topic; frozen by the first `migrate`")

    clickhouse_url: str | None = Field(None, description="http(s)://host:port of a ClickHouse server")
    clickhouse_user: str = "default"
    clickhouse_password: SecretStr = SecretStr("")

    kalshi_ws_url: str = "wss://external-api-ws.kalshi.com/trade-api/ws/v2"
    kalshi_rest_url: str = "https://api.elections.kalshi.com/trade-api/v2"
    kalshi_api_key_id: str | None = None
    kalshi_private_key_path: Path | None = None
    kalshi_markets: str = Field("", description="market tickers to record, separated by commas")
    kalshi_series: str = Field("", description="series whose open markets to record, separated by commas")

    station_overrides: str = Field("", description="SERIES=ICAO@ZONE[:high|low],... over the shipped registry")
    symbol_stations: str = Field("", description="SYMBOL=ICAO[:high|low][+DAYS],...: symbols of TWS about a station")

    ws_shard_count: int = Field(1, ge=1)
    ws_shard_id: int = Field(0, ge=0)
    ws_clock: Literal["wall", "tape"] = Field("wall", description="tape: for recordings, the time they have reached")
    ws_heartbeat_seconds: float = Field(25.0, gt=0)
    ws_failure_threshold: int = Field(10, ge=0, description="failures in a row before the cooldown; 0 for none")
    ws_failure_cooldown_seconds: float = Field(60.0, ge=0)
    discovery_seconds: float = Field(300.0, gt=0)

    backfill_seconds: float = Field(300.0, gt=0, description="between two rounds of REST's backfill of trades")
    max_page_size: int = Field(1_000, ge=1, le=1_000, description="items a page; fewer while a source is unstable")
    rest_tape: str = Field("", description="TAPE_NS:WALL_NS:SPEED, the clock of a simulator; empty: the wall")
    rest_tier: Literal["", "unsigned", "basic", "advanced", "expert", "premier", "paragon", "prime", "prestige"] = (
        Field("", description="the account's rate limit; empty: basic with a key, unsigned without")
    )
    rest_failure_threshold: int = Field(5, ge=0, description="failures in a row that open the breaker; 0 for never")
    rest_circuit_breaker_seconds: float = Field(60.0, ge=0, description="how long nothing is asked then")

    prediction_enable: bool = Field(False, description="without it no predictor is asked")
    rag_url: str | None = Field(None, description="where questions are posted, see README")
    rag_api_key: SecretStr | None = Field(None, description="sent as a bearer token")
    rag_seconds: float = Field(60.0, gt=0, description="between two rounds of questions")
    rag_timeout_seconds: float = Field(30.0, gt=0, description="for an answer, between two pieces of it")
    rag_failure_threshold: int = Field(5, ge=0, description="failures in a row that open the breaker; 0 for never")
    rag_circuit_breaker_seconds: float = Field(60.0, ge=0, description="how long nobody is asked then")
    rag_tape: str = Field("", description="TAPE_NS:WALL_NS:SPEED, the clock of a simulator; empty: the wall")

    iem_base_url: str = Field(iem.BASE_URL, description="of the Iowa Environmental Mesonet, or of its simulator")
    iem_stations: str = Field("", description="stations to record, separated by commas, such as KNYC,KMIA")
    iem_models: str = Field("GFS,MEX,NAM,NBS,NBE", description="of " + ", ".join(iem.MODELS))
    iem_min_interval_seconds: float = Field(
        1.0, gt=0, description="between two requests of all processes of this folder"
    )
    iem_poll_seconds: float = Field(120.0, gt=0, description="how often a run that may be out is asked for")
    iem_cli_poll_seconds: float = Field(300.0, gt=0, description="how often a station's climate reports are asked for")
    iem_check_stations: bool = Field(True, description="hold IEM_STATIONS against IEM's own list at the start")
    iem_history_share: int = Field(4, ge=1, description="of so many requests one is for history while both wait")
    iem_lag_quantile: float = Field(0.99, gt=0, le=1, description="of the measured lags, for history")
    iem_lag_samples: int = Field(20, ge=1, description="arrivals that a lag needs to count as measured")
    iem_failure_threshold: int = Field(10, ge=0, description="failures in a row before the cooldown; 0 for none")
    iem_failure_cooldown_seconds: float = Field(300.0, ge=0)
    iem_tape: str = Field("", description="TAPE_NS:WALL_NS:SPEED, the clock of a simulator; empty: the wall")

    webhook_host: str = Field("127.0.0.1", description="a reverse proxy with TLS belongs before any other address")
    webhook_port: int = Field(8402, ge=0, le=65_535)
    webhook_metrics_port: int | None = Field(None, ge=1, le=65_535, description="for Prometheus, on 127.0.0.1")
    webhook_provider: str = Field("default", description="WEBHOOK_SECRET's sender, the last part of its URL")
    webhook_scheme: Literal["standard", "stripe"] = "standard"
    webhook_secret: SecretStr | None = Field(None, description="several, separated by commas, while they rotate")
    webhook_secrets_file: Path | None = Field(None, description="TOML of several providers; read again on change")
    webhook_verify: bool = Field(True, description="off: for local tests only, refused on any but a loopback address")
    webhook_max_age_seconds: int = Field(300, ge=1)
    webhook_max_future_seconds: int = Field(300, ge=0)
    webhook_dedupe_horizon_seconds: int = Field(432_000, ge=1, description="senders repeat for up to four days")
    webhook_body_bytes_max: int = Field(262_144, ge=1, le=8_388_608)
    webhook_header_seconds: float = Field(5.0, gt=0)
    webhook_body_seconds: float = Field(10.0, gt=0)
    webhook_connections_max: int = Field(1_000, ge=1)
    webhook_rate_per_second: float = Field(2_000.0, gt=0, description="of one provider; twice as many in a burst")
    webhook_confirm_seconds: float = Field(5.0, gt=0, description="how long an answer waits for the log before 503")
    webhook_unreadable_status: Literal[202, 422] = Field(202, description="to signed bodies that are no JSON object")

    schema_validate: bool = Field(True, description="whether records of other schema versions stop their partition")
    schema_compat_min: int = Field(SCHEMA_VERSION, ge=0, description="lowest schema version that the sink takes")
    schema_compat_max: int = Field(SCHEMA_VERSION, ge=0, description="highest schema version that the sink takes")
    sink_refusable: str = Field("", description="tables whose rows may all be refused, and go to `dead`")
    audit_seconds: float = Field(3600.0, gt=0, description="between two runs of the audits in the sink")
    web_portal_port: int | None = Field(
        None, ge=0, le=65_535, description="`up` starts the health page where it is set"
    )
    web_portal_ws_stale_seconds: float = Field(120.0, gt=0, description="silence of the socket's recorder that is RED")
    web_portal_discovery_stale_seconds: float | None = Field(
        None, gt=0, description="silence of REST that is RED; without it twice DISCOVERY_SECONDS, at least 600"
    )
    web_portal_rag_stale_seconds: float | None = Field(
        None, gt=0, description="RED: no prediction for so long; without it 300, or two rounds where they take longer"
    )
    health_worker_stale_seconds: float = Field(60.0, gt=0, description="RED: a stage is behind and still for so long")
    tapefold_failpoint: str = Field("", description="PLACE:N[,...]: for tests, die at its N-th passing")
    tws_host: str = "127.0.0.1"
    tws_port: int = Field(4001, ge=1, le=65535, description="Gateway 4001 or 4002 (paper), TWS 7496 or 7497 (paper)")
    tws_client_id: int = Field(17, ge=1, description="unique per connection to one TWS")
    tws_symbols: str = Field("", description="SYMBOL[:SEC_TYPE[:EXCHANGE[:CURRENCY[:EXPIRY]]]], separated by commas")
    tws_what_to_show: WhatToShow = "TRADES"
    tws_bar_size: str = "1 min"
    tws_use_rth: bool = Field(True, description="regular trading hours only")
    tws_live: bool = Field(True, description="record growing bars as well")
    tws_max_parallel: int = Field(3, ge=1, le=50, description="requests for history that are open at once")
    tws_pacing_window_seconds: float = Field(600.0, gt=0)
    tws_pacing_requests: int = Field(60, ge=2, description="within the window; BID_ASK counts twice")
    tws_request_timeout_seconds: float = Field(60.0, gt=0)
    tws_attempts: int = Field(3, ge=1, description="per symbol and day, before it is left for the next run")
    tws_run_at: str = Field("16:30", description="time of day in TWS_ZONE after which a weekday's bars are fetched")
    tws_tape: str = Field("", description="TAPE_NS:WALL_NS:SPEED, the clock of a simulator; empty: the wall")
    tws_zone: str = Field("America/New_York", description="IANA zone whose days are fetched")

    log_level: str = "INFO"
    service_role: str = ""

    def kafka_options(self) -> dict[str, str]:
        """Librdkafka's security settings, those that are set."""
        password = self.kafka_sasl_password
        options = {
            "security.protocol": self.kafka_security_protocol,
            "sasl.mechanism": self.kafka_sasl_mechanism,
            "sasl.username": self.kafka_sasl_username,
            "sasl.password": None if password is None else password.get_secret_value(),
            "ssl.ca.location": self.kafka_ssl_ca_location,
        }
        return {name: value for name, value in options.items() if value is not None}

    def discovery_stale_s(self) -> float:
        """Seconds after which REST counts as silent."""
        return self.web_portal_discovery_stale_seconds or max(2 * self.discovery_seconds, 600.0)

    def rag_stale_s(self) -> float:
        """Seconds without a prediction after which the predictor counts as silent."""
        return self.web_portal_rag_stale_seconds or max(2 * self.rag_seconds + self.rag_timeout_seconds, 300.0)

    def markets(self) -> tuple[str, ...]:
        """KALSHI_MARKETS as a tuple."""
        return _listed(self.kalshi_markets)

    def stations(self) -> tuple[str, ...]:
        """IEM_STATIONS as a tuple, in capitals."""
        return tuple(name.upper() for name in _listed(self.iem_stations))

    def models(self) -> tuple[str, ...]:
        """IEM_MODELS as a tuple. Raises SettingsError for one that nobody knows."""
        models = tuple(name.upper() for name in _listed(self.iem_models))
        if unknown := [name for name in models if name not in iem.MODELS]:
            raise SettingsError(f"IEM_MODELS: expected models of {', '.join(iem.MODELS)}, was {', '.join(unknown)}")
        return models

    def sources(self) -> tuple[str, ...]:
        """The services that record what is configured, beside `ws`."""
        wanted = {
            "iem": self.stations(),
            "tws": self.tws_symbols,
            "webhook": self.webhook_secret or self.webhook_secrets_file,
            "rag": self.prediction_enable,
        }
        return tuple(name for name, configured in wanted.items() if configured)

    def refusable(self) -> tuple[str, ...]:
        """SINK_REFUSABLE as a tuple."""
        return _listed(self.sink_refusable)

    def series(self) -> tuple[str, ...]:
        """KALSHI_SERIES as a tuple."""
        return _listed(self.kalshi_series)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def load_settings() -> Settings:
    """The settings of this process; its station overrides hold from here on. Raises SettingsError naming each variable."""
    env_file = os.environ.get("ENV_FILE")
    if env_file is not None and not Path(env_file).is_file():
        raise SettingsError(f"ENV_FILE: expected a readable file, was {env_file!r}")
    try:
        settings = Settings(_env_file=env_file)  # type: ignore[call-arg]  # pydantic-settings' own argument
    except pydantic.ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, item['loc'])).upper()}: {item['msg']}, was {item['input']!r}"
            for item in error.errors()
        )
        raise SettingsError(f"environment: {wrong}") from error
    if settings.pipeline_env == "AWS":
        if not settings.s3_bucket:
            raise SettingsError("S3_BUCKET is required when PIPELINE_ENV=AWS")
        raise SettingsError(
            "PIPELINE_ENV: expected LOCAL, was AWS: the tape is on KAFKA_BOOTSTRAP and CLICKHOUSE_URL, nothing goes to S3"
        )
    domains.override(stations.overrides(settings.station_overrides))
    return settings


def child_environment(**values: str) -> dict[str, str]:
    """The environment for a service that we start: ours, and `values`."""
    return {**os.environ, **values}
