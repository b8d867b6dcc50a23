"""TWS messages become bars and errors: exact numbers, explicit UTC, honest times; what is not sure is refused."""

import pytest
from tws_messages import CAUSE, LATER_NS, NS, REQUEST, START_S, answer, bar, error, headers, update, wire

from stream_processors.parsers.tws import Bad, parse, symbol_of
from topics.errors import BadRecord
from topics.tws import TwsError, TwsRequest

START_NS = START_S * NS


def bars(value, **said):
    """The facts of a message."""
    return parse(value, headers(**said), CAUSE)


def refused(value, **said):
    """The reason and the words of a refusal."""
    with pytest.raises(BadRecord) as raised:
        bars(value, **said)
    return raised.value


def test_an_answer_is_one_fact_per_bar():
    """Text becomes integers without a float between; the cause counts the bars."""
    first, second = bars(answer(bar(0, close="254.20"), bar(1)))
    assert (START_NS, START_NS + 60 * NS, 254_200_000) == (first.event_ns, first.end_ns, first.close_e6)
    assert (100_000_000, 101_000_000, 99_500_000) == (first.open_e6, first.high_e6, first.low_e6)
    assert (10_000_000, 100_250_000, 42) == (first.volume_e4, first.average_e6, first.count)
    assert ("AAPL", 265598, "TRADES", "1 min", True, "answer") == (
        first.symbol, first.con_id, first.what_to_show, first.bar_size, first.use_rth, first.told_by,
    )  # fmt: skip
    assert [0, 1] == [first.cause.index, second.cause.index]
    assert (7, "AAPL") == (second.cause.offset, symbol_of(second))


def test_a_finished_bar_is_known_when_it_was_received():
    """Its values may have been corrected since its end: what was fetched today was known today."""
    (one,) = bars(answer(bar(0)))
    assert (True, LATER_NS, "observed") == (one.finished, one.known_ns, one.known_by)


@pytest.mark.parametrize(
    ("after_end_s", "finished"),
    [(-30, False), (0, False), (4, False), (5, True), (60, True)],
)
def test_the_last_bar_is_finished_some_seconds_after_its_end(after_end_s, finished):
    """Before that TWS may still add to it; the bar before it is whole, as a later one stands behind it."""
    received_ns = START_NS + (120 + after_end_s) * NS
    first, last = bars(answer(bar(0), bar(1)), received_ns=received_ns)
    assert (True, finished) == (first.finished, last.finished)
    assert (received_ns, received_ns) == (first.known_ns, last.known_ns)


def test_the_last_bar_of_a_live_request_is_never_finished():
    """Only a later bar says so."""
    request = TwsRequest(symbol="AAPL", what_to_show="TRADES", bar_size="1 min", keep_up_to_date=True)
    first, last = bars(answer(bar(0), bar(1)), request=request)
    assert (True, False) == (first.finished, last.finished)


def test_an_update_has_its_own_order_of_fields():
    """Message 90 says count, date, open, close, high, low, average, volume."""
    (one,) = bars(update(3, close="100.75"), received_ns=START_NS + 200 * NS)
    assert (START_NS + 180 * NS, 100_000_000, 100_750_000, 101_000_000, 99_500_000, 100_250_000) == (
        one.event_ns, one.open_e6, one.close_e6, one.high_e6, one.low_e6, one.average_e6,
    )  # fmt: skip
    assert (42, 10_000_000, False, "update") == (one.count, one.volume_e4, one.finished, one.told_by)
    assert START_NS + 200 * NS == one.known_ns


def test_an_update_of_a_later_bar_shows_that_the_one_before_is_whole():
    """The last update of a bar cannot be known by itself: the next bar's first one reveals it."""
    received_ns = START_NS + 245 * NS
    whole, growing = bars(update(4), received_ns=received_ns, previous=update(3, close="100.75"))
    assert (True, START_NS + 180 * NS, 100_750_000, received_ns, 0) == (
        whole.finished, whole.event_ns, whole.close_e6, whole.known_ns, whole.cause.index,
    )  # fmt: skip
    assert (False, START_NS + 240 * NS, 1) == (growing.finished, growing.event_ns, growing.cause.index)


def test_an_update_of_the_same_bar_reveals_nothing():
    """It grows on."""
    (one,) = bars(update(3), previous=update(3))
    assert not one.finished


