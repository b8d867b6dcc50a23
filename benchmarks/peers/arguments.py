"""What the driver tells every contestant."""

import argparse
from pathlib import Path


def parse() -> argparse.Namespace:
    """bootstrap: the broker. records: how many `fact.trade` holds, beats included. state_dir: an empty folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--trades", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    return parser.parse_args()
