"""Recorded frames: which files, which lines, which order."""

# the expected value stands on the left, by the rule of this repo

import gzip
import json
from pathlib import Path

import pytest

from tapefold.simulators.kalshi.from_trades import pack, read_trades, trade_lines
from tapefold.simulators.kalshi.recording import BadRecording, find_files, scan_markets, timeline
from tapefold.simulators.kalshi.world import made_up_lines

ROOT = Path(__file__).parents[3]
SHARED = ROOT / "../shared/data"
GOLD = SHARED / "kalshi-ws/gold15m"
REST = SHARED / "kalshi-rest/cpratim-weather-trades"


def frame(market: str, kind: str = "trade", **msg: object) -> dict[str, object]:
    """A bare frame."""
    return {"type": kind, "sid": 1, "seq": 1, "msg": {"market_ticker": market, **msg}}


def write(path: Path, *lines: object, packed: bool = False) -> Path:
    """A recording with these JSON lines."""
    content = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


def order(*paths: Path) -> list[tuple[int, str]]:
    """Time and market of every frame, as the timeline brings them."""
    return [(found.at_ms, found.market) for found in timeline(find_files(paths))]


def test_bare_and_both_wrapped_forms_are_read(tmp_path: Path) -> None:
    """One file may mix bare frames, `event` with a receive time, and `frame`."""
    path = write(
        tmp_path / "mixed.txt",
        frame("A", ts_ms=1_000),
        {"recv_ms": 1_500, "event": frame("B", ts_ms=1)},
        {"src": "x", "frame": frame("C", ts_ms=2_000)},
        b"",
    )
    assert [(1_000, "A"), (1_500, "B"), (2_000, "C")] == order(path)


def test_the_msg_is_kept_byte_for_byte(tmp_path: Path) -> None:
    """Spaces, unknown fields and number forms of the recorded `msg` survive."""
    msg = b'{"market_ticker": "A", "odd":1.50, "ts":1e3}'
    path = write(tmp_path / "a.ndjson", b'{"sid":9,"msg":' + msg + b',"type":"trade","extra":1}')
    assert msg == bytes(next(timeline([path])).msg)


def test_every_way_a_frame_says_its_time(tmp_path: Path) -> None:
    """Seconds on tickers and trades, RFC 3339 on deltas, and `ts_ms` before either."""
    path = write(
        tmp_path / "a.ndjson",
        frame("A", ts=1_000),
        frame("B", ts="1970-01-01T00:16:41.5Z"),
        frame("C", ts=5, ts_ms=1_002_000),
    )
    assert [(1_000_000, "A"), (1_001_500, "B"), (1_002_000, "C")] == order(path)


def test_a_frame_without_time_stands_by_its_neighbour(tmp_path: Path) -> None:
    """A snapshot takes the time before it; the first ones of a file take the first time that the file has."""
    snapshot = "orderbook_snapshot"
    path = write(
        tmp_path / "a.ndjson", frame("A", snapshot), frame("B", ts_ms=700), frame("C", snapshot), frame("D", ts_ms=900)
    )
    assert [(700, "A"), (700, "B"), (700, "C"), (900, "D")] == order(path)


def test_a_file_without_any_time_comes_first(tmp_path: Path) -> None:
    """Nothing is known of its place, so it stands at time 0, in its own order."""
    timed = write(tmp_path / "a.ndjson", frame("A", ts_ms=5))
    untimed = write(tmp_path / "b.ndjson", frame("Z", "orderbook_snapshot"), frame("Y", "orderbook_snapshot"))
    assert [(0, "Z"), (0, "Y"), (5, "A")] == order(timed, untimed)


def test_files_merge_into_one_timeline_and_each_keeps_its_order(tmp_path: Path) -> None:
    """Files interleave by time; within a file a clock that ran backwards does not reorder its frames."""
    first = write(tmp_path / "1.ndjson", frame("A", ts_ms=10), frame("B", ts_ms=30), frame("C", ts_ms=20))
    second = write(tmp_path / "2.ndjson.gz", frame("X", ts_ms=10), frame("Y", ts_ms=25), packed=True)
    assert [(10, "A"), (10, "X"), (25, "Y"), (30, "B"), (30, "C")] == order(first, second)


