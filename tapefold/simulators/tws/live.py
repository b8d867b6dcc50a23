"""Bars that grow before the client's eyes. Pure."""

from collections.abc import Iterator

from tapefold.simulators.tws.world import Bar, Contract

_STEPS = 3  # a bar is told three times: its first price, its range, the whole of it


def grown(bar: Bar, size_s: int, now_s: float) -> Bar:
    """What is known of a bar at this time: the whole from its end on."""
    step = int((now_s - bar.start_s) * _STEPS // size_s)
    if step >= _STEPS - 1:
        return bar
    if step > 0:
        return bar._replace(close=bar.average, volume=_part(bar.volume, 2), trades=_part(bar.trades, 2))
    first = bar.open
    return Bar(bar.start_s, first, first, first, first, _part(bar.volume, 1), first, _part(bar.trades, 1))


def _part(text: str, step: int) -> str:
    return str(int(float(text)) * step // _STEPS) if text not in {"", "-1"} else text


class Live:
    """One live request: what was told of it up to `told_s`."""

    def __init__(self, contract: Contract, told_s: int) -> None:
        self._contract = contract
        self._told_s = float(told_s)

    def until(self, now_s: float) -> Iterator[Bar]:
        """The states of bars between what was told and now, in order."""
        size_s = self._contract.size_s
        for bar in self._contract.between(int(self._told_s) - size_s, int(now_s) + 1):
            for step in range(_STEPS):
                at_s = bar.start_s + step * size_s / _STEPS
                if self._told_s < at_s <= now_s:
                    yield grown(bar, size_s, at_s)
        self._told_s = now_s
