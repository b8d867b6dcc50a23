"""What the simulated TWS knows: contracts and their bars, from recorded files or made up from a seed. Pure but for files."""

import random
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from stream_processors.parsers.tws import parse
from tapefold.payloads.files import find
from tapefold.payloads.tws import SUFFIXES, Given, payloads
from topics.catalog import H_CLOCK, H_CONN, H_RECEIVED_NS, RAW_TWS
from topics.errors import BadRecord, Refused
from topics.events import Cause
from topics.tws import BAR_SIZES_NS, TwsBar
from topics.units import NS_PER_S, PRICE_PLACES, SIZE_PLACES

_OPENS, _CLOSES = time(9, 30), time(16)
_ZONE = "America/New_York"
_SATURDAY = 5
_MINUTE_S = 60


class NoBars(Refused):
    """There is nothing to simulate. The message says what was read and why nothing came of it."""


class Bar(NamedTuple):
    """One bar as TWS writes it: numbers as text."""

    start_s: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    average: str
    trades: str


@dataclass
class Contract:
    """A contract and its bars of one size, by start."""

    symbol: str
    con_id: int
    size: str
    size_s: int
    bars: list[Bar] = field(default_factory=list)
    sec_type: str = "STK"
    currency: str = "USD"
    zone: str = _ZONE

    def between(self, from_s: int, to_s: int) -> list[Bar]:
        """The bars that start in [from_s, to_s)."""
        return self.bars[self._at(from_s) : self._at(to_s)]

    def _at(self, start_s: int) -> int:
        return bisect_left(self.bars, start_s, key=lambda bar: bar.start_s)


class World:
    """All contracts, by symbol and by id."""

    def __init__(self, contracts: Iterable[Contract]) -> None:
        self.contracts = {contract.symbol: contract for contract in contracts}
        self._by_id = {contract.con_id: contract for contract in self.contracts.values()}

    def find(self, symbol: str, con_id: str) -> Contract | None:
        """The contract that a client names."""
        if con_id.isdigit() and int(con_id):
            return self._by_id.get(int(con_id))
        return self.contracts.get(symbol)

    def end_s(self) -> int:
        """When the last bar of all ends."""
        return max(contract.bars[-1].start_s + contract.size_s for contract in self.contracts.values())


def con_id_of(symbol: str) -> int:
    """An id for a symbol that no recording names; the same one in every run."""
    return 1 + zlib.crc32(symbol.encode()) % 900_000_000


def recorded(paths: Sequence[Path], given: Given) -> World:
    """The bars of recorded files, each contract in the size its file has. Raises NoBars, UnreadableFile."""
    contracts: dict[str, Contract] = {}
    refused = "the files hold none"
    for path in find(paths, SUFFIXES):
        for payload in payloads(path, given):
            headers = {**dict(payload.headers), H_CONN: b"file", H_CLOCK: b"tape", H_RECEIVED_NS: b"1"}
            try:
                parts = parse(payload.value, headers, Cause(RAW_TWS, 0, 0))
            except BadRecord as error:
                refused = f"{path}: {error.detail}"
                continue
            for bar in parts:
                if isinstance(bar, TwsBar):
                    _add(contracts, bar)
    if not contracts:
        raise NoBars(f"expected bars to simulate: {refused}")
    for contract in contracts.values():
        contract.bars = sorted({bar.start_s: bar for bar in contract.bars}.values())
    return World(contracts.values())


def _add(contracts: dict[str, Contract], bar: TwsBar) -> None:
    contract = contracts.get(bar.symbol)
    if contract is None:
        size_s = BAR_SIZES_NS[bar.bar_size] // NS_PER_S
        contract = Contract(bar.symbol, bar.con_id or con_id_of(bar.symbol), bar.bar_size, size_s)
        contracts[bar.symbol] = contract
    if contract.size == bar.bar_size:
        volume, average, trades = _sent(bar.volume_e4, SIZE_PLACES), _sent(bar.average_e6), _sent(bar.count, 0)
        prices = (_sent(bar.open_e6), _sent(bar.high_e6), _sent(bar.low_e6), _sent(bar.close_e6))
        contract.bars.append(Bar(bar.event_ns // NS_PER_S, *prices, volume, average, trades))


def _sent(value: int | None, places: int = PRICE_PLACES) -> str:
    """A number as TWS sends it; -1 where there is none."""
    if value is None:
        return "-1"
    sign = "-" if value < 0 else ""
    digits = str(abs(value)).rjust(places + 1, "0")
    whole, fraction = (digits[:-places], digits[-places:].rstrip("0")) if places else (digits, "")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def made_up(symbols: Sequence[str], first: date, days: int, seed: int) -> World:
    """Minutes of New York's regular hours on weekdays: a random walk in cents, the same for the same arguments."""
    contracts = []
    for symbol in symbols:
        rng = random.Random(f"{seed}/{symbol}")  # noqa: S311  # it makes up prices
        contract = Contract(symbol, con_id_of(symbol), "1 min", _MINUTE_S)
        cents = rng.randint(2_000, 40_000)
        for number in range(days):
            day = first + timedelta(days=number)
            if day.weekday() >= _SATURDAY:
                continue
            opens, closes = (datetime.combine(day, at, ZoneInfo(_ZONE)).astimezone(UTC) for at in (_OPENS, _CLOSES))
            for start_s in range(int(opens.timestamp()), int(closes.timestamp()), _MINUTE_S):
                bar, cents = _walk(start_s, cents, rng)
                contract.bars.append(bar)
        contracts.append(contract)
    if not contracts or not contracts[0].bars:
        raise NoBars(f"expected symbols and weekdays to make up, were {list(symbols)} and {days} days from {first}")
    return World(contracts)


def _walk(start_s: int, cents: int, rng: random.Random) -> tuple[Bar, int]:
    steps = [cents]
    for _ in range(rng.randint(0, 12)):
        steps.append(max(100, steps[-1] + rng.randint(-5, 5)))
    trades = len(steps) - 1  # a silent minute has none, and the price before
    volume = sum(rng.randint(1, 9) * 100 for _ in range(trades))
    opened, high, low, close = (_sent(price * 10_000) for price in (steps[0], max(steps), min(steps), steps[-1]))
    average = _sent(sum(steps) * 10_000 // len(steps))
    return Bar(start_s, opened, high, low, close, str(volume), average, str(trades)), steps[-1]
