"""Kalshi's WebSocket vocabulary as tables: channels, frame types, error codes, and the replies as bytes. Pure.

Vendor: asyncapi.yaml "Market Data WebSocket API" 2.0.0 (read 2026-11-21): client commands, replies and error codes.
"""

from collections.abc import Sequence

import msgspec

SOCKET_PATH = "/trade-api/ws/v2"
MARKETS_PATH = "/trade-api/v2/markets"

BOOK_CHANNEL = "orderbook_delta"
LIFECYCLE_CHANNEL = "market_lifecycle_v2"

CHANNELS = frozenset(
    {
        BOOK_CHANNEL,
        "ticker",
        "trade",
        "fill",
        "market_positions",
        LIFECYCLE_CHANNEL,
        "multivariate_market_lifecycle",
        "communications",
        "order_group_updates",
        "user_orders",
        "cfbenchmarks_value",
        "cfbenchmarks_value_5hz",
        "pyth_value",
    }
)
"""Every channel name of the vendor's enum. All may be subscribed; a recording brings frames for some."""

SEQUENCED_CHANNELS = frozenset({BOOK_CHANNEL, "trade", LIFECYCLE_CHANNEL})
"""Channels whose data frames carry `seq`."""

UNFILTERED_CHANNELS = frozenset({LIFECYCLE_CHANNEL})
"""Channels that deliver every market whatever filter was asked for."""

CHANNEL_OF_TYPE = {
    "orderbook_snapshot": BOOK_CHANNEL,
    "orderbook_delta": BOOK_CHANNEL,
    "ticker": "ticker",
    "trade": "trade",
    "market_lifecycle_v2": LIFECYCLE_CHANNEL,
    "event_lifecycle": LIFECYCLE_CHANNEL,
    "event_fee_update": LIFECYCLE_CHANNEL,
    "fill": "fill",
    "market_position": "market_positions",
    "user_order": "user_orders",
}
"""Data frame type -> the channel that delivers it. A recorded frame of another type (a reply) is passed over."""

ERROR_TEXT = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    15: "Action required",
}
"""The error codes that this simulator answers with, and the vendor's words."""


class CommandError(Exception):
    """A command that is answered by an `error` frame; `code` is a key of `ERROR_TEXT`."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)

    def __str__(self) -> str:
        return f"{self.code} {ERROR_TEXT[self.code]}"


class Params(msgspec.Struct, frozen=True):
    """`params` of any command; which fields count depends on the command. Absent lists are empty."""

    channels: list[str] = []
    market_ticker: str | None = None
    market_tickers: list[str] | None = None
    market_id: str | None = None
    market_ids: list[str] | None = None
    send_initial_snapshot: bool = False
    skip_ticker_ack: bool = False
    use_yes_price: bool = False
    sid: int | None = None
    sids: list[int] = []
    action: str | None = None

    def tickers(self) -> list[str] | None:
        """The market filter, `None` when there is none. Raises `CommandError` 11 when it is given twice or by id."""
        if self.market_id is not None or self.market_ids is not None:
            raise CommandError(11)
        if self.market_ticker is not None and self.market_tickers is not None:
            raise CommandError(11)
        if self.market_ticker is not None:
            return [self.market_ticker]
        if self.market_tickers is not None and not self.market_tickers:
            raise CommandError(11)
        return self.market_tickers


class Command(msgspec.Struct, frozen=True):
    """One text frame of a client. `id` 0 is as if absent."""

    cmd: str = ""
    id: int = 0
    params: Params | None = None


def decode_command(text: str | bytes) -> Command:
    """Read a client's text frame. Raises `CommandError` 1 when it is no JSON object of these types."""
    try:
        command = _COMMAND.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CommandError(1) from error
    if command.id < 0:
        raise CommandError(1)
    return command


def reply(kind: str, command_id: int, *, sid: int | None = None, seq: int | None = None, msg: object = None) -> bytes:
    """A reply frame; parts that are `None` (and id 0) are left out."""
    parts: dict[str, object] = {"id": command_id} if command_id else {}
    parts["type"] = kind
    parts |= {name: value for name, value in (("sid", sid), ("seq", seq), ("msg", msg)) if value is not None}
    return msgspec.json.encode(parts)


def error_reply(command_id: int, code: int, tickers: Sequence[str] = ()) -> bytes:
    """An `error` frame, naming the markets that it is about where there are any."""
    msg: dict[str, object] = {"code": code, "msg": ERROR_TEXT[code]}
    if tickers:
        msg["market_tickers"] = list(tickers)
    return reply("error", command_id, msg=msg)


def data_head(kind: str, sid: int, command_id: int = 0) -> bytes:
    """The bytes of a data frame before its number (or before `msg`, when the channel has no numbers)."""
    name = msgspec.json.encode(kind)
    number = b',"id":%d' % command_id if command_id else b""
    return b'{"type":%b%b,"sid":%d' % (name, number, sid)


def type_of(payload: bytes) -> str | None:
    """The type of a data frame made with `data_head`; `None` for a reply."""
    kind = msgspec.json.decode(payload, type=_Typed).type
    return kind if kind in CHANNEL_OF_TYPE else None


class _Typed(msgspec.Struct):
    type: str


_COMMAND = msgspec.json.Decoder(Command)