def test_a_realtime_bar_is_of_five_seconds():
    """Whatever the request was said to be; MIDPOINT has no volume, and -1 stands for that."""
    (one,) = bars(wire(50, 3, 5, START_S, "1.122925", "1.122975", "1.122925", "1.122975", -1, -1.0, -1))
    assert ("5 secs", START_NS + 5 * NS, True, "realtime") == (one.bar_size, one.end_ns, one.finished, one.told_by)
    assert (1_122_925, None, None, None) == (one.open_e6, one.volume_e4, one.average_e6, one.count)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1736778600", START_S),
        ("20250113 14:30:00 UTC", START_S),
        ("20250113-14:30:00 UTC", START_S),
        ("20250113 09:30:00 US/Eastern", START_S),
        ("20250713 10:30:00 America/New_York", 1_752_417_000),
        ("2025-01-13T14:30:00Z", START_S),
        ("2025-01-13 09:30:00-05:00", START_S),
    ],
)
def test_a_time_that_says_its_zone_is_read(text, seconds):
    """All the ways in which TWS and its exports write a moment."""
    (one,) = bars(answer((text, *bar(0)[1:])))
    assert seconds * NS == one.event_ns


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("20250113  09:30:00", "names no time zone"),
        ("20250113", "the day '20250113'"),
        ("20250309 02:30:00 US/Eastern", "is not one moment"),
        ("20251102 01:30:00 US/Eastern", "is not one moment"),
        ("20250230 09:30:00 UTC", "a date of the calendar"),
        ("20250113 09:30:00 Central European Standard Time", "expected seconds since 1970"),
        ("20250113 09:30:00 Mars/Base", "IANA time zone"),
        ("99999999999", "between 1970 and 2099"),
        ("", "expected seconds since 1970"),
    ],
)
def test_a_time_that_is_no_one_moment_is_refused(text, words):
    """A guess of the zone would be a look into the future, or an hour of it lost. The other bars stand."""
    bad, good = bars(answer((text, *bar(0)[1:]), bar(1)))
    assert isinstance(bad, Bad)
    assert ("bad_value", 0, 1) == (bad.error.reason, bad.cause.index, good.cause.index)
    assert words in bad.error.detail


def test_a_zone_that_the_request_names_is_taken_for_times_that_name_none():
    """Recorded files say it once."""
    request = TwsRequest(symbol="FDAX", what_to_show="TRADES", bar_size="1 min", zone="Europe/Berlin")
    (one,) = bars(answer(("20250113  15:30:00", *bar(0)[1:])), request=request)
    assert START_NS == one.event_ns


@pytest.mark.parametrize(
    ("text", "price_e6"),
    [
        ("254.20", 254_200_000),
        ("1.1229750000000001", 1_122_975),
        ("1.0E-5", 10),
        ("-37.63", -37_630_000),
        ("4E2", 4 * 10**8),
    ],
)
def test_a_price_is_exact(text, price_e6):
    """As Java prints doubles; a double's tail is no digit. Oil was below zero once."""
    (one,) = bars(answer(bar(0, close=text)))
    assert price_e6 == one.close_e6


@pytest.mark.parametrize(
    "text", ["0.00001234", "", "NaN", "Infinity", "1e999", "1_0", "abc", "9" * 40, "1.7976931348623157E308"]
)
def test_what_is_no_exact_price_is_refused(text):
    """A missing price is no 0, and a digit is not rounded off in silence."""
    (bad,) = bars(answer(bar(0, close=text)))
    assert bad.error.reason in {"bad_value", "missing_field"}
    assert "close" in bad.error.detail


@pytest.mark.parametrize("text", ["-1", "", "1.7976931348623157E308", "9223372036854775807", str(2**127 - 1)])
def test_a_volume_that_tws_does_not_have_is_none(text):
    """It says so in many ways, none of which is a number of shares."""
    (one,) = bars(answer(bar(0, volume=text)))
    assert (None, None) == (one.volume_e4, one.average_e6)


@pytest.mark.parametrize("text", ["-2", "0.00001", "x"])
def test_a_volume_that_cannot_be_is_refused(text):
    """Below zero, or finer than the unit."""
    (bad,) = bars(answer(bar(0, volume=text)))
    assert "volume" in bad.error.detail


def test_an_answer_without_bars_states_nothing():
    """No fact is made up of it; whether it was a success the producer's account says."""
    assert [] == bars(answer())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (answer(bar(0))[:-1], "bad_value"),
        (answer(bar(0))[:-4] + b"\0", "missing_field"),
        (wire(17, 5, "", "", 2, *bar(0)), "missing_field"),
        (wire(17, 5, "", "", -1), "missing_field"),
        (wire(17, 5, "", "", 10**17), "missing_field"),
        (wire(17), "missing_field"),
        (wire(90, 7, 1), "missing_field"),
        (wire(4, 2, -1), "missing_field"),
        (wire(4, 2, "x", 1, ""), "bad_value"),
        (wire(999), "unknown_type"),
        (wire("x"), "bad_value"),
        (b"\0", "bad_value"),
        (b"", "bad_value"),
        (b"\xff\xfe", "bad_value"),
    ],
)
def test_a_message_that_is_cut_or_foreign_is_refused(value, reason):
    """Half of an answer is no answer."""
    assert reason == refused(value).reason


