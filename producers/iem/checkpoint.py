"""The file in which history notes what is done: replaced as a whole, and only after the log has confirmed it."""

import os
from pathlib import Path

import msgspec

from producers.iem.done import Checkpoint, Done
from topics.errors import Refused


def read(path: Path, base_url: str) -> Done:
    """What was completed of this upstream; nothing without a file. Raises Refused for a file that is no checkpoint."""
    try:
        noted = msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except FileNotFoundError:
        return Done()
    except msgspec.MsgspecError as error:
        raise Refused(f"{path} is no checkpoint of history ({error}); move it away and start again") from error
    return Done(noted) if noted.base_url == base_url else Done()


def save(path: Path, done: Done, base_url: str) -> None:
    """Replace the file. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(done.checkpoint(base_url))))
        file.flush()
        os.fsync(file.fileno())  # else a power cut may leave an empty file under the final name
    draft.replace(path)
