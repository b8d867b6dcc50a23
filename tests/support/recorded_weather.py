"""Raw records of a made-up world's forecasts and climate reports, as files of them are loaded."""

from pathlib import Path

from tapefold.payloads import records
from tapefold.payloads.sources import SOURCES
from tapefold.simulators.iem import wire
from tapefold.simulators.iem.generated import Chances, Generated
from topics.catalog import RAW_IEM_CLI, RAW_IEM_MOS
from topics.log import MemoryLog, Record, TopicPartition
from topics.units import NS_PER_DAY, NS_PER_S

START_NS = 1_772_841_600 * NS_PER_S  # 2026-03-07 00:00Z; the clocks change the day after
NOW_NS = START_NS + 100 * NS_PER_DAY
STATIONS, MODELS, PARTITIONS = ("KMIA", "KNYC"), ("GFS", "NBS"), 2
WORLD = Generated(STATIONS, seed=7, chances=Chances(missing=0.2, duplicate=0.2, conflict=0.2, correction=0.5))


def recorded(folder: Path, days: int) -> dict[TopicPartition, list[Record]]:
    """The raw records of all runs and reports of some days, each in an answer of its own, loaded from files."""
    end_ns = START_NS + days * NS_PER_DAY
    for name in ("mos", "cli"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for station in STATIONS:
        for number, run in enumerate(
            run for model in MODELS for run in WORLD.runs(station, model, START_NS - NS_PER_DAY, end_ns)
        ):
            (folder / "mos" / f"{station}-{number:04}.csv").write_text(wire.mos_csv(run.rows))
        for number, report in enumerate(WORLD.products(station, START_NS, end_ns)):
            (folder / "cli" / f"{station}-{number:04}.json").write_text(wire.cli_json([report], "2026-06-01T00:00:00Z"))
    log = MemoryLog()
    log.create({RAW_IEM_MOS: {}, RAW_IEM_CLI: {}}, PARTITIONS)
    for source in ("iem.mos", "iem.cli"):
        records.load(
            source, SOURCES[source], [folder / source.rpartition(".")[2]], "test", appender=log.appender(),
            partitions=PARTITIONS, now_ns=lambda: NOW_NS,
        )  # fmt: skip
    marks = log.watermarks([RAW_IEM_MOS, RAW_IEM_CLI])
    found: dict[TopicPartition, list[Record]] = {place: [] for place in marks}
    reader = log.reader(dict.fromkeys(marks, 0))
    while read := reader.read(10_000, 0):
        for record in read:
            found[record.topic, record.partition].append(record)
    return found
