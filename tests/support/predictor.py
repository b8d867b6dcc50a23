"""A predictor over HTTP, as scripted: what it is asked is kept, what it answers is given."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, bytes]


def agreeing(question: dict[str, Any]) -> Reply:
    """0.25 for every market."""
    told = [{"market_ticker": row["market_ticker"], "probability_yes": 0.25} for row in question["markets"]]
    return 200, json.dumps({"model_version": "m1", "predictions": told}).encode()


class Predictor:
    """url: where it is asked. questions, keys: what it was asked, with which authorization. reply: what it says next.

    headers: that it says beside it.
    """

    def __init__(self) -> None:
        self.url = ""
        self.questions: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.reply: Callable[[dict[str, Any]], Reply] = agreeing
        self.headers: dict[str, str] = {}


@contextlib.contextmanager
def predicting() -> Iterator[Predictor]:
    """One that runs, agreeing until told otherwise."""
    predictor = Predictor()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            predictor.questions.append(question)
            predictor.keys.append(self.headers["Authorization"])
            status, body = predictor.reply(question)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in predictor.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        predictor.url = f"http://127.0.0.1:{server.server_port}/predict"
        try:
            yield predictor
        finally:
            server.shutdown()
            thread.join()