@pytest.mark.parametrize("value", [answer(bar(0)), update(0)])
def test_a_bar_without_a_request_is_nobody_s(value):
    """The message itself does not say the symbol."""
    assert "missing_header" == refused(value, request=None).reason


@pytest.mark.parametrize("size", ["1 day", "1 W", "7 mins", ""])
def test_bars_of_a_day_have_no_start_in_utc(size):
    """They are refused by name, not stamped with midnight."""
    request = TwsRequest(symbol="AAPL", what_to_show="TRADES", bar_size=size)
    (bad,) = bars(answer(bar(0)), request=request)
    assert f"below a day, was {size!r}" in bad.error.detail


def test_an_error_is_a_fact_with_its_reason():
    """Which request, which symbol, which code, and what it means to us."""
    (one,) = bars(error(162, "... pacing violation", req_id=5))
    assert isinstance(one, TwsError)
    assert (162, 5, "AAPL", "pacing", LATER_NS) == (one.code, one.req_id, one.symbol, one.reason, one.known_ns)


def test_an_error_of_no_request_has_no_symbol():
    """It is said of the line itself."""
    (one,) = bars(error(1100, "Connectivity between IB and TWS has been lost"), request=None)
    assert (None, None, "connectivity", "-") == (one.req_id, one.symbol, one.reason, symbol_of(one))


def test_an_error_of_an_old_server_has_five_fields():
    """Servers before 166 send no JSON behind the text."""
    (one,) = bars(wire(4, 2, -1, 2104, "Market data farm connection is OK:usfarm"), request=None)
    assert (2104, None) == (one.code, one.reason)


@pytest.mark.parametrize("value", [wire(9, 1, 1), wire(49, 1, 1_752_606_307), wire(62, 1), wire(15, 1, "DU1")])
def test_messages_of_other_matters_state_nothing(value):
    """They stay in bronze as they came."""
    assert [] == bars(value, request=None)


def test_a_notice_that_is_none_is_refused():
    """Our own producer writes them, yet the log takes anything."""
    for kind in (b"unit", b"outage"):
        assert "bad_value" == refused(b"{}", kind=kind).reason
    assert "missing_header" == refused(b"x", format=b"xml").reason


def test_a_recording_without_stamps_is_assumed_to_be_known_at_the_bar_s_end():
    """The rule for files: a bar is public when it ends."""
    value = b"2024-11-01 01:15:00,540729684,19171.0,19185.0,19169.0,19179.0,90.0,19173.0,35,FDAX DEC 24"
    names = b"Datetime,ConId,Open,High,Low,Close,Volume,Average,BarCount,LocalSymbol"
    request = TwsRequest(symbol="FDAX", what_to_show="TRADES", bar_size="1 min", zone="Europe/Berlin")
    (one,) = bars(value, request=request, format=b"csv", columns=names, clock=b"tape")
    assert (1_730_420_100 * NS, 1_730_420_160 * NS, "assumed") == (one.event_ns, one.known_ns, one.known_by)
    assert (540729684, b'{"LocalSymbol":"FDAX DEC 24"}', "file") == (one.con_id, bytes(one.terms), one.told_by)
    assert (900_000, 35, 19_173_000_000) == (one.volume_e4, one.count, one.average_e6)


def test_a_line_with_other_cells_than_columns_is_refused():
    """A shifted column would be another price."""
    assert "missing_field" == refused(b"1,2,3", format=b"csv", columns=b"date,open", clock=b"tape").reason


def test_a_line_that_is_nested_without_end_is_refused():
    """At each depth, also where the decoder still goes and what writes the value as text no longer does."""
    line = b'{"date":"2025-01-13T14:30:00Z","open":"1","high":"1","low":"1","close":"1","x":%b}'
    assert 1 == len(bars(line % b"[[]]", format=b"json"))
    for depth in [*range(700, 1_100, 3), 100_000]:
        try:
            bars(line % (b"[" * depth + b"]" * depth), format=b"json")
        except BadRecord as error:
            assert error.reason in {"bad_value", "not_json"}  # noqa: PT017  # shallow ones are facts


def test_the_request_is_ours():
    """A header that is no request is our own fault, and says so."""
    assert "missing_header" == refused(answer(bar(0)), request=None, req_id=b"x").reason
    assert REQUEST.symbol in str(bars(answer(bar(0)))[0])
