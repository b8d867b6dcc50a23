"""One made-up world on four simulators, `tapefold up` on them, and what of it must stand in the tables."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from tapefold.simulators.iem.generated import Chances, Generated
from tapefold.simulators.kalshi.made_up import MadeUp, made_up_of
from tapefold.simulators.scenario import read
from tapefold.simulators.tws.world import made_up

SEED = 5
SERIES, STATIONS, MODELS, SYMBOLS = ("KXHIGHMIA", "KXLOWTNYC"), ("KMIA", "KNYC"), ("GFS", "NBS"), ("AAPL", "MSFT")
DAY = date(2026, 3, 8)  # the clocks change
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Started:
    """A command of ours as a process; what it prints is kept."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.said: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "tapefold", *arguments],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._ready = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._ready:
                self.said.append(line.rstrip("\n"))
                self._ready.notify_all()

    def until(self, word: str, timeout_s: float = 60) -> "Started":
        """Wait until it has printed a line with `word`."""
        with self._ready:
            told = self._ready.wait_for(
                lambda: any(word in line for line in self.said) or self._process.poll() is not None, timeout_s
            )
        assert told, f"no {word!r} within {timeout_s} s: " + "\n".join(self.said[-40:])
        assert any(word in line for line in self.said), "\n".join(self.said[-40:])
        return self

    def variables(self) -> dict[str, str]:
        """The environment that it prints."""
        return dict(line.split("=", 1) for line in self.said if line.split("=")[0].isupper() and "=" in line)

    def done(self, timeout_s: float) -> str:
        """Wait for its end; all that it printed."""
        self._process.wait(timeout_s)
        self._reader.join(10)
        return "\n".join(self.said)

    def close(self) -> None:
        """SIGTERM, and wait for its end."""
        self._process.terminate()
        self.done(60)

    def closed(self) -> "Started":
        """The same, closed."""
        self.close()
        return self


def listens(port: int, timeout_s: float = 60) -> None:
    """Wait until someone takes connections on a port of the loopback."""
    until_s = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until_s, f"nobody listens on {port}"
            time.sleep(0.1)
        else:
            return


class World:
    """What the simulators of this seed and scenario have."""

    def __init__(self, scenario: Path, pause_s: float) -> None:
        self.scenario = scenario
        self.pause_s = pause_s
        weather = read(scenario, "iem")
        self.markets: MadeUp = made_up_of(SERIES, DAY, 1, seed=SEED, weather=weather, pause_s=pause_s)
        self.weather = Generated(STATIONS, seed=SEED, chances=Chances(), scenario=weather)
        self.bars = made_up(SYMBOLS, date(2026, 3, 9), 1, SEED)

    def frames(self, kind: str) -> Iterator[dict[str, Any]]:
        """The `msg` of the socket's frames of one type."""
        for line in self.markets.lines:
            event = json.loads(line)["event"]
            if event["type"] == kind:
                yield event["msg"]

    def told(self, name: str) -> list[Any]:
        """What REST says under one name, in the order of time."""
        return [body[name] for one in self.markets.told if name in (body := json.loads(one.body))]

    def kalshi(self, speed: float, state_dir: Path, **more: str) -> Started:
        """Its simulator."""
        flags = [part for name, value in more.items() for part in (f"--{name.replace('_', '-')}", value)]
        return Started(
            "simulate", "kalshi", "--make-up", ",".join(SERIES), "--date", DAY.isoformat(), "--pause-s", str(self.pause_s),
            "--seed", str(SEED), "--speed", str(speed), "--scenario", str(self.scenario), "--state-dir", str(state_dir),
            *flags,
        ).until("REST_TAPE")  # fmt: skip

    def iem(self, speed: float, at: str) -> Started:
        """Its simulator."""
        return Started(
            "simulate", "iem", "--make-up", ",".join(STATIONS), "--at", at, "--seed", str(SEED), "--speed", str(speed),
            "--scenario", str(self.scenario), "--limit-per-second", "1",
        ).until("IEM_TAPE")  # fmt: skip

    def tws(self, speed: float, at: str) -> Started:
        """Its simulator."""
        return Started(
            "simulate", "tws", "--make-up", ",".join(SYMBOLS), "--date", "2026-03-09", "--days", "1", "--at", at,
            "--seed", str(SEED), "--speed", str(speed), "--scenario", str(self.scenario),
        ).until("TWS_SYMBOLS")  # fmt: skip

    def webhooks(self, port: int, count: int, speed: float, at: str) -> Started:
        """Its sender."""
        return Started(
            "simulate", "webhook", "--url", f"http://127.0.0.1:{port}/webhooks/default", "--make-up", ",".join(SERIES),
            "--date", DAY.isoformat(), "--count", str(count), "--rate", "100", "--seed", str(SEED), "--at", at,
            "--speed", str(speed), "--scenario", str(self.scenario), "--retries", "60",
            WEBHOOK_SECRET=SECRET,
        )  # fmt: skip
