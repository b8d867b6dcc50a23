"""Kalshi frames -> facts: whose time a fact carries, to the last digit."""

import pytest
from kalshi_frames import DELTA, MS, RECEIVED_NS, SNAPSHOT, TICKER, TRADE, S, fact_of, refusal, with_msg

from stream_processors.envelope import Envelope


@pytest.mark.parametrize("frame", [TRADE, TICKER], ids=lambda frame: frame["type"])
def test_milliseconds_win_over_seconds(frame):
    """`ts_ms` is exact to the millisecond; without it `ts` gives the second; without both there is no fact."""
    assert frame["msg"]["ts_ms"] * MS == fact_of(frame).event_ns
    assert frame["msg"]["ts"] * S == fact_of(with_msg(frame, ts_ms=...)).event_ns
    assert "missing_field" == refusal(with_msg(frame, ts_ms=..., ts=...))


@pytest.mark.parametrize(
    ("text", "event_ns"),
    [
        ("2026-08-27T13:56:23Z", 1_787_838_983 * S),
        ("2026-08-27T13:56:23.5Z", 1_787_838_983_500_000_000),
        ("2026-08-27T13:56:23.996443Z", 1_787_838_983_996_443_000),
        ("2026-08-27T13:56:23.999999Z", 1_787_838_983_999_999_000),
        ("2026-08-27T13:56:23.996443001Z", 1_787_838_983_996_443_001),
        ("2026-08-27T09:56:23.996443-04:00", 1_787_838_983_996_443_000),
        ("2026-08-27t13:56:23.000001z", 1_787_838_983_000_001_000),
        ("1970-01-01T00:00:01Z", S),
        ("2099-12-31T23:59:59.999999999Z", 4_102_444_799_999_999_999),
    ],
)
def test_a_delta_s_own_time_is_exact(text, event_ns):
    """Text of RFC 3339 is read to the nanosecond, for no float is ever made of it."""
    assert event_ns == fact_of(with_msg(DELTA, ts_ms=..., ts=text)).event_ns


@pytest.mark.parametrize(
    "text",
    [
        "2026-08-27T13:56:23",
        "2026-08-27",
        "2026-W35-4T00Z",
        "20260827T135623Z",
        "2026-08-27T13:56:23.0000000001Z",
        "2026-02-30T00:00:00Z",
        "2026-08-27T13:56:60Z",
        "2026-08-27T13:56:23+25:00",
        "9999-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "1969-12-31T23:59:59.5Z",
        "\uff12\uff10\uff12\uff16-08-27T13:56:23Z",
        "",
    ],
)
def test_a_time_that_is_none_is_refused(text):
    """No zone, no such day, beyond the reach of an int64, or not as the contract writes it: never a guess."""
    assert "bad_value" == refusal(with_msg(DELTA, ts_ms=..., ts=text))


def test_a_delta_without_a_time_takes_ours_and_says_so():
    """Theirs is never passed off as exchange time when it is only the moment of arrival."""
    delta = fact_of(with_msg(DELTA, ts_ms=..., ts=...))
    assert (RECEIVED_NS, "received") == (delta.event_ns, delta.event_by)
    assert "exchange" == fact_of(DELTA).event_by


def test_a_snapshot_takes_the_time_of_its_subscription():
    """It has no time of its own: the latest one its subscription had shown, else the moment of arrival."""
    assert (RECEIVED_NS, "received") == (fact_of(SNAPSHOT).event_ns, fact_of(SNAPSHOT).event_by)
    snapshot = fact_of(SNAPSHOT, Envelope("conn-1", RECEIVED_NS, "observed", 42))
    assert (42, "sid", RECEIVED_NS) == (snapshot.event_ns, snapshot.event_by, snapshot.known_ns)


@pytest.mark.parametrize(
    "over", [{"ts_ms": 0}, {"ts_ms": -1}, {"ts_ms": 2**43}, {"ts_ms": ..., "ts": 0}, {"ts_ms": 1.5}]
)
def test_an_impossible_exchange_time_is_refused(over):
    """Zero is how some programs write "none", and a year past 2099 would never be reached by any watermark."""
    assert "bad_value" == refusal(with_msg(TRADE, **over))
