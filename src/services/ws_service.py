"""`python -m src.services.ws_service`: `tapefold run ws`."""

from src.services import run

if __name__ == "__main__":
    run("run", "ws")
