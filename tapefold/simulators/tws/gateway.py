"""What TWS answers: requests in, frames out. Pure: time is an argument, and whatever takes time is returned as a delay.

Fields and order as ib_async 2.1 reads them (`decoder.py`); contract details of servers from 164 on, no message 108 (servers
from 196 on). A range without bars is answered by 162 "HMDS query returned no data", as TWS does.
"""

import random
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tapefold.simulators.scenario import Fault
from tapefold.simulators.tws import wire
from tapefold.simulators.tws.faults import Counters, Faults
from tapefold.simulators.tws.live import Live, grown
from tapefold.simulators.tws.pacing import OPEN_MAX, Rules
from tapefold.simulators.tws.world import Bar, Contract, World
from topics.units import NS_PER_S

SERVER_VERSION = 178
ACCOUNT = "DU0000001"
_SMALL_S = 30
_OF_REQUESTS = frozenset({"pacing", "silent", "empty", "disconnect", "late"})
_RESTORED = frozenset({"1101", "1102"})
_UNIT_S = {"S": 1, "D": 86_400, "W": 7 * 86_400, "M": 30 * 86_400, "Y": 365 * 86_400}
_DURATION = re.compile(r"(\d{1,6}) ([SDWMY])")
_END = re.compile(r"(\d{8})[ -](\d{2}:\d{2}:\d{2})(?: (\S+))?")
_HMDS = "Historical Market Data Service error message:"
_FARMS = ((2104, "Market data farm connection is OK:usfarm"), (2106, "HMDS data farm connection is OK:ushmds"),
          (2158, "Sec-def data farm connection is OK:secdefnj"))  # fmt: skip
# Requests that need no more than an end: what ib_async asks when it connects.
_EMPTY: dict[int, Callable[[Sequence[str]], tuple[object, ...]]] = {
    61: lambda _: (62, 1),
    5: lambda _: (53, 1),
    99: lambda _: (102,),
    6: lambda asked: (54, 1, asked[3]),
    76: lambda asked: (74, 1, asked[2]),
    7: lambda asked: (55, 1, asked[2]),
    17: lambda _: (wire.ACCOUNTS, 1, ACCOUNT),
    8: lambda _: (wire.NEXT_VALID_ID, 1, 1),
}


class Send(NamedTuple):
    """Bytes for the client, now or later; `cut`: the socket closes behind them."""

    data: bytes
    delay_s: float = 0.0
    cut: bool = False


class Asked(NamedTuple):
    """A request for history, read."""

    req_id: str
    symbol: str
    con_id: str
    exchange: str
    end: str
    size: str
    duration: str
    use_rth: str
    what: str
    form: str
    live: bool


