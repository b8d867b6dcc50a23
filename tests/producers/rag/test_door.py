"""The door to the predictor gives up in time, whatever comes."""

import asyncio

import pytest

from producers.rag.door import Door, NoAnswer


async def _dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    try:
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)
    except ConnectionError:
        writer.close()


def test_a_body_that_drips_is_no_answer() -> None:
    """Each piece comes in time, and the whole would take a day."""

    async def asked() -> None:
        server = await asyncio.start_server(_dripping, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        door = Door(f"http://127.0.0.1:{port}/ask", now_ns=lambda: 0, api_key=None, timeout_s=0.5)
        try:
            async with asyncio.timeout(30):
                await door.post(b"{}")
        finally:
            await door.aclose()
            server.close()

    with pytest.raises(NoAnswer, match="TimeoutError"):
        asyncio.run(asked())
