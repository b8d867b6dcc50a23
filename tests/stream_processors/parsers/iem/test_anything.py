"""Recorded answers, mutated: whatever comes in, facts or refusals come out, soon, and both can be written."""

import random
from pathlib import Path

import pytest

from stream_processors.ingest import ingest
from topics.catalog import DEAD, RAW_IEM_CLI, RAW_IEM_MOS
from topics.codec import decode_dead, decode_fact
from topics.log import Record

DATA = Path(__file__).resolve().parents[4] / "tests/data"
NASTY = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b'"',
    b",",
    b"\n",
    b"999",
    b"-99",
    b"1e400",
    b"9" * 5_000,
    b"[" * 50,
    b"\\ud800",
    b"M",
    b"T",
    b"9999-99-99",
    b"0000-00-00",
    b"9999",
    b"0001",
)
SENTINELS = (b"9999", b"-9999", b"999", b"-999.0", b"M", b"MM", b"T", b"null", b"", b" ")
SEPARATORS = b',:;\n"{}[]'
HEADERS = (("kind", b"frame"), ("conn", b"c"), ("received_ns", b"1795000000000000000"), ("clock", b"wall"))


def corpus(folder):
    """Each file, cut to what a mutation can reach soon, and answers that are none."""
    files = [path.read_bytes()[:6_000] for path in sorted((DATA / folder).iterdir())]
    return [
        *files,
        b'{"results":[]}',
        b"[]",
        b"ERROR: Could not Find: CLIMIA",
        b'{"schema":{},"data":[{"station":"KMIA"}]}',
    ]


def mutated(rng, value):
    """A few cuts, swaps, insertions and flips, and cells that say that there is no value."""
    body = bytearray(value)
    for _ in range(rng.randint(1, 6)):
        at, end = sorted(rng.randrange(len(body) + 1) for _ in range(2))
        match rng.randrange(6):
            case 0:
                del body[at : min(end, at + 200)]
            case 1:
                body[at:at] = rng.choice(NASTY)
            case 2 if body:
                body[rng.randrange(len(body))] = rng.randrange(256)
            case 3:
                body[at:at] = body[at : min(end, at + 300)]
            case 4:
                first, last = cell_at(body, at)
                body[first:last] = rng.choice(SENTINELS)
            case _:
                body = body[: max(at, 1)]
    return bytes(body)


def cell_at(body, at):
    """Where the cell around a place begins and ends: of CSV and JSON, or a word of a text's line."""
    separators = SEPARATORS + (b" " if b"CLIMATE" in body else b"")
    first = at
    while first > 0 and body[first - 1] not in separators:
        first -= 1
    last = at
    while last < len(body) and body[last] not in separators:
        last += 1
    return first, last


def survive(topic, folder, url, seed, count):
    """Feed `count` mutations to the stage that runs live."""
    rng = random.Random(seed)
    values = corpus(folder)
    facts = dead = 0
    for number in range(count):
        value = mutated(rng, rng.choice(values))
        headers = (*HEADERS, ("status", rng.choice((b"200", b"200", b"503"))), ("url", url if number % 2 else b""))
        for output in ingest(topic, 0, 1, [Record(topic, 0, number, 0, None, headers, value)]):
            if output.topic == DEAD:
                decode_dead(output.value)
                dead += 1
            else:
                decode_fact(output.value)
                facts += 1
    return facts, dead


CASES = [
    (RAW_IEM_MOS, "iem-mos", b"https://x/cgi-bin/request/mos.py?station=KNYC&model=NBS&sts=2025-10-14&ets=2025-10-15"),
    (RAW_IEM_CLI, "iem-cli", b"https://x/json/cli.py?station=KNYC&year=2025"),
]


@pytest.mark.parametrize(("topic", "folder", "url"), CASES, ids=["mos", "cli"])
def test_2000_mutated_answers_are_facts_or_refusals(topic, folder, url):
    """Never an exception, never a hang, never a fact that the log's codec does not read back."""
    facts, dead = survive(topic, folder, url, 1, 2_000)
    assert facts > 1_000
    assert dead > 100


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(("topic", "folder", "url"), CASES, ids=["mos", "cli"])
def test_100000_mutated_answers_are_facts_or_refusals(topic, folder, url):
    """The same for longer, by another seed."""
    facts, dead = survive(topic, folder, url, 2, 100_000)
    assert facts > 50_000
    assert dead > 5_000
