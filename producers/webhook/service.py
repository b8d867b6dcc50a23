"""The receiver as a service: it listens at once, and accepts as soon as the log was read.

Until then, and whenever the fate of a record is unknown, the answer is 503: senders come again.
"""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from producers.webhook.attendance import Attendance, OnEvent
from producers.webhook.counts import Counts
from producers.webhook.door import Door, Limits, allow_files
from producers.webhook.markers import Markers
from producers.webhook.providers import Providers, SecretsFile
from producers.webhook.receiver import Policy, Receiver
from topics.catalog import RAW_WEBHOOK
from topics.errors import Refused, SettingsError, Unavailable
from topics.log import Log
from topics.storer import Storer
from topics.units import NS_PER_S

KEEP_S = 1.0  # how often markers are written and the secrets' file is looked at
_METRICS_EVERY = 10  # of those
_AGAIN_S = 1.0
_PENDING_POLL_S = 0.05
_CLOSE_S = 10.0
_BACKLOG = 2_048


class Address(Struct, frozen=True):
    """Where to listen; port 0 takes a free one. metrics_port: on the loopback interface, None for none."""

    host: str
    port: int
    metrics_port: int | None = None


def check_address(address: Address, policy: Policy) -> None:
    """Raises SettingsError when unverified requests could come from elsewhere."""
    if not policy.verified and not _is_loopback(address.host):
        raise SettingsError(
            f"WEBHOOK_VERIFY=off is for local tests: WEBHOOK_HOST: expected a loopback address such as 127.0.0.1, "
            f"was {address.host!r}"
        )


class Service:
    """One receiver from start to stop.

    make_storer: a new one for each time that records were lost sight of. senders: who may send, or the file that says
    so and is read again when it changes. on_ready: told the URL once it listens.
    """

    def __init__(
        self,
        address: Address,
        policy: Policy,
        limits: Limits,
        *,
        log: Log,
        make_storer: Callable[[], Storer],
        folder: Path,
        senders: Providers | SecretsFile,
        conn: str,
        now_ns: Callable[[], int],
        on_event: OnEvent,
        on_ready: Callable[[str], None],
    ) -> None:
        check_address(address, policy)
        policy.check()
        self._address = address
        self._policy = policy
        self._limits = limits
        self._log = log
        self._make_storer = make_storer
        self._storer = make_storer()
        self._secrets = senders if isinstance(senders, SecretsFile) else None
        self._now_ns = now_ns
        self._on_event = on_event
        self._on_ready = on_ready
        self._counts = Counts()
        self._markers = Markers(folder)
        self._senders: Callable[[], Providers] = (
            (lambda: senders.providers) if isinstance(senders, SecretsFile) else (lambda: senders)
        )
        self._receiver = Receiver(
            policy,
            self._senders,
            self._markers,
            self._storer,
            self._counts,
            conn=conn,
            now_ns=now_ns,
            on_event=on_event,
        )
        self._attendance = Attendance(
            lambda entry, on_stored: self._storer.store(entry, on_stored),  # noqa: PLW0108  # it may be another one then
            conn=conn,
            settled_ns=self._receiver.settled_ns,
            now_ns=now_ns,
            on_event=on_event,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. Raises Refused when the address is taken."""
        allow_files(self._limits.connections_max, self._on_event)
        listener = _listener(self._address)
        if self._address.metrics_port is not None:
            self._counts.serve(self._address.metrics_port)
        door = Door(self._receiver, self._limits, self._counts)
        host, port = listener.getsockname()[:2]
        self._on_ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
        parts = (self._receiver.poll(), self._keep(), self._recover(), stop.wait())
        tasks = [asyncio.ensure_future(part) for part in parts]
        serving = asyncio.ensure_future(door.serve([listener]))
        done, _ = await asyncio.wait([*tasks, serving], return_when=asyncio.FIRST_COMPLETED)
        door.should_exit = True
        await serving  # answers what has begun; the poll goes on meanwhile
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._attendance.leave(accepting=self._receiver.accepting)
        await asyncio.to_thread(self._storer.close, _CLOSE_S)
        self._markers.close()
        for task in done - {serving}:
            task.result()  # raises what ended it

    async def _keep(self) -> None:
        """Markers to disk, secrets from disk, metrics to the log."""
        round_number = 0
        while True:
            await asyncio.sleep(KEEP_S)
            round_number += 1
            if self._secrets is not None and self._secrets.look():
                self._on_event("secrets were read again", providers=sorted(self._secrets.providers))
            self._attend()
            if self._receiver.ready:
                self._markers.commit(self._horizon_ns())
            if round_number % _METRICS_EVERY == 0:
                self._on_event(
                    "metric",
                    metric="webhook.requests",
                    clock_skew_s=self._counts.skew_s,
                    pending=self._receiver.pending(),
                    **{str(outcome): count for outcome, count in self._counts.outcomes.items()},
                )

    async def _recover(self) -> None:
        """Read the log at the start, and again each time that a record's fate is unknown."""
        while True:
            self._receiver.lost.clear()
            try:
                count = await asyncio.to_thread(self._markers.catch_up, self._log, self._horizon_ns())
                partitions = len(await asyncio.to_thread(self._log.watermarks, [RAW_WEBHOOK]))
            except Unavailable as error:
                self._on_event("the log cannot be read; requests are answered with 503", detail=str(error))
                await asyncio.sleep(_AGAIN_S)
                continue
            self._receiver.ready = True
            self._attendance.begin(partitions)
            self._attend()
            self._on_event("accepting webhooks", records_read=count)
            await self._receiver.lost.wait()
            self._attend()
            while self._receiver.pending():  # noqa: ASYNC110  # the storer has a count, no event
                await asyncio.sleep(_PENDING_POLL_S)
            self._storer = self._make_storer()
            self._receiver.use(self._storer)

    def _attend(self) -> None:
        receiver = self._receiver
        self._attendance.look(self._senders(), accepting=receiver.accepting, turned_away_ns=receiver.turned_away_ns())

    def _horizon_ns(self) -> int:
        return self._now_ns() - self._policy.horizon_s * NS_PER_S


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def _listener(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # With the protocol named: asyncio turns off Nagle's delay for such sockets alone, and 40 ms an answer hang on it.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
        return listener
    except OSError as error:
        listener.close()
        raise Refused(
            f"WEBHOOK_HOST, WEBHOOK_PORT: {address.host}:{address.port} cannot be listened on: {error}; "
            f"see what holds it (`ss -ltnp`), or choose another port"
        ) from error
