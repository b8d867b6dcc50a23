"""The ledger on disk, replaced atomically before what it speaks of happens."""

from pathlib import Path

from producers import notes
from producers.tws import ledger
from producers.tws.ledger import Ledger, State


class Keep:
    """The ledger of one folder. Raises Refused for a file that cannot be read."""

    def __init__(self, path: Path, zone: str) -> None:
        self._path = path
        try:
            state = ledger.decode(path.read_bytes())
        except FileNotFoundError:
            state = State()
        self.ledger = Ledger(state, zone)

    def alive(self, now_ns: int) -> None:
        """A recorder ran at this time."""
        self.ledger.state.alive_ns = now_ns
        self.save()

    def save(self) -> None:
        """Write it down. Raises OSError."""
        notes.replace(self._path, ledger.encode(self.ledger.state))
