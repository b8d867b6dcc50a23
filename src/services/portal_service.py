"""`python -m src.services.portal_service`: `tapefold run portal`."""

from src.services import run

if __name__ == "__main__":
    run("run", "portal")
