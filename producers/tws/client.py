"""One connection to TWS or the Gateway. The only module that imports ib_async.

ib_async connects, keeps the protocol and its 45 messages a second; what comes back is taken off its socket by `tap`, since
its own answers hide what went wrong: an error, a missing answer and a true "there is none" are all an empty list.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

import structlog
from ib_async import IB, Contract, StartupFetchNONE

from producers.tws import tap
from producers.tws.contracts import Spec
from producers.tws.recorder import Recorder
from producers.tws.tap import Message, Tap
from topics import tws_codes
from topics.errors import Unavailable
from topics.tws import TwsReason, TwsRequest

_EPOCH_SECONDS = 2  # formatDate: times as seconds since 1970, which no zone of TWS can shift
_MAY_STILL_COME = 165  # "query message": no answer yet, perhaps none ever

log = structlog.get_logger("TwsClient")


class TwsUnavailable(Unavailable):
    """No connection to TWS, or it ended."""

    def __init__(self, detail: str) -> None:
        super().__init__("TWS", detail)


class Answer(NamedTuple):
    """What came of a request. starts_s: of its bars; None: no answer came, and `reason` says why.

    code, text: the last that TWS said of this request.
    """

    starts_s: list[int] | None
    reason: TwsReason | None = None
    code: int | None = None
    text: str | None = None


class Line(NamedTuple):
    """What TWS said of its own line to Interactive Brokers. restored: None, it is lost; else whether data was kept."""

    code: int
    text: str
    restored: bool | None


class TwsClient:
    """Connect, ask, listen. recorder: takes what comes, and stamps it. on_line, on_live: told of what was not asked for.

    `listen` must run beside everything else; it ends with TwsUnavailable when the connection does.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        on_line: Callable[[Line], None],
        on_live: Callable[[int, TwsReason], None],
    ) -> None:
        self._ib = IB()
        self._recorder = recorder
        self._on_line = on_line
        self._on_live = on_live
        self._tap = Tap()
        self._chunks: asyncio.Queue[tuple[bytes, int] | None] = asyncio.Queue()
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._words: dict[int, tuple[int, str]] = {}
        self._last_error: tuple[int, str] | None = None
        self._con_ids: dict[str, int] = {}
        # Whatever an event's handler raises, the library logs and drops: so these only put things down.
        self._ib.client.conn.hasData += self._put
        self._ib.client.conn.disconnected += self._ended
        logging.getLogger("ib_async").setLevel(logging.CRITICAL)  # it repeats what we log with its request

    def _put(self, data: bytes) -> None:
        self._chunks.put_nowait((data, self._recorder.now_ns()))

    def _ended(self, _: str) -> None:
        self._chunks.put_nowait(None)

    async def connect(self, host: str, port: int, client_id: int, timeout_s: float) -> None:
        """Connect for reading only. Raises TwsUnavailable with what TWS said."""
        try:
            await self._ib.connectAsync(
                host, port, clientId=client_id, timeout=timeout_s, readonly=True, fetchFields=StartupFetchNONE
            )
        except (OSError, TimeoutError) as error:
            self._drain()  # what came before the end tells why
            said = f"{type(error).__name__} {error}".strip()
            if self._last_error is not None:
                said = "{} {}".format(*self._last_error)
            log.warning("connect failed", host=host, port=port, client_id=client_id, said=said)
            raise TwsUnavailable(f"{host}:{port}: {said}; is it running and logged in, its API port open?") from error
        self._drain()
        log.info("connected", host=host, port=port, client_id=client_id, server=self._ib.client.serverVersion())

    def close(self) -> None:
        """Let go of the socket."""
        self._ib.disconnect()

    async def listen(self) -> None:
        """Record what comes, for ever. Raises TwsUnavailable when the connection ends, and what the recorder raises."""
        while True:
            chunk = await self._chunks.get()
            if chunk is None:
                self._end_all(Answer(None, "disconnected"))
                raise TwsUnavailable("the connection ended")
            self._hear(*chunk)

    def _drain(self) -> None:
        while not self._chunks.empty():
            chunk = self._chunks.get_nowait()
            if chunk is None:
                self._chunks.put_nowait(None)  # for `listen`
                return
            self._hear(*chunk)

    async def contract_id(self, spec: Spec, timeout_s: float) -> tuple[int | None, Answer]:
        """Interactive Brokers' id of a contract, asked for once in a connection; or why there is none."""
        if spec.symbol in self._con_ids:
            return self._con_ids[spec.symbol], Answer([])
        try:
            req_id = self._ib.client.getReqId() + 1  # of the request that comes next
            found = await asyncio.wait_for(self._ib.reqContractDetailsAsync(_contract(spec, None)), timeout_s)
        except TimeoutError:
            return None, Answer(None, "timeout")
        except ConnectionError:
            return None, Answer(None, "disconnected")
        self._drain()  # an error came with the end of the answer
        code, text = self._words.pop(req_id, (None, None))
        ids = {one.contract.conId for one in found if one.contract is not None}
        if len(ids) == 1:
            self._con_ids[spec.symbol] = ids.pop()
            return self._con_ids[spec.symbol], Answer([])
        if code is not None and text is not None:
            return None, Answer(None, tws_codes.reason_of(code, text) or "unknown_contract", code, text)
        return None, Answer(None, "unknown_contract", None, f"expected one contract for {spec.symbol}, were {len(ids)}")

    async def history(self, spec: Spec, request: TwsRequest, timeout_s: float) -> Answer:
        """Ask, and wait for bars, an error, or neither."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        try:
            req_id = self._ask(spec, request, future)
        except ConnectionError:
            return Answer(None, "disconnected")
        try:
            answer = await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            self._cancel(req_id)
            code, text = self._words.get(req_id, (None, None))
            answer = Answer(None, "timeout", code, text)
        finally:
            self._waiting.pop(req_id, None)
            self._words.pop(req_id, None)
        log.info(
            "history",
            req_id=req_id,
            symbol=request.symbol,
            end=request.end,
            duration=request.duration,
            bars=None if answer.starts_s is None else len(answer.starts_s),
            reason=answer.reason,
            code=answer.code,
            text=answer.text,
        )
        return answer

    def live(self, spec: Spec, request: TwsRequest) -> tuple[int, "asyncio.Future[Answer]"]:
        """Ask for bars that go on; the future is the first answer. Raises ConnectionError."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        return self._ask(spec, request, future), future

    def _ask(self, spec: Spec, request: TwsRequest, future: "asyncio.Future[Answer]") -> int:
        client = self._ib.client
        req_id = client.getReqId()
        self._recorder.asked(req_id, request)
        self._waiting[req_id] = future
        client.reqHistoricalData(
            req_id,
            _contract(spec, request.con_id),
            request.end or "",
            request.duration or "1 D",
            request.bar_size,
            request.what_to_show,
            bool(request.use_rth),
            _EPOCH_SECONDS,
            request.keep_up_to_date,
            [],
        )
        return req_id

    def _cancel(self, req_id: int) -> None:
        if self._ib.client.isReady():
            self._ib.client.cancelHistoricalData(req_id)

    # --- what comes ---------------------------------------------------------------------------------------------------

    def _hear(self, data: bytes, received_ns: int) -> None:
        for message in self._tap.receive(data):
            self._recorder.server = self._tap.server
            self._recorder.message(message, received_ns)
            if message.number == tap.ANSWER:
                self._answered(message.req_id, Answer(message.starts_s()))
            elif message.number == tap.ERROR:
                self._error(message)

    def _error(self, message: Message) -> None:
        fields = message.body.decode("utf-8", "backslashreplace").split("\0")
        if len(fields) < 5 or not fields[3].isdigit():  # noqa: PLR2004  # 4, version, request, code, text
            return  # it is on the log as it came, where the parser refuses it
        code, text = int(fields[3]), fields[4]
        reason = tws_codes.reason_of(code, text)
        tell = log.info if reason is None else log.warning
        tell("TWS error", code=code, text=text, req_id=message.req_id, reason=reason)
        if reason is not None:
            self._last_error = (code, text)
        req_id = message.req_id
        if code in tws_codes.LOST or code in tws_codes.RESTORED:
            if code in tws_codes.LOST:
                self._end_all(Answer(None, "connectivity", code, text))  # TWS itself leaves them open for ever
            self._on_line(Line(code, text, None if code in tws_codes.LOST else code == tws_codes.DATA_KEPT))
        elif req_id is not None:
            self._words[req_id] = (code, text)
            if (
                reason is not None
                and code != _MAY_STILL_COME
                and not self._answered(req_id, Answer(None, reason, code, text))
            ):
                self._on_live(req_id, reason)

    def _end_all(self, answer: Answer) -> None:
        for req_id in list(self._waiting):
            self._answered(req_id, answer)

    def _answered(self, req_id: int | None, answer: Answer) -> bool:
        future = None if req_id is None else self._waiting.get(req_id)
        if future is None or future.done():
            return False
        future.set_result(answer)
        return True


def _contract(spec: Spec, con_id: int | None) -> Contract:
    return Contract(
        conId=con_id or 0,
        symbol=spec.symbol,
        secType=spec.sec_type,
        exchange=spec.exchange,
        currency=spec.currency,
        lastTradeDateOrContractMonth=spec.expiry,
    )
