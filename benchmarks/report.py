"""The figures as text: a table of rates, and how many times faster ours is."""

from dataclasses import dataclass, field
from statistics import median

from contestants import Contestant

OURS = "fold"


@dataclass
class Entry:
    """One contestant's runs. rates: trades per second, one a round."""

    contestant: Contestant
    trades: int
    rates: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def table(entries: list[Entry]) -> str:
    """Name, events, and the least, middle and best rate."""
    lines = ["", f"{'':42}{'trades':>12}{'min/s':>12}{'median/s':>12}{'max/s':>12}"]
    for entry in entries:
        title = f"{entry.contestant.title:42}{entry.trades:>12,}"
        if entry.rates:
            figures = (min(entry.rates), median(entry.rates), max(entry.rates))
            lines.append(title + "".join(f"{figure:>12,.0f}" for figure in figures))
        else:
            lines.append(f"{title}      failed")
    return "\n".join(lines)


def ratios(entries: list[Entry]) -> str:
    """Our median against each other's, with the target where there is one."""
    ours = next((median(e.rates) for e in entries if e.contestant.name == OURS and e.rates), None)
    if ours is None:
        return ""
    lines = ["", f"Tapefold's {OURS} against (median / median):"]
    for entry in entries:
        if entry.contestant.name == OURS or not entry.rates:
            continue
        ratio = ours / median(entry.rates)
        lines.append(f"  {entry.contestant.title:42}{ratio:>8.2f} x{_verdict(ratio, entry.contestant.target)}")
    return "\n".join(lines)


def as_json(entries: list[Entry]) -> list[dict]:
    """The same for a program."""
    return [
        {
            "name": entry.contestant.name,
            "trades": entry.trades,
            "rates": entry.rates,
            "failures": entry.failures,
            "target": entry.contestant.target,
        }
        for entry in entries
    ]


def _verdict(ratio: float, target: float | None) -> str:
    if target is None:
        return ""
    return f"   target {target:g} x: {'met' if ratio >= target else 'MISSED'}"
