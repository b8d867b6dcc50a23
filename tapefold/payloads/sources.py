"""Which files hold payloads of which source. A source adds one reader and one line here."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tapefold.payloads import iem, kalshi_rest, kalshi_ws, tws, webhook
from tapefold.payloads.files import Payload
from topics import catalog


class Source(NamedTuple):
    """One upstream: its raw topic, the files that a folder is searched for, and their reader.

    beats: whether the fold waits for this source's beats; a load then ends with a good-bye that closes its minutes.
    """

    topic: str
    suffixes: tuple[str, ...]
    payloads: Callable[[Path], Iterator[Payload]]
    beats: bool = False


SOURCES: dict[str, Source] = {
    "iem.cli": Source(catalog.RAW_IEM_CLI, iem.CLI_SUFFIXES, iem.payloads),
    "iem.mos": Source(catalog.RAW_IEM_MOS, iem.MOS_SUFFIXES, iem.payloads),
    "kalshi.rest": Source(catalog.RAW_KALSHI_REST, kalshi_rest.SUFFIXES, kalshi_rest.payloads),
    "kalshi.ws": Source(catalog.RAW_KALSHI_WS, kalshi_ws.SUFFIXES, kalshi_ws.payloads, beats=True),
    "tws": Source(catalog.RAW_TWS, tws.SUFFIXES, tws.payloads),
    "webhook": Source(catalog.RAW_WEBHOOK, webhook.SUFFIXES, webhook.payloads),
}
