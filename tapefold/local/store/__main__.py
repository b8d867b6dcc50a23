"""`python -m tapefold.local.store --state-dir DIR`: the store in the foreground, until Ctrl-C or SIGTERM.

Ends with 0 after an orderly stop, with 1 and one line on stderr if it can not start.
"""

import argparse
import logging
import os
import sys
import threading
from pathlib import Path

from tapefold.local.errors import LocalError
from tapefold.local.store.faults import StoreFault
from tapefold.local.store.server import GRACE_S, request_stop, serve


def main() -> int:
    """Runs the store; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tapefold.local.store", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="folder that keeps the data")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address")
    parser.add_argument("--port", type=int, default=0, help="TCP port; 0 takes the last one or one that is free")
    parser.add_argument("--grace-s", type=float, default=GRACE_S, help="seconds that requests may take after SIGTERM")
    parser.add_argument("--stop-with-stdin", action="store_true", help="stop when stdin ends, with whoever holds it")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if options.stop_with_stdin:
        threading.Thread(target=_stop_with_stdin, name="stdin", daemon=True).start()
    try:
        serve(options.state_dir, host=options.host, port=options.port, on_ready=_say_ready, grace_s=options.grace_s)
    except (LocalError, StoreFault) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _say_ready(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


def _stop_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    request_stop()


if __name__ == "__main__":
    sys.exit(main())
