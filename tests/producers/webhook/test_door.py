"""The HTTP door under senders that are slow, endless, or wrong about HTTP itself. On a log in memory."""

import asyncio
import contextlib
import time

import pytest

from producers.webhook.door import Limits
from producers.webhook.providers import provider_of
from producers.webhook.receiver import Policy
from producers.webhook.schemes import Tolerance
from producers.webhook.service import Address, Service, check_address
from tapefold.simulators.webhook.events import Mix, deliveries
from tapefold.simulators.webhook.sender import Plan, read_answer, run, target_of
from tapefold.simulators.webhook.signing import signed
from topics.catalog import H_KIND, RAW_WEBHOOK
from topics.codec import decode_beat_notice, decode_coverage_notice
from topics.errors import Refused, SettingsError
from topics.log import MemoryLog, all_records
from topics.storer import MemoryStorer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
POLICY = Policy(tolerance=Tolerance(300, 300), horizon_s=600)
QUICK = Limits(head_s=0.3, body_s=0.3, idle_s=1.0, body_bytes_max=10_000, connections_max=1_000)


def now_s():
    return time.time_ns() // 10**9  # noqa: TID251  # the sender's wall


class Opened:
    """A service that listens, and what it said."""

    def __init__(self, tmp_path, limits):
        self.log = MemoryLog()
        self.log.create({RAW_WEBHOOK: {}}, 2)
        self.urls = []
        self.service = Service(
            Address("127.0.0.1", 0),
            POLICY,
            limits,
            log=self.log,
            make_storer=lambda: MemoryStorer(self.log),
            folder=tmp_path,
            senders={"pay": provider_of("pay", "standard", [SECRET])},
            conn="c",
            now_ns=time.time_ns,  # noqa: TID251  # the receiver's wall
            on_event=lambda *_, **__: None,
            on_ready=self.urls.append,
        )

    def told(self, kind):
        """The records of one kind."""
        return [record for record in all_records(self.log, [RAW_WEBHOOK]) if (H_KIND, kind) in record.headers]

    @property
    def url(self):
        """Of its one provider."""
        return f"{self.urls[0]}/webhooks/pay"

    @property
    def outcomes(self):
        """What was counted."""
        return self.service._counts.outcomes

    async def connect(self):
        """A connection to the door."""
        target = target_of(self.url)
        return await asyncio.open_connection(target.host, target.port)

    async def ask(self, raw, timeout_s=20.0):
        """Send bytes; the status of the answer, 0 when there was none."""
        reader, writer = await self.connect()
        with contextlib.suppress(OSError):
            writer.write(raw)
            await writer.drain()
        try:
            return (await asyncio.wait_for(read_answer(reader), timeout_s))[0]
        except (OSError, EOFError):
            return 0
        finally:
            writer.close()


def play(tmp_path, story, limits=QUICK):
    async def whole():
        opened = Opened(tmp_path, limits)
        stop = asyncio.Event()
        serving = asyncio.ensure_future(opened.service.run(stop))
        while not (opened.urls and opened.service._receiver.ready):  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0.01)
        await story(opened)
        stop.set()
        await serving

    asyncio.run(whole())


def request(body, event_id="msg_1", path="/webhooks/pay", length=None):
    headers = signed("standard", SECRET, event_id, body, now_s())
    lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body) if length is None else length}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_requests_of_all_kinds_are_answered_as_they_deserve(tmp_path):
    """The simulator's whole mix: every answer is the expected one, and the log holds what was acknowledged."""

    async def story(opened):
        mix = Mix(duplicate=0.1, conflict=0.1, unreadable=0.1, wrong=0.1, old=0.1, future=0.1)
        plan = Plan(scheme="standard", secret=SECRET, count=600)
        source = deliveries(3, "standard", mix)
        report = await run(opened.url, plan, source, now_s=now_s, stop=asyncio.Event())
        assert (0, set()) == (report.unexpected, report.given_up)
        assert len({kind for kind, _ in report.answers}) == 7
        assert report.acknowledged == {dict(record.headers)["webhook_id"].decode() for record in opened.told(b"frame")}

    play(tmp_path, story)


