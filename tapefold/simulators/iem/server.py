"""The simulator's HTTP side: the routes of IEM that hold model output statistics and climate reports. Loopback only.

Who asks sees what is out at the tape's time. Sources of routes and forms: pylib/iemweb of akrherz/iem, iem-web-services.
"""

import asyncio
import contextlib
import random
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from datetime import UTC, datetime

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from producers.iem.clock import Clock
from stream_processors.parsers.iem.answer import time_ns
from tapefold.simulators.iem import wire
from tapefold.simulators.iem.faults import Counters, Faults, Kind
from tapefold.simulators.iem.holdings import Holdings, Product, Row
from topics.iem import LABELS
from topics.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_S

HOST = "127.0.0.1"
_MODELS = ("AVN", "ETA", "GFS", "LAV", "MEX", "NAM", "NBE", "NBS")
_API_STATIONS_MAX = 6
_API_BACK_NS = 48 * NS_PER_HOUR
_PRODUCTS_MAX = 9_999
_FAR_NS = 4_000_000_000 * NS_PER_S  # past the year 2090: "until now" for a question without an end

Handler = Callable[[Request], Awaitable[Response]]


class Refusal(Exception):
    """What the client asked for cannot be answered. status: of the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Simulator:
    """Answers from `holdings` as of `clock`, with faults drawn by `seed`."""

    def __init__(self, holdings: Holdings, clock: Clock, *, faults: Faults, seed: int) -> None:
        self.counters = Counters()
        self._holdings = holdings
        self._clock = clock
        self._faults = faults
        self._rng = random.Random(seed)  # noqa: S311  # faults, not secrets

    def app(self) -> Starlette:
        """All routes."""
        routes: list[tuple[str, Handler]] = [
            ("/cgi-bin/request/mos.py", self._mos),
            ("/api/1/mos.json", self._api_mos),
            ("/api/1/mos.txt", self._api_mos),
            ("/mos/csv.php", self._legacy),
            ("/json/cli.py", self._cli),
            ("/cgi-bin/afos/retrieve.py", self._retrieve),
            ("/api/1/nwstext/{name}", self._nwstext),
            ("/api/1/nws/afos/list.json", self._list),
            ("/geojson/network.py", self._network),
            ("/api/1/network/NWSCLI.json", self._network),
        ]
        answers = [Route(path, self._faulty(path, handler)) for path, handler in routes]
        return Starlette(routes=[*answers, Route("/health", _health)])

    def _faulty(self, path: str, handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            now_ns = self._clock.now_ns()
            count = self.counters.seen(path, now_ns)
            fault = self._faults.of(now_ns, self._rng.uniform(0.0, 1.0))
            if self._faults.limit_per_s and count > self._faults.limit_per_s:
                fault = "429"
            try:
                response = _unwell(fault) or await handler(request)
            except Refusal as error:
                response = PlainTextResponse(str(error), error.status)
            if fault is not None:
                self.counters.faults[fault] += 1
                response = _broken(fault, response)
            self.counters.statuses[response.status_code] += 1
            return response

        return answer

    # --- model output statistics --------------------------------------------------------------------------------------

    async def _mos(self, request: Request) -> Response:
        query = request.query_params
        station, model = query.get("station", "").upper(), query.get("model", "")
        form = query.get("format", "csv")
        if not re.fullmatch(r"[A-Z0-9_]{4,6}", station) or model not in _MODELS or form not in {"csv", "json"}:
            raise Refusal(422, "station, model and format: see /cgi-bin/request/mos.py?help")
        from_ns, to_ns = _time(query.get("sts", "")), _time(query.get("ets", ""))
        rows = self._rows(station, model, from_ns, to_ns)
        return PlainTextResponse(wire.mos_csv(rows) if form == "csv" else wire.mos_json(rows))

    async def _api_mos(self, request: Request) -> Response:
        stations, model = request.query_params.getlist("station"), request.query_params.get("model", "")
        known = all(re.fullmatch(r"[A-Z0-9_]{3,6}", station) for station in stations)
        if not known or not 0 < len(stations) <= _API_STATIONS_MAX or model not in _MODELS:
            raise Refusal(422, "station (1 to 6) and model")
        now_ns = self._clock.now_ns()
        runtime = request.query_params.get("runtime")
        if runtime is None:
            rows = [row for station in stations for row in self._rows(station, model, now_ns - _API_BACK_NS, now_ns)]
            last = max((str(row["runtime"]) for row in rows), default="")
            rows = [row for row in rows if row["runtime"] == last]
        else:
            run_ns = _time(runtime)
            rows = [row for station in stations for row in self._rows(station, model, run_ns, run_ns)]
        if not rows:
            raise Refusal(404, "No results found for query.")
        headers = {"Cache-Control": "public, max-age=600"}
        if request.url.path.endswith("json"):
            return Response(wire.api_json(rows), media_type="application/json", headers=headers)
        return PlainTextResponse(wire.fixed_csv(rows, wire.API_COLUMNS, comma_too_many=False), headers=headers)

    async def _legacy(self, request: Request) -> Response:
        query = request.query_params
        run_ns = _time(query.get("runtime", ""))
        rows = self._rows(query.get("station", "").upper(), query.get("model", ""), run_ns, run_ns)
        return PlainTextResponse(wire.fixed_csv(rows, wire.LEGACY_COLUMNS, comma_too_many=True))

    def _rows(self, station: str, model: str, from_ns: int, to_ns: int) -> list[Row]:
        now_ns = self._clock.now_ns()
        rows = [
            row
            for run in self._holdings.runs(station, LABELS.get(model, "GFS"), from_ns, to_ns)
            if run.out_ns <= now_ns
            for row in run.rows
        ]
        return sorted(rows, key=lambda row: (str(row["runtime"]), str(row["ftime"])))

    # --- climate reports ----------------------------------------------------------------------------------------------

    async def _cli(self, request: Request) -> Response:
        station = request.query_params.get("station", "KDSM").upper()
        year = request.query_params.get("year", "2019")
        if not re.fullmatch(r"[A-Z0-9]{4}", station) or not re.fullmatch(r"(19|20)\d\d", year):
            raise Refusal(422, "station and year")
        products = [one for one in self._out(station, 0, _FAR_NS, around=int(year)) if one.day[:4] == year]
        if request.query_params.get("fmt") == "csv":
            return PlainTextResponse(wire.cli_csv(products))
        now = datetime.fromtimestamp(self._clock.now_ns() // NS_PER_S, UTC)
        return Response(wire.cli_json(products, f"{now:%Y-%m-%dT%H:%M:%SZ}"), media_type="application/json")

    async def _retrieve(self, request: Request) -> Response:
        query = request.query_params
        pil, limit = query.get("pil", "").upper(), query.get("limit", "1")
        if not re.fullmatch(r"[A-Z0-9]{3,6}", pil) or not limit.isdigit() or not 0 < int(limit) <= _PRODUCTS_MAX:
            raise Refusal(422, "pil and limit")
        now_ns = self._clock.now_ns()
        from_ns = _time(query["sdate"]) if query.get("sdate") else 0
        to_ns = _time(query["edate"]) if query.get("edate") else now_ns + NS_PER_DAY
        products = [one for station in self._of_pil(pil) for one in self._out(station, from_ns, to_ns)]
        products.sort(key=lambda one: one.issued_ns, reverse=query.get("order", "desc") != "asc")
        return PlainTextResponse(wire.afos_text(products[: int(limit)], pil))

    async def _nwstext(self, request: Request) -> Response:
        name = request.path_params["name"]
        for station in self._holdings.stations():
            for one in self._out(station, *_around(name)):
                if one.name == name and one.text is not None:
                    return PlainTextResponse(one.text)
        raise Refusal(404, "Product not found.")

    async def _list(self, request: Request) -> Response:
        query = request.query_params
        if set(query) - {"pil", "cccc", "date"} or "date" not in query:
            raise Refusal(422, "pil, cccc and date alone: extra arguments are forbidden")
        from_ns = _time(query["date"])
        products = [
            {"index": number, "entered": one.name[:12], "pil": f"CLI{one.station[1:]}", "product_id": one.name}
            for station in self._of_pil(query.get("pil", "CLI").upper())
            for number, one in enumerate(self._out(station, from_ns, from_ns + NS_PER_DAY))
        ]
        return JSONResponse({"schema": {"fields": []}, "data": products})

    async def _network(self, request: Request) -> Response:
        sites = [
            {"sid": station, "sname": station, "network": "NWSCLI", "online": True, "climate_site": None}
            for station in self._holdings.stations()
        ]
        if request.url.path.startswith("/api"):
            return JSONResponse({"schema": {"fields": []}, "data": [{"id": one["sid"], **one} for one in sites]})
        features = [{"type": "Feature", "id": one["sid"], "geometry": None, "properties": one} for one in sites]
        return JSONResponse({"type": "FeatureCollection", "features": features, "count": len(features)})

    def _of_pil(self, pil: str) -> Sequence[str]:
        return [station for station in self._holdings.stations() if f"CLI{station[1:]}".startswith(pil)]

    def _out(self, station: str, from_ns: int, to_ns: int, *, around: int | None = None) -> list[Product]:
        now_ns = self._clock.now_ns()
        if around is not None:
            from_ns, to_ns = _time(f"{around}-01-01"), _time(f"{around + 1}-01-04")
        found = self._holdings.products(station, from_ns, min(to_ns, now_ns + 1))
        return [one for one in found if one.out_ns <= now_ns]


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _time(text: str) -> int:
    try:
        return time_ns(text)
    except ValueError as error:
        raise Refusal(422, f"{error}") from error


def _around(name: str) -> tuple[int, int]:
    match = re.match(r"(\d{4})(\d\d)(\d\d)\d{4}-", name)
    if match is None:
        raise Refusal(422, "product id")
    day_ns = _time("-".join(match.groups()))
    return day_ns, day_ns + NS_PER_DAY


def _unwell(fault: Kind | None) -> Response | None:
    """The answers that have nothing to do with what was asked."""
    if fault == "429":
        return PlainTextResponse("Too many requests from your IP address, slow down.", 429)
    if fault == "503":
        return PlainTextResponse("ERROR: Query took too long to complete", 503)
    if fault == "500":
        return PlainTextResponse("Oopsy", 500)
    return PlainTextResponse("ERROR: the database is busy") if fault == "error" else None


def _broken(fault: Kind, response: Response) -> Response:
    """The answers whose body is not what it was."""
    body = bytes(response.body)
    if response.status_code != 200 or fault not in {"empty", "truncate", "cut"}:  # noqa: PLR2004  # OK
        return response
    if fault == "cut":
        return StreamingResponse(_cut(body), headers={"Content-Length": str(len(body) + 1)})
    if fault == "truncate":
        return Response(body[: len(body) * 2 // 3 + 7], media_type=response.media_type)
    empty = b"[]" if body[:1] == b"[" else b'{"results":[]}' if body[:1] == b"{" else body.partition(b"\n")[0] + b"\n"
    return Response(empty, media_type=response.media_type)


async def _cut(body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    await asyncio.sleep(0)


class _Server(uvicorn.Server):
    """Leaves the signals to whoever runs it, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


async def serve(simulator: Simulator, *, port: int, on_ready: Callable[[str], None], stop: asyncio.Event) -> None:
    """Serve on the loopback until `stop`. port: 0 takes a free one. on_ready: told the base URL. Raises OSError."""
    # With its protocol named, asyncio turns off Nagle's algorithm: else each answer waits 40 ms for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    server = _Server(uvicorn.Config(simulator.app(), log_level="critical", lifespan="off"))
    task = asyncio.create_task(server.serve([listener]))
    await server.listens.wait()
    on_ready(f"http://{HOST}:{listener.getsockname()[1]}")
    await stop.wait()
    server.should_exit = True
    await task
