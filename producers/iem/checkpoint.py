"""The file in which history notes what is done: replaced as a whole, and only after the log has confirmed it."""

from pathlib import Path

import msgspec

from producers import notes
from producers.iem.done import Checkpoint, Done, Of
from topics.errors import Refused


def read(path: Path, of: Of) -> Done:
    """What of this upstream stands on this log; nothing without a file. Raises Refused for a file that is no checkpoint."""
    try:
        noted = msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except FileNotFoundError:
        return Done()
    except msgspec.MsgspecError as error:
        raise Refused(f"{path} is no checkpoint of history ({error}); move it away and start again") from error
    return Done(noted) if Of(noted.base_url, noted.log) == of else Done()


def save(path: Path, done: Done, of: Of) -> None:
    """Replace the file. Raises OSError."""
    notes.replace(path, msgspec.json.format(msgspec.json.encode(done.checkpoint(*of))))
