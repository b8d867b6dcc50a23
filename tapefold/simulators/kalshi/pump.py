"""Runs the recording past the connections: paced by its own timeline, or as fast as the clients take it.

Recording time belongs to the exchange. Paced (`speed` 1 or 60), it follows the loop's clock whatever the connections
do. At full speed it follows the clients: it stands still while nobody is subscribed (after a cut, or after the last
client has left, once it has run on by the outage), and for `SETTLE_S` after each `subscribe`, so that the
subscriptions of one client take effect together; and after a hole until the client asks for its books, for a client
that is behind by the whole of its socket's buffer would else mend them when the day is over. Faults are carried out here
and nowhere else.
"""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from tapefold.simulators.kalshi.books import UnfoldableFrame
from tapefold.simulators.kalshi.exchange import Exchange
from tapefold.simulators.kalshi.link import Link
from tapefold.simulators.kalshi.recording import BadRecording, Frame

BATCH_FRAMES = 256
"""Frames between two writes at full speed: with deltas of 230 bytes a chunk of about 64 KiB."""

SETTLE_S = 0.1
"""Wall time that the recording waits after a `subscribe`."""

MEND_S_MAX = 5.0
"""Wall time that the recording waits for a client that does not ask."""

SLEEP_S_MAX = 3_600.0

END_CODE = 1000
END_REASON = "end of recording"


