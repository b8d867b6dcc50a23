"""`python -m src.services.rag_service`: `tapefold run rag`."""

from src.services import run

if __name__ == "__main__":
    run("run", "rag")
