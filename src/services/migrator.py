"""`python -m src.services.migrator`: `tapefold migrate`."""

from src.services import run

if __name__ == "__main__":
    run("migrate")
