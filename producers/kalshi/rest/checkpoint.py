"""The file in which the recorder notes what is done: it speaks of one log, and tells nothing about another."""

from pathlib import Path

import msgspec

from producers import notes
from producers.kalshi.rest.plan import Checkpoint
from topics.errors import Refused


def read(path: Path, log_id: str) -> Checkpoint:
    """What stands on this log; nothing without a file, or with one of another log. Raises Refused for no checkpoint."""
    try:
        noted = msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except FileNotFoundError:
        return Checkpoint(log=log_id)
    except msgspec.MsgspecError as error:
        raise Refused(f"{path} is no checkpoint of markets ({error}); move it away and start again") from error
    return noted if noted.log == log_id else Checkpoint(log=log_id)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the file. Raises OSError."""
    notes.replace(path, msgspec.json.encode(checkpoint))
