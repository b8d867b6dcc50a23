"""Commands to the exchange: their bytes, which of them await an answer, and when to send one again. Pure.

AsyncAPI "Market Data WebSocket API" 2.0.0, subscribeCommandPayload and updateSubscriptionCommandPayload, and its table
of error codes (read 2026-11). Kalshi allows 10,000 commands/s and does not say how many markets a command may name.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import Struct

from topics.events import Channel
from topics.units import NS_PER_S

ANSWER_TIMEOUT_NS = 30 * NS_PER_S  # a command whose answer got lost is sent again: subscribing twice is harmless
RETRY_BASE_NS = NS_PER_S
RETRY_CAP_NS = 30 * NS_PER_S

Reaction = Literal["refuse", "end", "retry", "split", "tolerate"]
REACTIONS: dict[int, Reaction] = {
    **dict.fromkeys((1, 2, 3, 4, 5, 8, 11, 12, 13, 14, 15, 19, 20, 21, 22, 23, 24, 28), "refuse"),  # bugs of ours
    9: "refuse",  # authentication required
    6: "tolerate",  # retired: already subscribed
    16: "tolerate",  # retired: market not found
    7: "end",  # unknown subscription: it is gone, whatever we believed
    10: "end",  # channel error, terminal
    25: "end",  # subscription buffer overflow, terminal
    17: "retry",  # retired: internal error
    18: "retry",  # command timeout
    27: "retry",  # too many requests
    26: "split",  # subscription market limit exceeded; the limit is not published
}

_encode = msgspec.json.Encoder().encode


class Command(Struct):
    """One command. tickers: empty for the lifecycle channel, which honours no filter. sid: of updates only.

    due_ns: while queued, when to send it; once sent, when it counts as unanswered.
    """

    action: Literal["subscribe", "add_markets", "get_snapshot"]
    channel: Channel
    tickers: tuple[str, ...]
    sid: int | None = None
    attempts: int = 0
    due_ns: int = 0


class Commands:
    """The commands of one connection. Times are those of the caller's loop, in nanoseconds."""

    def __init__(self) -> None:
        self._queue: list[Command] = []
        self._sent: dict[int, Command] = {}
        self._id_latest = 0

    def queue(self, command: Command) -> None:
        """Send this when it is due."""
        self._queue.append(command)

    def retry(self, command: Command, now_ns: int) -> None:
        """Send this again after a pause that doubles with each attempt."""
        command.due_ns = now_ns + retry_pause_ns(command.attempts)
        self._queue.append(command)

    def take(self, now_ns: int) -> list[bytes]:
        """The bytes of every command that is due, in order; each then awaits its answer."""
        due = [command for command in self._queue if command.due_ns <= now_ns]
        self._queue = [command for command in self._queue if command.due_ns > now_ns]
        frames = []
        for command in due:
            self._id_latest += 1
            command.attempts += 1
            command.due_ns = now_ns + ANSWER_TIMEOUT_NS
            self._sent[self._id_latest] = command
            frames.append(_bytes_of(self._id_latest, command))
        return frames

    def tick(self, now_ns: int) -> bool:
        """Queue again what stayed without an answer; returns whether anything is due."""
        for number in [number for number, command in self._sent.items() if command.due_ns <= now_ns]:
            command = self._sent.pop(number)
            if command.action != "get_snapshot":  # wanted snapshots are asked for by market, with their own deadline
                self._queue.append(command)
        return any(command.due_ns <= now_ns for command in self._queue)

    def answered(self, number: int | None) -> Command | None:
        """The command with this id, which awaits nothing any more; None when we sent none such."""
        return None if number is None else self._sent.pop(number, None)

    def awaits(self, channel: Channel) -> bool:
        """Whether a subscription to this channel is on its way."""
        return any(command.action == "subscribe" and command.channel == channel for command in self._open())

    def awaited(self, channel: Channel) -> set[str]:
        """The tickers that commands on their way add to this channel."""
        return {
            ticker
            for command in self._open()
            if command.channel == channel and command.action != "get_snapshot"
            for ticker in command.tickers
        }

    def forget(self, sid: int) -> list[str]:
        """Drop every command to this subscription; returns the tickers that they were to add."""
        dropped = [command for command in self._open() if command.sid == sid]
        self._queue = [command for command in self._queue if command.sid != sid]
        self._sent = {number: command for number, command in self._sent.items() if command.sid != sid}
        return [ticker for command in dropped if command.action == "add_markets" for ticker in command.tickers]

    def _open(self) -> Iterable[Command]:
        return [*self._queue, *self._sent.values()]


def retry_pause_ns(attempts: int) -> int:
    """1 s after the first attempt, doubling, at most 30 s."""
    return min(RETRY_CAP_NS, RETRY_BASE_NS << min(max(attempts - 1, 0), 10))


def _bytes_of(number: int, command: Command) -> bytes:
    params: dict[str, object]
    if command.action == "subscribe":
        params = {"channels": [command.channel]}
        if command.tickers:
            params["market_tickers"] = command.tickers
        if command.channel == "orderbook_delta":
            params["use_yes_price"] = False  # the default is announced to flip; the parser reads no-side prices
        return _encode({"id": number, "cmd": "subscribe", "params": params})
    params = {"sids": [command.sid], "market_tickers": command.tickers, "action": command.action}
    return _encode({"id": number, "cmd": "update_subscription", "params": params})