def test_a_folder_is_searched_and_other_files_are_passed_over(tmp_path: Path) -> None:
    """NDJSON at any depth counts, plain or gzip; metadata and tables beside it do not."""
    write(tmp_path / "x/y/a.jsonl", frame("A", ts_ms=1))
    write(tmp_path / "b.ndjson.gz", frame("B", ts_ms=2), packed=True)
    write(tmp_path / "metadata/c.json", {"no": "frame"})
    (tmp_path / "d.csv").write_text("1,2\n")
    assert [(1, "A"), (2, "B")] == order(tmp_path)


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    """A file that is named itself may be called anything."""
    assert [(1, "A")] == order(write(tmp_path / "frames", frame("A", ts_ms=1), packed=True))


@pytest.mark.parametrize(
    "bad",
    [
        b"not json",
        b"[1]",
        b'{"trade_id":"x"}',
        b'{"recv_ms":1,"event":{"type":"trade"}}',
        b'{"type":"trade","msg":7}',
        b'{"type":"trade","msg":{"ts":"yesterday"}}',
        b'{"type":"trade","msg":{"ts":"2026-01-01T00:00:00"}}',
        b"\xff",
    ],
)
def test_a_line_that_is_no_frame_is_named(tmp_path: Path, bad: bytes) -> None:
    """The error carries file and line, and says what was expected."""
    path = write(tmp_path / "a.ndjson", frame("A", ts_ms=1), bad)
    with pytest.raises(BadRecording, match=r"a\.ndjson, line 2: expected a frame") as error:
        order(path)
    assert (path, 2) == (error.value.path, error.value.line)


def test_a_gzip_file_that_was_cut_off_is_named(tmp_path: Path) -> None:
    """Reading up to the cut is not taken for the whole."""
    path = write(tmp_path / "a.ndjson.gz", *(frame(f"M{n}", ts_ms=n) for n in range(500)), packed=True)
    path.write_bytes(path.read_bytes()[:-40])
    for read in (lambda: order(path), lambda: scan_markets([path])):
        with pytest.raises(BadRecording, match="expected complete gzip"):
            read()


def test_missing_paths_and_empty_folders_are_named(tmp_path: Path) -> None:
    """A recording that is not there is an error, not an empty recording."""
    with pytest.raises(BadRecording, match="no such file"):
        find_files([tmp_path / "nowhere"])
    with pytest.raises(BadRecording, match="found none"):
        find_files([tmp_path])


def test_recorded_replies_are_frames(tmp_path: Path) -> None:
    """A raw tape has `subscribed`, `ok` (with a list) and `unsubscribed` (without `msg`) in it."""
    path = write(
        tmp_path / "a.ndjson",
        {"id": 1, "type": "subscribed", "msg": {"channel": "trade", "sid": 1}},
        {"id": 2, "type": "ok", "msg": [{"channel": "trade", "sid": 1}]},
        {"id": 3, "type": "unsubscribed", "sid": 1, "seq": 4},
    )
    assert ["subscribed", "ok", "unsubscribed"] == [found.kind for found in timeline([path])]


def test_the_scan_finds_each_ticker_once_sorted(tmp_path: Path) -> None:
    """Tickers are found in all files, in all forms of a line."""
    first = write(tmp_path / "a.ndjson", frame("B"), {"frame": frame("A-T1.5")}, frame("B"))
    second = write(tmp_path / "b.ndjson.gz", {"recv_ms": 1, "event": frame("C")}, packed=True)
    assert ["A-T1.5", "B", "C"] == scan_markets([first, second])


def test_the_archived_frames_of_february_2026_are_read() -> None:
    """Real frames of the time of integer cents pass, with their seconds as time."""
    found = list(timeline(find_files([ROOT / "tests/data/kalshi-ws"])))
    assert {"ticker": 10, "trade": 10} == {
        kind: sum(item.kind == kind for item in found) for kind in ("ticker", "trade")
    }
    assert 1_770_897_976_000 == found[0].at_ms


def test_the_shipped_demo_is_sorted_and_holds_twelve_weather_markets() -> None:
    """1,573 real trades of two events, each file complete and in the order of time."""
    folder = ROOT / "tapefold/demo/frames"
    times = [at_ms for at_ms, _ in order(folder)]
    assert 1_573 == len(times)
    assert sorted(times) == times
    assert 12 == len(scan_markets(find_files([folder])))
    assert 600_000 > sum(file.stat().st_size for file in folder.iterdir())


