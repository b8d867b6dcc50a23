"""What the receiver counts. The only module of the receiver that knows prometheus_client.

Every answer has an outcome; what is refused before a provider is known counts under `unknown`.
"""

from collections import Counter
from typing import Literal

from prometheus_client import CollectorRegistry, Gauge, Histogram, start_http_server
from prometheus_client import Counter as Total

Outcome = Literal[
    "stored",  # 200: the log has it
    "duplicate",  # 200: the log had it
    "conflict",  # 202: the log has it, under an id that came before with other content
    "unreadable",  # 202: rightly signed, no JSON object: on the log, refused by the parser
    "missing_header",
    "malformed_header",
    "no_known_signature",
    "wrong_signature",
    "too_old",  # 400 to here; their meaning: producers.webhook.schemes.Why. Remedy of the next: clocks, tolerance
    "in_future",
    "no_http",  # 400: the head is malformed, or longer than 16 KiB
    "unknown_provider",  # 404: the path names none of the providers
    "too_large",  # 413: more bytes than WEBHOOK_BODY_BYTES_MAX
    "rate_limited",  # 429: more than WEBHOOK_RATE_PER_SECOND of one provider
    "unavailable",  # 503: the log did not confirm in time, or the markers are not read yet; senders come again
    "slow_header",  # 408: the head of a request did not come in time
    "slow_body",  # 408: its body did not
    "slow_reader",  # cut: the answer was not taken
    "crowded_out",  # cut: the longest waiting connection, when a new one came over WEBHOOK_CONNECTIONS_MAX
]


class Counts:
    """Counters of one receiver, for `metric=` lines and for Prometheus."""

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.skew_s: float | None = None
        self._registry = CollectorRegistry()
        self._total = Total(
            "tapefold_webhook_requests", "Requests by outcome", ["provider", "outcome"], registry=self._registry
        )
        self._skew = Gauge(
            "tapefold_webhook_skew_seconds", "Our clock minus the signed one, latest", registry=self._registry
        )
        self._answer = Histogram(
            "tapefold_webhook_answer_seconds",
            "From the whole request to its answer",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self._registry,
        )

    def count(self, outcome: Outcome, provider: str = "unknown") -> None:
        """One request, or one connection."""
        self.outcomes[outcome] += 1
        self._total.labels(provider, outcome).inc()

    def answered(self, seconds: float) -> None:
        """How long a request took."""
        self._answer.observe(seconds)

    def skewed(self, skew_s: float) -> None:
        """Our clock minus the signed one, of a request with a right signature."""
        self.skew_s = skew_s
        self._skew.set(skew_s)

    def serve(self, port: int) -> None:
        """Show the counters to Prometheus, on the loopback interface alone."""
        start_http_server(port, addr="127.0.0.1", registry=self._registry)
