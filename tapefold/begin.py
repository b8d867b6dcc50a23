"""How every command begins: its settings, its logs, the folder of its state, and whose child it is."""

import os
from pathlib import Path

from tapefold import services, wiring
from tapefold.settings import DEFAULT_STATE_DIR, Settings, load_settings


def state_dir(given: Path, settings: Settings) -> Path:
    """The folder named on the command line, else that of the settings; it is there afterwards."""
    chosen = settings.tapefold_state_dir if given == DEFAULT_STATE_DIR else given
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen.resolve()


def service(name: str) -> Settings:
    """Settings of a service whose logs bear its name, and which ends with the process that started it."""
    settings = load_settings()
    wiring.configure_logging(settings, name)
    if parent := os.environ.get(services.PARENT_VARIABLE):
        services.follow_parent(int(parent))
    return settings
