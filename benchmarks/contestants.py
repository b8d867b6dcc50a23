"""Who takes part: which script in which virtual environment, on how many events."""

from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
OUR_PYTHON = ROOT / ".venv" / "bin" / "python"
FOLD = "fold"
SINK = "sink"


class Contestant(NamedTuple):
    """name: short, for `--only`. events_max: fewer than the others read, where it would take minutes; None: all.

    races: what it is compared in. target: how many times faster ours should be (its rate below ours by this factor).
    """

    name: str
    title: str
    command: tuple[str, ...]
    events_max: int | None = None
    target: float | None = None


def _peer(script: str, *arguments: str) -> tuple[str, ...]:
    return (str(PEERS_PYTHON), str(HERE / "peers" / script), *arguments)


def _ours(script: str, *arguments: str) -> tuple[str, ...]:
    return (str(OUR_PYTHON), str(HERE / "ours" / script), *arguments)


FOLDS: tuple[Contestant, ...] = (
    Contestant("fold", "Tapefold's fold agent", _ours("fold.py")),
    Contestant("faust", "plain Faust, table, one event at a time", _peer("faust_table.py"), 60_000, 50.0),
    Contestant("quix", "Quix Streams, its windows", _peer("quix_windows.py"), 200_000, 5.0),
    Contestant("quix-state", "Quix Streams, bars kept by hand", _peer("quix_state.py"), 200_000),
    Contestant("bytewax", "bytewax, recovery store on", _peer("bytewax_fold.py", "recovery"), None, 1.2),
    Contestant("bytewax-off", "bytewax, recovery store off", _peer("bytewax_fold.py", "plain")),
    Contestant("librdkafka", "raw librdkafka, 20,000 a call, nothing decoded", _peer("librdkafka_consume.py", "20000")),
    Contestant("librdkafka-3k", "raw librdkafka, 3,000 a call", _peer("librdkafka_consume.py", "3000")),
)
