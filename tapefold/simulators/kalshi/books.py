"""The exchange's own order books, folded from recorded snapshots and deltas. Pure; sums are exact decimals."""

from decimal import Decimal, InvalidOperation

import msgspec

from tapefold.simulators.kalshi.recording import Frame

Levels = dict[Decimal, Decimal]


class _Snapshot(msgspec.Struct):
    market_id: str = ""
    yes_dollars_fp: list[tuple[str, str]] = []
    no_dollars_fp: list[tuple[str, str]] = []


class _MarketId(msgspec.Struct):
    market_id: str = ""


class UnfoldableFrame(Exception):
    """A recorded book frame of the current shape whose numbers or side cannot be read."""


class Book:
    """One market's resting bids, dollars -> contracts, per side."""

    def __init__(self, market: str, market_id: str) -> None:
        self.market = market
        self.market_id = market_id
        self.yes: Levels = {}
        self.no: Levels = {}

    def snapshot(self) -> bytes:
        """The `msg` of an `orderbook_snapshot`: prices ascending, the key of an empty side absent.

        Levels below zero (a recording that began in mid-stream) are left out: an exchange has none.
        """
        msg: dict[str, object] = {"market_ticker": self.market, "market_id": self.market_id}
        for name, levels in (("yes_dollars_fp", self.yes), ("no_dollars_fp", self.no)):
            shown = [(f"{price:f}", f"{size:f}") for price, size in sorted(levels.items()) if size > 0]
            if shown:
                msg[name] = shown
        return msgspec.json.encode(msg)


class Books:
    """Every market that the recording has shown so far."""

    def __init__(self) -> None:
        self._books: dict[str, Book] = {}

    def get(self, market: str) -> Book | None:
        """The market's book; `None` while the recording has shown nothing of it."""
        return self._books.get(market)

    def fold(self, frame: Frame) -> None:
        """Apply a snapshot or delta. Frames before 2026-03-12 without `_dollars` fields are passed over.

        Raises `UnfoldableFrame`.
        """
        try:
            if frame.kind == "orderbook_delta":
                self._add(frame)
            else:
                self._replace(frame)
        except (InvalidOperation, msgspec.DecodeError) as error:
            raise UnfoldableFrame(f"{frame.kind} of {frame.market}: {error!r}") from error

    def _add(self, frame: Frame) -> None:
        if not frame.price or not frame.delta:
            return
        book = self._books.get(frame.market)
        if book is None:
            market_id = msgspec.json.decode(frame.msg, type=_MarketId).market_id
            book = self._books[frame.market] = Book(frame.market, market_id)
        if frame.side == "yes":
            levels = book.yes
        elif frame.side == "no":
            levels = book.no
        else:
            raise UnfoldableFrame(f"{frame.kind} of {frame.market}: expected side yes or no, was {frame.side!r}")
        price = Decimal(frame.price)
        size = levels.get(price, _ZERO) + Decimal(frame.delta)
        if size:
            levels[price] = size
        else:
            levels.pop(price, None)

    def _replace(self, frame: Frame) -> None:
        msg = _decode_snapshot(frame.msg)
        book = self._books[frame.market] = Book(frame.market, msg.market_id)
        book.yes = {Decimal(price): Decimal(size) for price, size in msg.yes_dollars_fp}
        book.no = {Decimal(price): Decimal(size) for price, size in msg.no_dollars_fp}


_ZERO = Decimal(0)
_decode_snapshot = msgspec.json.Decoder(_Snapshot).decode
