"""`/health` for people, `/healthz` and `/health?format=json` for machines, on the loopback. It looks when it is asked."""

import html
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import structlog

from tapefold import wiring
from tapefold.local.state import HOST
from tapefold.portal.health import Card, Moves, look, status_of
from tapefold.settings import Settings
from topics.errors import Refused

PORT = 8403
_FRESH_S = 1.0  # one look answers all who ask within it
_COLOURS = {"GREEN": "#1a7f37", "RED": "#b42318", "IDLE": "#667085"}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Tapefold: STATUS</title>
<meta name="viewport" content="width=device-width"><style>
body { font: 16px/1.4 system-ui, sans-serif; margin: 2rem; color: #101828; background: #f9fafb }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); gap: 1rem }
section { background: #fff; border: 1px solid #d0d5dd; border-left: .5rem solid; border-radius: .4rem; padding: .8rem }
h2 { font-size: 1rem; margin: 0 } p { margin: .3rem 0 0; color: #344054; overflow-wrap: anywhere }
</style></head><body><h1>Tapefold: STATUS</h1><main>
CARDS</main></body></html>
"""
_CARD = """<section style="border-left-color: {colour}"><h2>{name}: {status}</h2><p>{text}</p></section>
"""


def page(cards: list[Card]) -> str:
    """The cards as HTML, those that are RED first."""
    ordered = sorted(cards, key=lambda card: card.status != "RED")
    shown = "".join(
        _CARD.format(
            colour=_COLOURS[card.status], name=html.escape(card.name), status=card.status, text=html.escape(card.text)
        )
        for card in ordered
    )
    return _PAGE.replace("STATUS", status_of(cards)).replace("CARDS", shown)


class Looks:
    """The latest look, taken anew by whoever asks when it is older than a moment."""

    def __init__(self, take: Callable[[], list[Card]]) -> None:
        self._take = take
        self._lock = threading.Lock()
        self._cards: list[Card] = []
        self._taken_s = -_FRESH_S

    def cards(self) -> list[Card]:
        """What is so now."""
        with self._lock:
            if time.monotonic() - self._taken_s >= _FRESH_S:
                self._cards = self._take()
                self._taken_s = time.monotonic()
            return self._cards


class Handler(BaseHTTPRequestHandler):
    """One request after another of one connection. looks: where the cards come from."""

    timeout = 10.0
    server_version = "tapefold"
    sys_version = ""

    def __init__(self, *args: object, looks: Looks) -> None:
        self._looks = looks
        super().__init__(*args)  # type: ignore[arg-type]  # as the server gives them

    def do_GET(self) -> None:
        """The health, in the form that was asked for."""
        address = urlsplit(self.path)
        for_machines = address.path == "/healthz" or parse_qs(address.query).get("format") == ["json"]
        if address.path not in {"/", "/health", "/healthz"}:
            self._answer(404, "text/plain", b"expected /health or /healthz\n")
            return
        cards = self._looks.cards()
        if not for_machines:
            self._answer(200, "text/html; charset=utf-8", page(cards).encode())
            return
        status = status_of(cards)
        body = msgspec.json.encode({"status": status, "cards": [card._asdict() for card in cards]})
        self._answer(503 if status == "RED" else 200, "application/json", body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        """A request is no event."""

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Portal(ThreadingHTTPServer):
    """Listens on the loopback from the start; `port` 0 takes a free one. Raises Refused for a port that is held."""

    daemon_threads = True

    def __init__(self, port: int, take: Callable[[], list[Card]]) -> None:
        try:
            super().__init__((HOST, port), partial(Handler, looks=Looks(take)))
        except OSError as error:
            raise Refused(f"WEB_PORTAL_PORT: {HOST}:{port} cannot be listened on: {error}; choose another") from error
        self.url = f"http://{HOST}:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Says what went wrong with one request; whoever asked has no answer, and the next one may."""
        del request
        structlog.get_logger("portal").exception("portal_request_failed", client=str(client_address))


def run(settings: Settings, state_dir: Path, say: Callable[[str], None]) -> None:
    """Answer until SIGTERM. Raises Refused."""
    moves = Moves()
    port = PORT if settings.web_portal_port is None else settings.web_portal_port
    with (
        wiring.stop_on_signals() as stop,
        Portal(port, lambda: look(settings, state_dir, moves, wiring.now_ns())) as portal,
    ):
        thread = threading.Thread(target=portal.serve_forever, name="portal", daemon=True)
        thread.start()
        say(f"PORTAL_URL={portal.url}/health")
        stop.wait()
        portal.shutdown()
        thread.join()
