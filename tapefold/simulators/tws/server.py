"""The simulator's sockets. Loopback only. `serve` is the way in; what is answered is decided by `gateway`."""

import asyncio
import contextlib
from collections.abc import Callable

from tapefold.simulators.tws import wire
from tapefold.simulators.tws.faults import Counters, Faults
from tapefold.simulators.tws.gateway import Gateway, Send, Session
from tapefold.simulators.tws.world import World
from topics.units import NS_PER_S

HOST = "127.0.0.1"
TICK_S = 0.05
_READ_BYTES = 1 << 16
_WAITING_BYTES_MAX = 16 << 20  # a client that reads nothing is let go


class Clock:
    """Simulated seconds since the epoch: from `at_s` on, `speed` of them a second.

    wall_s: any clock that only grows. begun_s: what it showed at `at_s`; None: what it shows now.
    """

    def __init__(self, wall_s: Callable[[], float], at_s: float, speed: float, *, begun_s: float | None = None) -> None:
        self.wall_s = wall_s
        self.speed = speed
        self._at_s, self._begun_s = at_s, wall_s() if begun_s is None else begun_s

    def now_s(self) -> float:
        """The simulated time."""
        return self._at_s + (self.wall_s() - self._begun_s) * self.speed


async def serve(
    world: World,
    *,
    faults: Faults,
    at_s: float | None = None,
    speed: float = 1.0,
    strict_pacing: bool = False,
    port: int = 0,
    on_ready: Callable[[str, int], None],
    stop: asyncio.Event | None = None,
    counters: Counters | None = None,
    clock: Clock | None = None,
) -> Counters:
    """Simulate TWS until `stop` is set (or this task is cancelled); returns what was counted.

    at_s: the simulated time at the start, without it the end of the last bar: then all bars are history. Bars after it
    happen as that time passes. strict_pacing: the rules for bars of 30 s and less hold for all. on_ready: called once
    with host and port. clock: in place of `at_s` and `speed`, one that others read too. Raises OSError when the port is
    taken.
    """
    gateway = Gateway(world, faults, counters or Counters(), strict=strict_pacing)
    clock = clock or Clock(asyncio.get_running_loop().time, world.end_s() if at_s is None else at_s, speed)
    links: set[_Link] = set()

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(Session(gateway), clock, writer)
        links.add(link)
        try:
            await link.listen(reader, lambda: _lose(gateway, clock, links))
        finally:
            links.discard(link)
            link.close()

    server = await asyncio.start_server(attend, HOST, port)
    async with server:
        on_ready(HOST, int(server.sockets[0].getsockname()[1]))
        stopped = stop or asyncio.Event()
        while not stopped.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), TICK_S)
            _tick(gateway, clock, links)
        for link in list(links):
            link.close()
    return gateway.counters


class _Link:
    """One socket and its session."""

    def __init__(self, session: Session, clock: Clock, writer: asyncio.StreamWriter) -> None:
        self.session = session
        self._clock = clock
        self._writer = writer
        self._closed = False

    async def listen(self, reader: asyncio.StreamReader, after: Callable[[], None]) -> None:
        """Answer until the client goes, or says what no TWS client says."""
        frames = wire.Unframer()
        greeted = False
        with contextlib.suppress(ConnectionError):
            while not self._closed and (data := await reader.read(_READ_BYTES)):
                try:
                    for fields in frames.receive(data):
                        greeted = greeted or self.greet(frames)
                        self.send(self.session.receive(fields, now_s=self._clock.now_s(), wall_s=self._clock.wall_s()))
                        after()
                except (wire.NotTws, IndexError, ValueError):
                    return
                greeted = greeted or self.greet(frames)

    def greet(self, frames: wire.Unframer) -> bool:
        """Answer the versions, once they are there."""
        if frames.versions is None:
            return False
        self.send([self.session.hello(frames.versions, self._clock.now_s())])
        return True

    def send(self, sends: list[Send]) -> None:
        """Write now, or later."""
        for one in sends:
            if one.delay_s:
                asyncio.get_running_loop().call_later(one.delay_s, self._write, one)
            else:
                self._write(one)

    def _write(self, one: Send) -> None:
        if self._closed:
            return
        self._writer.write(one.data)
        transport = self._writer.transport
        if one.cut or transport.get_write_buffer_size() > _WAITING_BYTES_MAX:
            self.close()

    def close(self) -> None:
        """Flush and let go."""
        if not self._closed:
            self._closed = True
            self.session.closed()
            self._writer.close()


def _tick(gateway: Gateway, clock: Clock, links: set[_Link]) -> None:
    _tell(gateway.restore(clock.wall_s()), links)
    outage = gateway.outage(clock.now_s())
    if outage is not None and gateway.lost_until_s is None:
        until_s = clock.wall_s() + (outage.to_ns / NS_PER_S - clock.now_s()) / clock.speed
        _tell(gateway.lose(until_s, int(outage.kind)), links)
    if gateway.lost_until_s is None:
        for link in list(links):
            link.send(link.session.updates(clock.now_s()))


def _lose(gateway: Gateway, clock: Clock, links: set[_Link]) -> None:
    after = gateway.faults.lose_after
    if after is not None and not gateway.counters.faults["1100"] and gateway.histories >= after:
        _tell(gateway.lose(clock.wall_s() + gateway.faults.outage_s, gateway.faults.restored), links)


def _tell(said: list[tuple[Session, Send]], links: set[_Link]) -> None:
    by_session = {id(link.session): link for link in links}
    for session, send in said:
        if (link := by_session.get(id(session))) is not None:
            link.send([send])
