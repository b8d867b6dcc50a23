"""`python -m tapefold` is the command `tapefold`."""

from tapefold.cli import main

main()