def test_a_service_says_when_it_listened_and_to_whom(tmp_path):
    """From its start to its stop, beats on every partition; nothing that came lies outside."""
    listened = []

    async def story(opened):
        listened.append(opened)
        assert 202 == await opened.ask(request(b'"x"'))

    play(tmp_path, story)
    (opened,) = listened
    begun, ended = [decode_coverage_notice(record.value) for record in opened.told(b"coverage")]
    assert ("pay", None, "pay", "stop") == (
        begun.market_ticker, begun.ended_ns, ended.market_ticker, ended.ended_by,
    )  # fmt: skip
    (event,) = opened.told(b"frame")
    assert begun.started_ns == ended.started_ns < int(dict(event.headers)["received_ns"]) < ended.ended_ns
    beats = [(record.partition, decode_beat_notice(record.value)) for record in opened.told(b"beat")]
    assert {(0, False), (1, False), (0, True), (1, True)} == {(partition, beat.bye) for partition, beat in beats}


def test_a_body_at_the_limit_passes_and_one_byte_more_does_not(tmp_path):
    """Announced, and in chunks that announce nothing."""

    async def story(opened):
        body = b'"' + b"x" * 9_998 + b'"'
        assert 202 == await opened.ask(request(body))
        assert 413 == await opened.ask(request(body + b" "))
        chunked = request(b"", length=0).replace(b"content-length: 0", b"transfer-encoding: chunked")
        assert 413 == await opened.ask(chunked + b"2711\r\n" + b"x" * 10_001 + b"\r\n0\r\n\r\n")
        assert 413 == await opened.ask(request(b"", length=10**15))

    play(tmp_path, story)


def test_a_body_of_a_gibibyte_is_answered_before_it_is_read(tmp_path):
    """413, and what was taken of it is a thousandth."""

    async def story(opened):
        plan = Plan(scheme="standard", secret=SECRET, count=0, huge_bytes=2**30)
        report = await run(opened.url, plan, deliveries(1, "standard", Mix()), now_s=now_s, stop=asyncio.Event())
        assert 413 == report.huge["status"]
        assert 2**25 > report.huge["bytes_sent"]
        assert 1 == opened.outcomes["too_large"]

    play(tmp_path, story)


def test_a_large_body_to_nowhere_is_not_read_either(tmp_path):
    """A 404 that is sent before the body has come closes the connection."""

    async def story(opened):
        reader, writer = await opened.connect()
        writer.write(request(b"", path="/elsewhere", length=10**9))
        assert 404 == (await read_answer(reader))[0]
        with contextlib.suppress(OSError):
            for _ in range(1_000):
                writer.write(b"x" * 65_536)
                await asyncio.wait_for(writer.drain(), 5)
                await asyncio.sleep(0.005)
            pytest.fail("64 MiB were taken")

    play(tmp_path, story)


def test_a_head_that_does_not_come_is_cut(tmp_path):
    """Silent, or a byte now and then: each byte does not begin the time anew. An honest sender gets through."""

    async def story(opened):
        reader, writer = await opened.connect()

        async def drip():
            for byte in b"POST /webhooks/pay HTTP/1.1\r\nhost: " + b"x" * 400:
                writer.write(bytes((byte,)))
                await asyncio.sleep(0.05)

        dripping = asyncio.ensure_future(drip())
        assert b"HTTP/1.1 408" == (await asyncio.wait_for(reader.read(12), 10))
        dripping.cancel()
        assert 1 == opened.outcomes["slow_header"]
        assert 200 == await opened.ask(request(b"{}"))

    play(tmp_path, story)


def test_a_second_head_has_its_time_too(tmp_path):
    """On a kept connection, from its first byte on."""

    async def story(opened):
        reader, writer = await opened.connect()
        writer.write(request(b"{}"))
        assert (200, True) == await read_answer(reader)
        writer.write(b"POST /web")
        assert b"HTTP/1.1 408" == (await asyncio.wait_for(reader.read(), 5))[:12]

    play(tmp_path, story)


def test_a_body_that_does_not_come_is_cut(tmp_path):
    """The announced length is a lie, or the sender drips."""

    async def story(opened):
        assert 408 == await opened.ask(request(b"{}", length=100))
        assert 1 == opened.outcomes["slow_body"]
        assert 408 == await opened.ask(
            request(b"", length=0).replace(b"content-length: 0", b"transfer-encoding: chunked") + b"5\r\nab"
        )

    play(tmp_path, story)


