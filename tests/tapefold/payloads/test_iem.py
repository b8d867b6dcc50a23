"""Recorded answers of IEM, parsed and loaded: the live parser's facts, and no invented times."""

import gzip
import json
from pathlib import Path

import pytest

from tapefold.payloads import records
from tapefold.payloads.sources import SOURCES
from topics.log import MemoryLog

DATA = Path(__file__).resolve().parents[2] / "data"
NOW_NS = 1_795_000_000 * 10**9
NBS = DATA / "iem-mos/nbs_knyc_20250128_01z.csv"


def parsed(source, *paths):
    out = []
    counts = records.parse(source, SOURCES[source], paths, None, now_ns=lambda: NOW_NS, out=out.append)
    return [json.loads(line) for line in out], counts


def test_a_file_is_one_payload_and_its_facts_are_printed():
    """23 rows and what they show of their run, under the station that the file names."""
    lines, counts = parsed("iem.mos", NBS)
    assert {"payloads": 1, "fact.forecast": 24} == counts
    assert {"KNYC"} == {line["key"] for line in lines}


def test_a_packed_file_is_the_same(tmp_path):
    """Gzip is looked for in the bytes."""
    packed = tmp_path / "x.csv.gz"
    packed.write_bytes(gzip.compress(NBS.read_bytes()))
    plain, packed_lines = parsed("iem.mos", NBS)[0], parsed("iem.mos", packed)[0]
    for line in (*plain, *packed_lines):
        del line["file"], line["value"]["conn"]
    assert plain == packed_lines


def test_history_from_a_file_is_assumed_and_received_now():
    """No recorder stamped it: the run's nominal time and the shipped lag, two hours for NBS."""
    value = parsed("iem.mos", NBS)[0][0]["value"]
    assert (NOW_NS, "assumed", value["run_ns"] + 2 * 3_600 * 10**9) == (
        value["received_ns"],
        value["known_by"],
        value["known_ns"],
    )


@pytest.mark.parametrize(("source", "file"), [("iem.mos", NBS), ("iem.cli", DATA / "iem-cli/CLINYC.txt")])
def test_loading_appends_the_bytes_as_they_are(source, file):
    """One record per file, under its headers."""
    log = MemoryLog()
    log.create({SOURCES[source].topic: {}}, 2)
    loaded = records.load(
        source, SOURCES[source], [file], None, appender=log.appender(), partitions=2, now_ns=lambda: NOW_NS
    )
    found = [record for number in range(2) for record in log._topic(SOURCES[source].topic)[number]]
    assert 1 == loaded
    assert [file.read_bytes()] == [record.value for record in found]
