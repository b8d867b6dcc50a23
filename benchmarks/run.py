"""`make bench`: everybody on the same events, each in a process of its own, in turns; prints rates and ratios.

    .venv/bin/python benchmarks/run.py [--events 1000000] [--rounds 3] [--only fold,bytewax] [--json FILE]

Ends with code 1 when a contestant failed or its bars are wrong, with 0 otherwise: a missed target is no failure.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import report
from arena import Arena, Failed, run_process
from contestants import FOLDS, PEERS_PYTHON, ROOT, Contestant
from workload import Input

TIMEOUT_S = 180.0


def main() -> int:
    given = _arguments()
    if not PEERS_PYTHON.exists():
        print("no peers: run `make bench`", file=sys.stderr)
        return 1
    chosen = [each for each in FOLDS if not given.only or each.name in given.only.split(",")]
    entries = [report.Entry(each, min(given.events, each.events_max or given.events)) for each in chosen]
    with tempfile.TemporaryDirectory(prefix="tapefold-bench-", dir=given.dir) as folder:
        arena = Arena(Path(folder))
        for trades in sorted({entry.trades for entry in entries}):
            _say(f"writing the input of {trades:,} trades")
            arena.prepare(trades)
        for number in range(1, given.rounds + 1):
            for entry in entries:
                _one(arena, entry, number, Path(folder))
    print(report.table(entries))
    print(report.ratios(entries))
    if given.json:
        given.json.write_text(json.dumps(report.as_json(entries), indent=1))
    return 1 if any(entry.failures for entry in entries) else 0


def _one(arena: Arena, entry: report.Entry, number: int, folder: Path) -> None:
    contestant, written = entry.contestant, arena.prepare(entry.trades)
    try:
        with arena.broker(entry.trades) as (bootstrap, state_dir):
            command = [
                *contestant.command,
                *("--bootstrap", bootstrap),
                *("--records", str(written.records)),
                *("--trades", str(written.trades)),
                *("--state-dir", str(state_dir)),
            ]
            text = run_process(command, folder / f"{contestant.name}.log", TIMEOUT_S, environment(contestant))
        rate = _checked_rate(json.loads(text), written)
        entry.rates.append(rate)
        _say(f"round {number}: {contestant.name:12} {rate:>10,.0f} trades/s")
    except Failed as failure:
        entry.failures.append(str(failure))
        _say(f"round {number}: {contestant.name:12} FAILED: {failure}")


def _checked_rate(result: dict, written: Input) -> float:
    checksum = result["checksum"]
    if checksum is not None and tuple(checksum) != written.expected:
        raise Failed(f"wrong bars: expected {written.expected}, was {checksum}")
    return result.get("trades", written.trades) / max(result["seconds"], 1e-9)


def environment(contestant: Contestant) -> dict[str, str]:
    """Ours need the repository on the path, the peers must not have it."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    inherited["PYTHONWARNINGS"] = "ignore"
    if contestant.command[0] != str(PEERS_PYTHON):
        inherited["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(ROOT / "benchmarks")))
    return inherited


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="trades that the fast ones read")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="names of contestants, with commas")
    parser.add_argument("--dir", type=Path, default=None, help="where the temporary folder is made")
    parser.add_argument("--json", type=Path, default=None, help="also write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
