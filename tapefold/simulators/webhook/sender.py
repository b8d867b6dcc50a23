"""Delivers over HTTP/1.1 with kept connections, at a rate, and comes again after 429 and 5xx, as real senders do."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple
from urllib.parse import urlsplit

from tapefold.simulators.webhook.events import EXPECTED, Delivery, Kind
from tapefold.simulators.webhook.signing import Scheme
from topics.errors import Refused

_ANSWER_S = 15.0  # after which senders give up on an attempt
_HEAD_BYTES_MAX = 65_536
_CHUNK = b"x" * 65_536
_DRIP_S = 1.0
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})


class Target(NamedTuple):
    """Where to deliver."""

    host: str
    port: int
    path: str


def target_of(url: str) -> Target:
    """`http://host:port/path`. Raises Refused."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None or not parts.path:
        raise Refused(f"--url: expected something like http://127.0.0.1:8402/webhooks/default, was {url!r}")
    return Target(parts.hostname, parts.port or 80, parts.path)


@dataclass
class Report:
    """What came of the deliveries. latencies_s: of the attempts that were answered. acknowledged: ids with a 2xx."""

    answers: Counter[tuple[Kind, int]] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)
    unexpected: int = 0
    seconds: float = 0.0
    slow_cut: int = 0
    huge: dict[str, int] = field(default_factory=dict)

    def quantile_ms(self, share: float) -> float | None:
        """Milliseconds within which this share of the attempts was answered."""
        ordered = sorted(self.latencies_s)
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 1) if ordered else None

    def summary(self) -> dict[str, object]:
        """For people and scripts."""
        attempts = sum(self.answers.values())
        return {
            "attempts": attempts,
            "per_second": round(attempts / self.seconds, 1) if self.seconds else None,
            "answers": {f"{kind} {status}": count for (kind, status), count in sorted(self.answers.items())},
            "unexpected": self.unexpected,
            "given_up": len(self.given_up),
            "p50_ms": self.quantile_ms(0.5),
            "p99_ms": self.quantile_ms(0.99),
            "max_ms": self.quantile_ms(1.0),
            "slow_cut": self.slow_cut,
            "huge": self.huge,
        }


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to deliver.

    rate: deliveries a second, None for as fast as the connections allow. count: deliveries in all. connections: kept
    ones. retries, retry_s: attempts after the first, and the pause before each. slow: sockets that drip their head a
    byte a second. slow_within: more of them, each group from and to so many seconds after the start. huge_bytes: size of
    one body that nobody should read to its end, 0 for none.
    """

    scheme: Scheme
    secret: str
    rate: float | None = None
    count: int = 100
    connections: int = 20
    retries: int = 5
    retry_s: float = 0.5
    slow: int = 0
    huge_bytes: int = 0
    slow_within: tuple[tuple[float, float, int], ...] = ()


class _Link:
    """One kept connection."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, headers: Iterable[tuple[str, str]], body: bytes) -> int:
        """The status of the answer. Raises OSError, EOFError, TimeoutError when there is none."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await self._post(headers, body)
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _post(self, headers: Iterable[tuple[str, str]], body: bytes) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._target.host, self._target.port, limit=_HEAD_BYTES_MAX)
        reader, writer = self._streams
        writer.write(_head(self._target, headers, len(body)) + body)
        await writer.drain()
        status, kept = await read_answer(reader)
        if not kept:
            self.close()
        return status


def _head(target: Target, headers: Iterable[tuple[str, str]], length: int) -> bytes:
    lines = [f"POST {target.path} HTTP/1.1", f"host: {target.host}:{target.port}", "content-type: application/json"]
    lines += [f"content-length: {length}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Status, and whether the connection may be used again. Raises EOFError, OSError."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    lines = head.split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    await reader.readexactly(int(fields.get("content-length", "0")))
    return int(lines[0].split(" ")[1]), fields.get("connection") != "close"


async def run(
    url: str,
    plan: Plan,
    deliveries: Iterator[Delivery],
    *,
    now_s: Callable[[], int],
    stop: asyncio.Event,
) -> Report:
    """Deliver until all is delivered, or `stop` is set."""
    target = target_of(url)
    report = Report()
    begun_s = time.monotonic()
    slow = [asyncio.ensure_future(_drip(target, report)) for _ in range(plan.slow)]
    slow += [
        asyncio.ensure_future(_drip_within(target, report, from_s, to_s))
        for from_s, to_s, sockets in plan.slow_within
        for _ in range(sockets)
    ]
    huge = asyncio.ensure_future(_huge(target, plan.huge_bytes, report)) if plan.huge_bytes else None
    source = enumerate(islice(deliveries, plan.count))

    async def worker() -> None:
        link = _Link(target)
        for number, delivery in source:
            if plan.rate is not None:
                await asyncio.sleep(max(0.0, begun_s + number / plan.rate - time.monotonic()))
            if stop.is_set():
                break
            await _deliver(link, plan, delivery, report=report, now_s=now_s, stop=stop)
        link.close()

    await asyncio.gather(*(worker() for _ in range(plan.connections)))
    report.seconds = time.monotonic() - begun_s
    if huge is not None:
        await huge
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    return report


async def _deliver(
    link: _Link, plan: Plan, delivery: Delivery, *, report: Report, now_s: Callable[[], int], stop: asyncio.Event
) -> None:
    for attempt in range(plan.retries + 1):
        if attempt:
            await asyncio.sleep(plan.retry_s)
        if stop.is_set():
            return
        headers = delivery.headers(plan.scheme, plan.secret, now_s())
        begun_s = time.monotonic()
        try:
            status = await link.post(headers.items(), delivery.body)
        except (OSError, EOFError, TimeoutError):
            report.answers[delivery.kind, 0] += 1
            continue
        report.latencies_s.append(time.monotonic() - begun_s)
        report.answers[delivery.kind, status] += 1
        if 200 <= status < 300:  # noqa: PLR2004  # HTTP
            report.acknowledged.add(delivery.event_id)
        refused = status >= 400 > EXPECTED[delivery.kind]  # noqa: PLR2004  # what should be taken is sent again
        if not refused and status not in _AGAIN:
            repeated = attempt > 0 and status == 200  # noqa: PLR2004  # an earlier attempt was stored after all
            report.unexpected += status != EXPECTED[delivery.kind] and not repeated
            return
    report.given_up.add(delivery.event_id)


async def _drip_within(target: Target, report: Report, from_s: float, to_s: float) -> None:
    """A slow socket from and to a time, in seconds from now."""
    await asyncio.sleep(from_s)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(_drip(target, report), to_s - max(0.0, from_s))


async def _drip(target: Target, report: Report) -> None:
    """Slow loris: a head that never ends, a byte a second; cut, it begins anew."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(target.host, target.port)
        except OSError:
            await asyncio.sleep(_DRIP_S)
            continue
        try:
            for byte in f"POST {target.path} HTTP/1.1\r\nhost: {'x' * 10_000}".encode():
                writer.write(bytes((byte,)))
                await writer.drain()
                if await _answered(reader):
                    break
        except OSError:
            pass
        finally:
            writer.close()
        report.slow_cut += 1


