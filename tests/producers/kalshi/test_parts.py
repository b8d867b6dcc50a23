"""The small pure parts: envelope, backoff, watch, journal."""

from pathlib import Path

import pytest

from producers.backoff import Backoff
from producers.kalshi import journal
from producers.kalshi.envelope import Message, read
from producers.kalshi.watch import Watch
from topics.errors import Refused, SettingsError
from topics.log import partition_of


@pytest.mark.parametrize(
    ("msg", "expected_ns"),
    [
        (b'{"ts_ms":1786406485526,"ts":"2020-01-01T00:00:00Z"}', 1_786_406_485_526_000_000),
        (b'{"ts":1669149841}', 1_669_149_841_000_000_000),
        (b'{"ts":"2026-08-11T00:01:25.526752Z"}', 1_786_406_485_526_752_000),
        (b'{"ts":"2026-08-11T00:01:25.526752"}', None),
        (b'{"ts":"soon"}', None),
        (b'{"ts_ms":0}', None),
        (b'{"ts_ms":99999999999999}', None),
        (b"{}", None),
        (b"null", None),
    ],
)
def test_the_exchange_time_is_read_from_ts_ms_or_ts(msg: bytes, expected_ns: int | None) -> None:
    """Milliseconds before seconds before text; without a zone or out of all reason it is none."""
    assert expected_ns == read(b'{"type":"ticker","msg":%s}' % msg).exchange_ns()


@pytest.mark.parametrize("frame", [b"", b"{", b"[]", b"\xff", b'{"a":' + b"[" * 100_000, b"12"])
def test_bytes_that_are_no_object_are_an_empty_envelope(frame: bytes) -> None:
    """They are for ingest to refuse."""
    envelope = read(frame)

    assert ("", None, None, None) == (envelope.type, envelope.sid, envelope.seq, envelope.msg)


def test_an_unexpected_shape_keeps_what_is_as_agreed() -> None:
    """A wrong type in one field costs that field alone."""
    envelope = read(b'{"type":"trade","sid":3,"seq":4,"id":"x","msg":{"market_ticker":"A-B","ts_ms":"no","code":1}}')

    assert envelope.msg is not None
    assert ("trade", 3, 4, None, "A-B", None, 1) == (
        envelope.type,
        envelope.sid,
        envelope.seq,
        envelope.id,
        envelope.msg.market_ticker,
        envelope.msg.ts_ms,
        envelope.msg.code,
    )


def test_delays_double_under_full_jitter_to_a_cap() -> None:
    """Chance takes a share of the whole delay."""
    backoff = Backoff(base_s=0.5, cap_s=30.0)
    full = [backoff.failed(0.0, 1.0) for _ in range(8)]

    assert [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] == full
    assert (0.0, 15.0) == (backoff.failed(0.0, 0.0), backoff.failed(0.0, 0.5))


def test_a_stable_connection_ends_the_run_of_failures() -> None:
    """Sixty seconds of life, not fifty-nine."""
    backoff = Backoff(base_s=1.0)

    assert [1.0, 2.0, 1.0] == [backoff.failed(0.0, 1.0), backoff.failed(59.9, 1.0), backoff.failed(60.0, 1.0)]


def test_many_failures_in_a_row_wait_for_the_cooldown() -> None:
    """From the threshold on every attempt waits, until one is stable."""
    backoff = Backoff(base_s=1.0, threshold=3, cooldown_s=99.0)

    assert [1.0, 2.0, 99.0, 99.0] == [backoff.failed(0.0, 1.0) for _ in range(4)]
    assert 1.0 == backoff.failed(60.0, 1.0)


def test_shards_divide_the_markets() -> None:
    """Every ticker belongs to one shard, the one that `partition_of` says."""
    tickers = [f"KXHIGHNY-26AUG10-B{number}" for number in range(20)]
    shards = [Watch(tickers, shard_count=3, shard_id=shard_id).tickers for shard_id in range(3)]

    assert sorted(tickers) == sorted(ticker for shard in shards for ticker in shard)
    assert {0} == {partition_of(ticker.encode(), 3) for ticker in shards[0]}


def test_a_new_market_or_event_of_a_series_concerns_one_shard_alone() -> None:
    """Else every shard would publish every announcement."""
    tickers = [f"KXHIGHNY-26AUG10-B{number}" for number in range(20)]
    shards = [Watch(tickers, series=["KXHIGHNY"], shard_count=3, shard_id=shard_id) for shard_id in range(3)]
    market = Message(market_ticker="KXHIGHNY-26AUG11-B1")
    event = Message(event_ticker="KXHIGHNY-26AUG11")

    assert [1, 1] == [sum(shard.concerns(message) for shard in shards) for message in (market, event)]
    assert not shards[0].concerns(Message(market_ticker="KXHIGHNYX-26AUG11-B1"))
    assert not shards[0].concerns(Message(event_ticker="KXBTC-26AUG11"))


def test_an_empty_shard_is_refused_in_words() -> None:
    """It would record nothing, and nobody would see that."""
    with pytest.raises(SettingsError, match="expected a market for shard 0 of 1, were none; name more tickers"):
        Watch([])
    with pytest.raises(SettingsError, match=r"expected WS_SHARD_ID in \[0, 2\), was 2"):
        Watch(["A-B"], shard_count=2, shard_id=2)


def test_a_journal_is_read_back_and_removed(tmp_path: Path) -> None:
    """What was saved last, or nothing after a clean end."""
    path = tmp_path / "state" / "ws.json"
    saved = journal.Journal("c1", "wall", [journal.Covered(1, "trade", {"A-B": 5})])
    absent = journal.load(path)
    journal.save(path, journal.Journal("c0", "tape", []))
    journal.save(path, saved)
    loaded = journal.load(path)
    journal.remove(path)

    assert (None, saved, None) == (absent, loaded, journal.load(path))
    assert [] == list(path.parent.iterdir())


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    """It is never overwritten by guess."""
    path = tmp_path / "ws.json"
    path.write_bytes(b"{")

    with pytest.raises(Refused, match="is no journal of a recorder"):
        journal.load(path)