def test_rest_trades_become_frames_oldest_first() -> None:
    """Cents become dollar strings, micro- become milliseconds, and the taker's book side follows the outcome."""
    old = {"trade_id": "1", "ticker": "M", "count": 7, "created_time": "2025-04-03T14:12:41.0819Z"}
    old |= {"yes_price": 5, "no_price": 95, "taker_side": "no"}
    new = old | {"trade_id": "2", "created_time": "2025-04-03T14:12:42Z", "taker_side": "yes"}
    lines = [json.loads(line) for line in trade_lines(read_trades(json.dumps({"M": [new, old]}).encode()))]
    assert ["1", "2"] == [line["event"]["msg"]["trade_id"] for line in lines]
    assert [1, 2] == [line["event"]["seq"] for line in lines]
    assert {
        "trade_id": "1",
        "market_ticker": "M",
        "yes_price_dollars": "0.0500",
        "no_price_dollars": "0.9500",
        "count_fp": "7.00",
        "taker_side": "no",
        "taker_outcome_side": "no",
        "taker_book_side": "ask",
        "ts": 1_743_689_561,
        "ts_ms": 1_743_689_561_081,
    } == lines[0]["event"]["msg"]
    assert 1_743_689_561_081 == lines[0]["recv_ms"]


@pytest.mark.skipif(not REST.is_dir(), reason=f"the REST trades are not at {REST}")
@pytest.mark.parametrize("series", ["kxhighny", "kxhighmia"])
def test_the_shipped_demo_is_what_its_generator_makes(series: str) -> None:
    """The demo's lines can be made again from the source that its README names."""
    lines = trade_lines(read_trades((REST / series / "trades/2025-04-04.json.gz").read_bytes()))
    shipped = (ROOT / f"tapefold/demo/frames/{series}-2025-04-04.ndjson.gz").read_bytes()
    assert lines == gzip.decompress(shipped).splitlines()
    assert lines == gzip.decompress(pack(lines)).splitlines()


def digits(text: str) -> int:
    """A decimal text as an integer of its last place."""
    return int(text.replace(".", ""))


def test_the_made_up_world_keeps_the_protocol() -> None:
    """No hole in a sid's numbers, no level below zero, no crossed book, and the same bytes for the same seed."""
    lines = made_up_lines(seed=3)
    assert 2_000 == len(lines)
    assert made_up_lines(seed=3) == lines
    assert made_up_lines(seed=4) != lines
    seqs: dict[int, int] = {}
    books: dict[tuple[str, str], dict[int, int]] = {}
    for event in (json.loads(line)["event"] for line in lines):
        msg = event["msg"]
        if event["type"] == "ticker":
            assert "seq" not in event
            continue
        assert seqs.get(event["sid"], 0) + 1 == event["seq"]
        seqs[event["sid"]] = event["seq"]
        if event["type"] == "orderbook_snapshot":
            for side in ("yes", "no"):
                levels = {digits(price): digits(size) for price, size in msg[f"{side}_dollars_fp"]}
                books[msg["market_ticker"], side] = levels
        elif event["type"] == "orderbook_delta":
            levels = books[msg["market_ticker"], msg["side"]]
            price = digits(msg["price_dollars"])
            levels[price] = levels.get(price, 0) + digits(msg["delta_fp"])
            assert 0 <= levels[price]
            best = [
                max((p for p, n in books[msg["market_ticker"], side].items() if n), default=0) for side in ("yes", "no")
            ]
            assert 10_000 > sum(best)


@pytest.mark.skipif(not GOLD.is_dir(), reason=f"the gold15m recording is not at {GOLD}")
def test_a_market_split_over_two_days_is_one_timeline() -> None:
    """The gold recording's market of two UTC days runs on in the second file."""
    files = find_files([GOLD / "events/KXGOLD15M-26AUG102000-00"])
    found = list(timeline(files))
    assert 2 == len(files)
    assert {0, 1} == {item.file for item in found}
    assert sorted(found) == found
    assert ["KXGOLD15M-26AUG102000-00"] == scan_markets(files)
