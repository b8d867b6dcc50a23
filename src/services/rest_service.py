"""`python -m src.services.rest_service`: `tapefold run rest`."""

from src.services import run

if __name__ == "__main__":
    run("run", "rest")