class Gateway:
    """One TWS: what all its connections share. `now_s` is the simulated time in seconds since the epoch."""

    def __init__(
        self, world: World, faults: Faults, counters: Counters, *, strict: bool = False, seed: int = 1
    ) -> None:
        self.world = world
        self._rng = random.Random(seed)  # noqa: S311  # faults, not secrets
        self.faults = faults
        self.counters = counters
        self.clients: set[str] = set()
        self.sessions: list[Session] = []
        self.lost_until_s: float | None = None
        self._restored: int = faults.restored
        self._rules = Rules(strict=strict)
        self.histories = 0
        self._told: dict[tuple[str, int], int] = {}

    def history_number(self) -> int:
        """The number of the next request for history."""
        self.histories += 1
        return self.histories

    def fault_of(self, number: int, now_s: float) -> Fault | None:
        """What befalls a request for history: by its number, or by the scenario."""
        every = self.faults
        for kind, numbers in (("pacing", every.pacing_every), ("silent", every.silent_every), ("empty", every.empty_every),
                              ("disconnect", every.disconnect_every), ("late", every.late_every)):  # fmt: skip
            if every.meets(numbers, number):
                return Fault("tws", kind, 0, 0, 1.0, every.late_s, 0)
        return every.scenario.struck(int(now_s * NS_PER_S), self._rng, _OF_REQUESTS)

    def opened(self) -> None:
        """One more request is open."""
        self.counters.open_max = max(self.counters.open_max, sum(len(session.open) for session in self.sessions))

    def breaks(self, asked: Asked, wall_s: float, size_s: int) -> bool:
        """Whether the request is one too many."""
        same = (asked.symbol, asked.con_id, asked.exchange, asked.what)
        small, double = size_s <= _SMALL_S, asked.what == "BID_ASK"
        open_now = sum(len(session.open) for session in self.sessions)
        broken = self._rules.breaks(wall_s, asked._replace(req_id=""), same, small=small, double=double)
        return broken or open_now > OPEN_MAX

    def revised(self, contract: Contract, bar: Bar) -> Bar:
        """The bar, or what has become of it since it was asked for the first time."""
        key = (contract.symbol, bar.start_s)
        told = self._told[key] = self._told.get(key, 0) + 1
        every = self.faults.meets(self.faults.revise_every, bar.start_s // contract.size_s)
        if told == 1 or not (every or self.faults.scenario.share("revise", bar.start_s * NS_PER_S)):
            return bar
        self.counters.faults["revised"] += 1
        return bar._replace(close=bar.low, trades=str(int(bar.trades) + 1))

    def outage(self, now_s: float) -> Fault | None:
        """The scenario's outage that reigns."""
        return next((f for f in self.faults.scenario.now(int(now_s * NS_PER_S)) if f.kind in _RESTORED), None)

    def lose(self, until_s: float, restored: int) -> list[tuple["Session", Send]]:
        """The line to Interactive Brokers breaks, for all connections. until_s: by the wall. restored: what is said then."""
        self.lost_until_s, self._restored = until_s, restored
        self.counters.faults["1100"] += 1
        said = wire.frame(4, 2, -1, 1100, "Connectivity between IB and Trader Workstation has been lost.", "")
        return [(session, Send(said)) for session in self.sessions]

    def restore(self, wall_s: float) -> list[tuple["Session", Send]]:
        """The line is back, if it is time."""
        if self.lost_until_s is None or wall_s < self.lost_until_s:
            return []
        self.lost_until_s = None
        code = self._restored
        self.counters.faults[str(code)] += 1
        fate = "lost" if code == 1101 else "maintained"  # noqa: PLR2004  # the code itself
        text = f"Connectivity between IB and Trader Workstation has been restored - data {fate}."
        for session in self.sessions:
            session.open.clear()
            if fate == "lost":
                session.live.clear()
        return [(session, Send(wire.frame(4, 2, -1, code, text, ""))) for session in self.sessions]


class Session:
    """One connection, from its version on. `receive` answers one message."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.client_id: str | None = None
        self.live: dict[str, Live] = {}
        self.open: set[str] = set()
        gateway.sessions.append(self)
        gateway.counters.connections += 1

    def closed(self) -> None:
        """The connection is gone."""
        self.gateway.sessions.remove(self)
        if self.client_id is not None:
            self.gateway.clients.discard(self.client_id)

    def hello(self, versions: tuple[int, int], now_s: float) -> Send:
        """The answer to the versions that the client offers; no common one closes the socket."""
        low, high = versions
        said = wire.frame(SERVER_VERSION, f"{datetime.fromtimestamp(now_s, UTC):%Y%m%d %H:%M:%S} UTC")
        return Send(said, cut=not low <= SERVER_VERSION <= high)

    def receive(self, fields: Sequence[str], *, now_s: float, wall_s: float) -> list[Send]:
        """What is sent for one message; unknown ones are counted and ignored, as TWS does."""
        number = int(fields[0]) if fields and fields[0].isdigit() else -1
        self.gateway.counters.requests[number] += 1
        if number in _EMPTY:
            return [Send(wire.frame(*_EMPTY[number](fields)))]
        if number == wire.REQ_TIME:
            return [Send(wire.frame(wire.TIME, 1, int(now_s)))]
        if number == wire.REQ_HISTORY:
            return self._history(fields, now_s, wall_s)
        reads = {wire.START_API: self._start, wire.REQ_CONTRACT: self._contract, wire.CANCEL_HISTORY: self._cancel}
        return reads[number](fields) if number in reads else []

    def _cancel(self, fields: Sequence[str]) -> list[Send]:
        self.live.pop(fields[2], None)
        return [self._error(fields[2], 162, f"{_HMDS}API historical data query cancelled: {fields[2]}")]

    def _start(self, fields: Sequence[str]) -> list[Send]:
        client_id = fields[2]
        if client_id in self.gateway.clients:
            return [self._error("-1", 326, "Unable to connect as the client id is already in use.")._replace(cut=True)]
        self.client_id = client_id
        self.gateway.clients.add(client_id)
        said = [wire.frame(wire.ACCOUNTS, 1, ACCOUNT), wire.frame(wire.NEXT_VALID_ID, 1, 1)]
        return [*map(Send, said), *(self._error("-1", code, text) for code, text in _FARMS)]

    def _contract(self, fields: Sequence[str]) -> list[Send]:
        req_id = fields[2]
        contract = self.gateway.world.find(fields[4], fields[3])
        if contract is None:
            return [self._unknown(req_id)]
        c, s = contract, contract.symbol
        exchange = fields[10] or "SMART"
        detail = wire.frame(
            wire.CONTRACT, req_id, s, c.sec_type, "", 0.0, "", exchange, c.currency, s, s, s, c.con_id, 0.01, "", "LMT,MKT",
            exchange, 1, 0, s, exchange, "", "", "", "", c.zone, "", "", "", 0, 0, 1, "", "", "26", "", "COMMON", 1, 1, 100,
        )  # fmt: skip
        return [Send(detail), Send(wire.frame(wire.CONTRACT_END, 1, req_id))]

    def _history(self, fields: Sequence[str], now_s: float, wall_s: float) -> list[Send]:
        asked = Asked(
            fields[1], fields[3], fields[2], fields[9], fields[15], fields[16], fields[17], fields[18], fields[19],
            fields[20], fields[21] == "1",
        )  # fmt: skip
        gateway = self.gateway
        contract = gateway.world.find(asked.symbol, asked.con_id)
        number = gateway.history_number()
        self.open.add(asked.req_id)
        gateway.opened()
        if gateway.lost_until_s is not None:
            return []
        if contract is None:
            return [self._unknown(asked.req_id)]
        if gateway.breaks(asked, wall_s, contract.size_s):
            gateway.counters.violations += 1
            return [self._pacing(asked.req_id)]
        fault = gateway.fault_of(number, now_s)
        if fault is not None and fault.kind in {"pacing", "silent"}:
            gateway.counters.faults[fault.kind] += 1
            return [self._pacing(asked.req_id)] if fault.kind == "pacing" else []
        return self._answer(asked, contract, fault, now_s)

    def _answer(self, asked: Asked, contract: Contract, fault: Fault | None, now_s: float) -> list[Send]:
        gateway = self.gateway
        interval = _interval(asked, now_s)
        if interval is None:
            return [
                self._error(
                    asked.req_id, 321, f"Error validating request.-'bI' : cause - {asked.duration!r}, {asked.end!r}"
                )
            ]
        bars = contract.between(*interval) if asked.size == contract.size else []
        self.open.discard(asked.req_id)
        if fault is not None and fault.kind == "empty":
            gateway.counters.faults["empty"] += 1
            return [Send(wire.frame(wire.HISTORY, asked.req_id, "", "", 0))]
        if not bars:
            return [self._error(asked.req_id, 162, f"{_HMDS}HMDS query returned no data: {asked.symbol}@SMART Trades")]
        if asked.live:
            self.live[asked.req_id] = Live(contract, int(now_s))
        told = [grown(gateway.revised(contract, bar), contract.size_s, now_s) for bar in bars]
        gateway.counters.bars += len(told)
        rows = [field for bar in told for field in (_date(bar, asked.form, contract.zone), *bar[1:])]
        first, last = (f"{datetime.fromtimestamp(at_s, UTC):%Y%m%d %H:%M:%S} UTC" for at_s in interval)
        data = wire.frame(wire.HISTORY, asked.req_id, first, last, len(told), *rows)
        if fault is None:
            return [Send(data)]
        gateway.counters.faults[fault.kind] += 1
        return [Send(data[: len(data) // 2], cut=True) if fault.kind == "disconnect" else Send(data, fault.seconds)]

    def updates(self, now_s: float) -> list[Send]:
        """What has happened to the bars that are asked for live."""
        sends = []
        for req_id, live in self.live.items():
            for bar in live.until(now_s):
                fields = (bar.trades, bar.start_s, bar.open, bar.close, bar.high, bar.low, bar.average, bar.volume)
                sends.append(Send(wire.frame(wire.UPDATE, req_id, *fields)))
        self.gateway.counters.updates += len(sends)
        return sends

    def _unknown(self, req_id: str) -> Send:
        return self._error(req_id, 200, "No security definition has been found for the request")

    def _pacing(self, req_id: str) -> Send:
        return self._error(req_id, 162, f"{_HMDS}Historical data request pacing violation")

    def _error(self, req_id: str, code: int, text: str) -> Send:
        self.open.discard(req_id)
        return Send(wire.frame(wire.ERROR, 2, req_id, code, text, ""))


def _interval(asked: Asked, now_s: float) -> tuple[int, int] | None:
    """[from, to) of a request, None for words that are not TWS's. A day is one of 24 hours."""
    duration = _DURATION.fullmatch(asked.duration)
    if duration is None:
        return None
    to_s = int(now_s) + 1
    if asked.end:
        end = _END.fullmatch(asked.end)
        if end is None or end[3] not in {None, "UTC"}:
            return None
        to_s = min(to_s, int(datetime.strptime(f"{end[1]} {end[2]}+0000", "%Y%m%d %H:%M:%S%z").timestamp()))
    return to_s - int(duration[1]) * _UNIT_S[duration[2]], to_s


def _date(bar: Bar, form: str, zone: str) -> str:
    if form == "2":
        return str(bar.start_s)
    return f"{datetime.fromtimestamp(bar.start_s, ZoneInfo(zone)):%Y%m%d %H:%M:%S} {zone}"
