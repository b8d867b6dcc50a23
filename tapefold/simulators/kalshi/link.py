"""One accepted socket: frames out in chunks with the library's own framing, and input that can be held back."""

import asyncio
import contextlib

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from tapefold.simulators.kalshi.exchange import Session

HEARTBEAT = b"heartbeat"
"""Payload of the vendor's pings (asyncapi.yaml, control_frames)."""

BUFFER_BYTES_MAX = 16 << 20
"""At a paced speed, what may wait for a client that takes nothing before it is cut: minutes of a busy market."""

DRAIN_S_MAX = 60.0
"""At full speed, how long the recording waits for a client that takes nothing before it is cut."""

CUT_DRAIN_S_MAX = 5.0


class HoldableConnection(ServerConnection):
    """A connection whose input can be held back, so that the library answers no ping and sees no close frame.

    The end of the stream is still noticed: a client that has left ends the connection as always.
    """

    held: bytearray | None = None

    def data_received(self, data: bytes) -> None:
        """Bytes of the client: processed, or kept for `release`."""
        if self.held is None:
            super().data_received(data)
        else:
            self.held += data

    def hold(self) -> None:
        """Keep what the client sends from now on."""
        self.held = bytearray()

    def release(self) -> None:
        """Process what was kept, and go on as usual."""
        data, self.held = self.held, None
        if data and self.state is not State.CLOSED:
            super().data_received(bytes(data))


class Link:
    """A connection and its session."""

    def __init__(self, socket: HoldableConnection, session: Session) -> None:
        self.socket = socket
        self.session = session
        self.stalled = False

    def flush(self) -> None:
        """Hand everything in `session.out` to the transport: one write, each frame framed by `websockets`.

        `await socket.send` costs a context manager and a system call per frame; this costs neither, and keeps the
        library's state machine, which refuses frames after a close.
        """
        frames = self.session.out
        if self.stalled or not frames:
            return
        if self.socket.state is not State.OPEN or self.socket.transport.is_closing():
            return  # the client is leaving; its handler ends soon and counts these as lost
        protocol = self.socket.protocol
        for payload in frames:
            protocol.send_text(payload)
        frames.clear()
        # While the state is OPEN there is no end-of-stream mark among these, so they can be joined.
        self.socket.transport.write(b"".join(protocol.data_to_send()))

    def ping(self) -> None:
        """Send the vendor's heartbeat. Not `socket.ping`: that refuses a payload whose pong is still owed."""
        if not self.stalled and self.socket.state is State.OPEN:
            self.socket.protocol.send_ping(HEARTBEAT)
            self.socket.send_data()

    def overfull(self) -> bool:
        """Whether more waits for the client than a paced run allows."""
        return self.socket.transport.get_write_buffer_size() > BUFFER_BYTES_MAX

    async def drained(self) -> bool:
        """Wait until the transport takes more; False when the client took nothing for `DRAIN_S_MAX`."""
        if self.stalled:
            return True
        try:
            async with asyncio.timeout(DRAIN_S_MAX):
                await self.socket.drain()
        except TimeoutError:
            return False
        except OSError:
            pass  # the connection is lost; its handler ends and says so
        return True

    async def cut(self) -> None:
        """Break the TCP connection without a close frame, after what was sent has left this process."""
        self.session.close()
        self.socket.transport.set_write_buffer_limits(high=0)
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(CUT_DRAIN_S_MAX):
                await self.socket.drain()
        self.socket.transport.abort()

    async def stall(self, seconds: float) -> None:
        """Say and hear nothing for `seconds`, or until the client has left; then send what was kept."""
        self.stalled = True
        self.socket.hold()
        gone = asyncio.ensure_future(self.socket.wait_closed())
        try:
            await asyncio.wait({gone}, timeout=seconds)
        finally:
            gone.cancel()
        self.stalled = False
        self.socket.release()
        self.flush()
