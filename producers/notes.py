"""Files that a producer must find again: replaced as a whole, never seen half written."""

import os
from pathlib import Path


def replace(path: Path, data: bytes) -> None:
    """Put `data` in the place of the file, and on the disk. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # else a power cut may leave an empty file under the final name
    draft.replace(path)