class Pump:
    """The recording under way. `files` only names places in errors; `speed` is recorded per wall second, None for max."""

    def __init__(self, exchange: Exchange, files: Sequence[Path], speed: float | None) -> None:
        self.links: list[Link] = []
        self._exchange = exchange
        self._files = files
        self._speed = speed
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._settled_s = 0.0
        self._horizon_ms = float("-inf")
        """The recording may run to here without asking `_reach`."""
        self._origin: tuple[int, float] | None = None
        """Paced: recording ms and loop seconds that belong together."""
        self._outage_until_ms: float | None = None
        self._stall: asyncio.Task[None] | None = None
        self._stall_until_ms = 0.0

    def subscribed(self) -> None:
        """A client has subscribed: start, or look again."""
        self._settled_s = self._loop.time() + SETTLE_S
        self.look()

    def look(self) -> None:
        """Something has changed: let the recording stop and look before its next frame."""
        self._horizon_ms = float("-inf")
        self._wake.set()

    def left(self, link: Link) -> None:
        """A client has left. At full speed the recording runs on by the outage when it was the last one."""
        was_open, was_stalled = not link.session.closed, link.stalled
        self.links.remove(link)
        self._exchange.disconnect(link.session)
        alone = self._speed is None and link.session.subscribed and not self._exchange.heard()
        if was_open and alone and not was_stalled and not self._exchange.ended:
            self._begin_outage()
        self.look()

    def in_outage(self) -> bool:
        """Whether new connections are to be refused."""
        if self._outage_until_ms is None or self._exchange.ended:
            return False
        if self._speed is None:
            return True
        if self._position_ms() >= self._outage_until_ms:
            self._outage_until_ms = None
        return self._outage_until_ms is not None

    def stop(self) -> None:
        """Forget a stall that is under way: the simulator is shutting down."""
        if self._stall is not None:
            self._stall.cancel()

    async def run(self, frames: Iterable[Frame]) -> None:
        """Play `frames` to their end, then close every connection. Raises `BadRecording`."""
        while not self._exchange.subscribes:
            await self._woken(None)
        batch = 0
        for frame in frames:
            if frame.at_ms > self._horizon_ms:
                batch = 0
                await self._reach(frame.at_ms)
            try:
                self._exchange.advance(frame)
            except UnfoldableFrame as error:
                raise BadRecording(self._files[frame.file], frame.line, str(error)) from error
            batch += 1
            if batch >= BATCH_FRAMES or self._exchange.attention:
                batch = 0
                await self._breathe()
                if self._speed is None and self._exchange.mending():
                    await self._mended()
        await self._breathe()
        if self._stall is not None:
            await self._stall
            self._stall = None
        self._exchange.finish()
        for link in self.links:
            link.flush()
        await asyncio.gather(*(link.socket.close(END_CODE, END_REASON) for link in self.links))

    async def _reach(self, at_ms: int) -> None:
        """Return when the recording may pass `at_ms`; flush before waiting."""
        await self._breathe()
        if self._speed is None:
            await self._reach_freely(at_ms)
        else:
            await self._reach_paced(at_ms, self._speed)

    async def _reach_paced(self, at_ms: int, speed: float) -> None:
        if self._origin is None:
            await asyncio.sleep(self._settled_s - self._loop.time())
            if at_ms == 0:  # frames that have no time at all come before the first that has
                return
            self._origin = (at_ms, self._loop.time())
        while (position_ms := self._position_ms()) < at_ms:
            await self._woken(min((at_ms - position_ms) / 1000 / speed, SLEEP_S_MAX))
            await self._breathe()
        self._horizon_ms = position_ms

    async def _reach_freely(self, at_ms: int) -> None:
        while True:
            if self._outage_until_ms is not None and at_ms > self._outage_until_ms:
                self._outage_until_ms = None
            if self._stall is not None and at_ms > self._stall_until_ms:
                await self._stall
                self._stall = None
            elif self._outage_until_ms is None and not self._exchange.heard():
                await self._woken(None)
            elif (wait_s := self._settled_s - self._loop.time()) > 0:
                await asyncio.sleep(wait_s)
            else:
                break
            await self._breathe()
        limits = [float("inf")]
        if self._outage_until_ms is not None:
            limits.append(self._outage_until_ms)
        if self._stall is not None:
            limits.append(self._stall_until_ms)
        self._horizon_ms = min(limits)

    async def _breathe(self) -> None:
        """Write what is due, carry out faults that are due, let clients drain and the loop turn."""
        self._exchange.attention = False
        for link in list(self.links):
            session = link.session
            link.flush()
            if session.cut_due and not session.closed:
                self._exchange.counters.cuts += 1
                await self._cut(link)
            elif session.stall_due:
                session.stall_due = False
                self._begin_stall(link)
            slow = not await link.drained() if self._speed is None else link.overfull()
            if slow and not session.closed:
                self._exchange.counters.slow_cuts += 1
                await self._cut(link)
        await asyncio.sleep(0)

    async def _cut(self, link: Link) -> None:
        # The outage begins first: the client must not come back while the last bytes drain.
        self._begin_outage()
        await link.cut()

    def _begin_outage(self) -> None:
        until_ms = self._position_ms() + self._exchange.faults.outage_s * 1000
        self._outage_until_ms = max(until_ms, self._exchange.outage_until_ms)
        self._horizon_ms = float("-inf")

    def _begin_stall(self, link: Link) -> None:
        seconds = self._exchange.stall_s
        self._exchange.counters.stalls += 1
        self._stall_until_ms = self._position_ms() + seconds * 1000
        self._horizon_ms = float("-inf")
        self._stall = asyncio.create_task(link.stall(seconds))
        link.stalled = True  # from this frame on, not from when the task first runs

    async def _mended(self) -> None:
        """Return when the clients have asked for what they lost, or will not; then nobody waits for them again."""
        give_up_s = self._loop.time() + MEND_S_MAX
        while self._exchange.mending() and (wait_s := give_up_s - self._loop.time()) > 0:
            await self._woken(wait_s)
        for link in self.links:
            link.session.hole_shown = False

    def _position_ms(self) -> float:
        """Recording time: of the pace, or at full speed of the last frame that passed."""
        if self._speed is None or self._origin is None:
            return self._exchange.position_ms
        begun_ms, begun_s = self._origin
        return begun_ms + (self._loop.time() - begun_s) * 1000 * self._speed

    async def _woken(self, timeout_s: float | None) -> None:
        """Sleep until something changes, at most `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()
