"""`tapefold run webhook`: the receiver from the settings."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from producers.beat import WallClock
from producers.webhook.door import Limits
from producers.webhook.providers import Provider, Providers, SecretsFile, provider_of
from producers.webhook.receiver import KEPT, Answer, Policy
from producers.webhook.schemes import Tolerance
from producers.webhook.service import Address, Service, check_address
from tapefold import wiring
from tapefold.services import own
from tapefold.settings import Settings
from topics.errors import SettingsError
from topics.failpoint import storer_with_failpoints
from topics.storer import KafkaStorer

FOLDER = "webhook"  # of the markers, in the state folder
Say = Callable[[str], None]


def policy_of(settings: Settings) -> Policy:
    """What is accepted. Raises SettingsError when the settings contradict each other."""
    policy = Policy(
        tolerance=Tolerance(settings.webhook_max_age_seconds, settings.webhook_max_future_seconds),
        horizon_s=settings.webhook_dedupe_horizon_seconds,
        confirm_s=settings.webhook_confirm_seconds,
        rate=settings.webhook_rate_per_second,
        verified=settings.webhook_verify,
        unreadable=Answer(settings.webhook_unreadable_status, KEPT.text),
    )
    policy.check()
    return policy


def senders_of(settings: Settings, on_error: Callable[[SettingsError], None]) -> Providers | SecretsFile:
    """Who may send: WEBHOOK_SECRETS_FILE, read again when it changes, else WEBHOOK_SECRET. Raises SettingsError."""
    secret = settings.webhook_secret
    if settings.webhook_secrets_file is not None:
        if secret is not None:
            raise SettingsError("WEBHOOK_SECRET and WEBHOOK_SECRETS_FILE: expected one of them, were both")
        return SecretsFile(settings.webhook_secrets_file, on_error)
    name, scheme = settings.webhook_provider, settings.webhook_scheme
    if secret is None:
        if settings.webhook_verify:
            raise SettingsError(
                "WEBHOOK_SECRET or WEBHOOK_SECRETS_FILE: expected the secret that the provider shows, was not set; "
                "for local tests without signatures set WEBHOOK_VERIFY=off"
            )
        return {name: Provider(name, scheme, ())}
    return {name: provider_of(name, scheme, [part.strip() for part in secret.get_secret_value().split(",")])}


def run(settings: Settings, state_dir: Path, say: Say) -> None:
    """Receive until SIGTERM. Raises Refused, SettingsError, Unavailable."""
    logger = structlog.get_logger("webhook")

    def on_event(event: str, **fields: Any) -> None:
        logger.info(event, **fields)

    def on_error(error: SettingsError) -> None:
        logger.error("secrets cannot be read; those of before stay in force", detail=str(error))

    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it warns of each malformed request; we count them
    policy = policy_of(settings)
    address = Address(settings.webhook_host, settings.webhook_port, settings.webhook_metrics_port)
    check_address(address, policy)
    senders = senders_of(settings, on_error)
    own(state_dir / FOLDER)
    log = wiring.open_log(settings, state_dir)
    hit = wiring.failpoints(settings)
    service = Service(
        address,
        policy,
        Limits(
            head_s=settings.webhook_header_seconds,
            body_s=settings.webhook_body_seconds,
            body_bytes_max=settings.webhook_body_bytes_max,
            connections_max=settings.webhook_connections_max,
        ),
        log=log,
        make_storer=lambda: storer_with_failpoints(KafkaStorer(log.options), "webhook", hit),
        folder=state_dir / FOLDER,
        senders=senders,
        conn=f"webhook-{secrets.token_hex(4)}",
        now_ns=WallClock(wiring.now_ns).now_ns,
        on_event=on_event,
        on_ready=lambda url: say(f"WEBHOOK_URL={url}/webhooks/{settings.webhook_provider}"),
    )
    if not policy.verified:
        logger.warning("WEBHOOK_VERIFY=off: signatures are not verified; for local tests only")
    asyncio.run(_serve(service))


async def _serve(service: Service) -> None:
    stop = wiring.stop_of_loop()
    await service.run(stop)