async def _answered(reader: asyncio.StreamReader) -> bool:
    """Whether the other side said anything, or left, within one drip."""
    try:
        async with asyncio.timeout(_DRIP_S):
            await reader.read(1)
    except TimeoutError:
        return False
    return True


async def _huge(target: Target, length: int, report: Report) -> None:
    """One body of `length` bytes in chunks, without a word of its length; notes the answer and what was sent till then."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    writer.write(f"POST {target.path} HTTP/1.1\r\nhost: {target.host}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
    answer = asyncio.ensure_future(read_answer(reader))
    sent = 0
    try:
        while sent < length and not answer.done():
            writer.write(b"%x\r\n%b\r\n" % (len(_CHUNK), _CHUNK))
            await asyncio.wait_for(writer.drain(), _ANSWER_S)
            sent += len(_CHUNK)
    except OSError:
        pass  # it was closed; what it said before may still be read
    try:
        status, _ = await asyncio.wait_for(answer, _ANSWER_S)
    except (OSError, EOFError, TimeoutError):
        status = 0
    writer.close()
    report.huge = {"status": status, "bytes_sent": sent}


def bodies_of(text: bytes) -> tuple[bytes, ...]:
    """Recorded payloads: JSON, one a line. Raises Refused."""
    lines = tuple(line for line in text.splitlines() if line.strip())
    try:
        for line in lines:
            json.loads(line)
    except ValueError as error:
        raise Refused(f"--payloads: expected a JSON payload on each line: {error}") from error
    if not lines:
        raise Refused("--payloads: expected a JSON payload on each line, was empty")
    return lines
