"""Replay of trades to bars against raw librdkafka and plain Faust, on the same events, in turns.

    .venv/bin/python benchmarks/replay.py [--events 1000000] [--rounds 3]

Prints median rates and ratios; ends with code 1 when a contestant failed or its bars are wrong.
"""

import sys

import report
import run
from contestants import FOLDS, Contestant, _ours

TARGETS = {"faust": 100.0, "librdkafka": 0.6}


def main() -> int:
    replay = Contestant("replay", "Tapefold's replay", _ours("replay.py"))
    others = [
        each._replace(target=TARGETS.get(each.name)) for each in FOLDS if each.name in {*TARGETS, "librdkafka-3k"}
    ]
    run.FOLDS = (replay, *others)
    report.OURS = replay.name
    return run.main()


if __name__ == "__main__":
    sys.exit(main())