def test_an_idle_connection_is_closed_in_silence(tmp_path):
    """After an answer nothing is due; it may idle for its time."""

    async def story(opened):
        reader, writer = await opened.connect()
        writer.write(request(b"{}"))
        await read_answer(reader)
        assert b"" == await asyncio.wait_for(reader.read(), 10)
        assert 0 == opened.outcomes["slow_header"]

    play(tmp_path, story)


def test_the_longest_waiting_gives_way_when_there_are_too_many(tmp_path):
    """Ten places, thirty silent sockets: an honest sender gets through each time."""

    async def story(opened):
        silent = [await opened.connect() for _ in range(30)]
        for number in range(5):
            assert 200 == await opened.ask(request(b"{}", event_id=f"m{number}"))
        assert 20 <= opened.outcomes["crowded_out"]
        for _, writer in silent:
            writer.close()

    play(tmp_path, story, Limits(head_s=30.0, connections_max=10))


def test_honest_senders_are_served_beside_500_slow_ones(tmp_path):
    """All their requests are answered with 200, at once or after a cut of the slow ones."""

    async def story(opened):
        plan = Plan(scheme="standard", secret=SECRET, count=300, connections=5, slow=500)
        report = await run(opened.url, plan, deliveries(1, "standard", Mix()), now_s=now_s, stop=asyncio.Event())
        assert {("honest", 200): 300} == dict(report.answers)

    play(tmp_path, story, Limits(head_s=2.0, connections_max=1_000))


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /webhooks/pay HTTP/1.1\r\nhost: x\r\n\r\n", 405),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", 404),
        (b"nonsense\r\n\r\n", 400),
        (b"POST /webhooks/pay HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST /webhooks/pay HTTP/1.1\r\nx: " + b"y" * 40_000, 400),
        (b"POST /webhooks/%ff%00 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", 404),
    ],
    ids=["method", "path", "no HTTP", "length", "head too long", "odd path"],
)
def test_wrong_http_is_answered_and_the_door_stays_open(tmp_path, raw, status):
    """Then an honest request passes."""

    async def story(opened):
        assert status == await opened.ask(raw)
        assert 200 == await opened.ask(request(b"{}"))
        assert (status == 400) == bool(opened.outcomes["no_http"])

    play(tmp_path, story)


def test_requests_that_come_at_once_on_one_connection_are_answered_in_order(tmp_path):
    """Pipelined, as HTTP/1.1 allows."""

    async def story(opened):
        reader, writer = await opened.connect()
        writer.write(request(b"{}", "a") + request(b"{}", "a") + request(b"no", "c"))
        assert [200, 200, 202] == [(await read_answer(reader))[0] for _ in range(3)]

    play(tmp_path, story)


def test_a_stop_answers_what_has_begun(tmp_path):
    """A request whose body is under way is served to its end."""

    async def story(opened):
        reader, writer = await opened.connect()
        whole = request(b'{"a": 1}')
        writer.write(whole[:-3])
        await asyncio.sleep(0.05)
        asyncio.get_running_loop().call_later(0.1, writer.write, whole[-3:])
        opened.kept = writer  # a writer that is collected closes its connection
        opened.answer = asyncio.ensure_future(read_answer(reader))
        opened.answer.add_done_callback(lambda done: codes.append(done.result()[0]))

    codes = []
    play(tmp_path, story, Limits())
    assert [200] == codes


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com"])
def test_unverified_requests_come_from_this_machine_alone(host):
    """WEBHOOK_VERIFY=off with another address is refused."""
    off = Policy(tolerance=Tolerance(1, 1), horizon_s=9, verified=False)
    with pytest.raises(SettingsError, match="loopback"):
        check_address(Address(host, 0), off)
    check_address(Address(host, 0), POLICY)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.0.1"])
def test_loopback_addresses_may_go_unverified(host):
    """For local tests."""
    check_address(Address(host, 0), Policy(tolerance=Tolerance(1, 1), horizon_s=9, verified=False))


def test_a_port_that_is_taken_is_named(tmp_path):
    """With what to do."""

    async def story(opened):
        port = target_of(opened.url).port
        opened.service._address = Address("127.0.0.1", port)
        with pytest.raises(Refused, match=f"127.0.0.1:{port} cannot be listened on"):
            await opened.service.run(asyncio.Event())

    play(tmp_path, story)
