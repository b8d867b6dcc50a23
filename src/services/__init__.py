"""The runbooks' names of the services: `python -m src.services.rest_service` is `tapefold run rest`, and so on."""

import sys
from typing import NoReturn

from tapefold.cli import main


def run(*command: str) -> NoReturn:
    """The command of that name, with the options that follow on the command line."""
    sys.argv[:1] = ["tapefold", *command]
    main()
