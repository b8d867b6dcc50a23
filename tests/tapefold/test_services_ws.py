"""How `tapefold run ws` asks for the markets of a series: with its key, and again after what may pass."""

import asyncio

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from producers.kalshi.auth import Signer, verify
from producers.kalshi.rest import asker as asking
from producers.kalshi.rest.budget import Budget
from producers.kalshi.socket import SocketSettings
from tapefold import services_ws, wiring
from tapefold.settings import Settings
from topics.catalog import RAW_KALSHI_WS
from topics.errors import Refused
from topics.log import MemoryLog

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
LIST = b'{"markets":[{"ticker":"KXHIGHNY-26AUG10-B87.5","status":"active"}],"cursor":""}'
ANSWERS = [(b"429 Too Many", b"{}"), (b"200 OK", LIST), (b"401 Unauthorized", b"")]  # the last to the handshake


def test_the_listing_is_signed_and_asked_for_again(monkeypatch):
    """A storm at the start costs a retry, and the calls draw on the account's rate."""
    real = asking.Backoff
    monkeypatch.setattr(asking, "Backoff", lambda: real(base_s=0.001, cap_s=0.01))
    requests, answers = [], list(ANSWERS)

    async def serve(reader, writer):
        requests.append((await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n"))
        status, body = answers.pop(0)
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body))
        await writer.drain()
        writer.close()

    async def record():
        log = MemoryLog()
        log.create({RAW_KALSHI_WS: {}}, 1)
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            settings = Settings(kalshi_rest_url=f"http://{host}/trade-api/v2")
            configuration = SocketSettings(url=f"ws://{host}/x", partitions=1, series=("KXHIGHNY",))
            await services_ws._record(settings, configuration, Signer("k", PEM), log.appender(), until_closed=True)

    with pytest.raises(Refused, match="handshake"):
        asyncio.run(record())
    paths = [lines[0].split()[1].partition("?")[0] for lines in requests]
    assert ["/trade-api/v2/markets", "/trade-api/v2/markets", "/x"] == paths
    for path, lines in zip(paths, requests, strict=True):
        headers = {name.upper(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        verify(KEY.public_key(), headers, "GET", path, int(headers["KALSHI-ACCESS-TIMESTAMP"]), 0)
        assert abs(wiring.now_ms() - int(headers["KALSHI-ACCESS-TIMESTAMP"])) < 60_000


@pytest.mark.parametrize(
    ("caller", "signed", "tier"), [("ws", True, "basic"), ("rest", True, "basic"), ("rest", False, "unsigned")]
)
def test_each_process_has_its_part_of_the_account_s_rate(caller, signed, tier):
    """The shards of `run ws` share one part, `run rest` has what they leave."""
    asker = services_ws.asker_of(Settings(ws_shard_count=8), None, caller, print, signed=signed)
    expected = Budget(tier, 0.0, caller=caller, shards=8)
    for budget in (asker._budget, expected):
        while not budget.draw("live", 1e9):
            pass
    assert expected.draw("live", 1e9) == asker._budget.draw("live", 1e9)
