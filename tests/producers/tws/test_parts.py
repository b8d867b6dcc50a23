"""The pure parts: plan, pacing, ledger, tap, contracts, reactions. Time is an argument."""

from datetime import UTC, date, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tws_messages import answer, bar, error, update, wire

from producers.tws import contracts, ledger, plan
from producers.tws import tap as tap_of
from producers.tws.contracts import Spec
from producers.tws.ledger import Ledger, State
from producers.tws.pacing import Governor, Limits
from producers.tws.plan import Unit
from producers.tws.reactions import REACTIONS
from producers.tws.tap import Tap
from topics.errors import Refused, SettingsError
from topics.tws import TwsReason, TwsRequest

S = 1_000_000_000
NEW_YORK = "America/New_York"


def ns(text):
    """A UTC time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * S


NOW = ns("2025-06-01T00:00:00")


def unit(day="2025-01-13", symbol="AAPL"):
    return Unit(day, symbol, "TRADES", "1 min", True)


def request(end="x", what="TRADES", symbol="AAPL"):
    return TwsRequest(symbol=symbol, what_to_show=what, bar_size="5 secs", end=end, exchange="SMART")


# --- plan -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "begins", "ends", "duration"),
    [
        ("2025-01-13", "2025-01-13T05:00:00", "2025-01-14T05:00:00", "1 D"),
        ("2025-03-09", "2025-03-09T05:00:00", "2025-03-10T04:00:00", "1 D"),
        ("2024-11-03", "2024-11-03T04:00:00", "2024-11-04T05:00:00", "2 D"),
    ],
)
def test_a_unit_is_a_day_of_the_exchange(day, begins, ends, duration):
    """From midnight to midnight there, also where a day has 23 or 25 hours; the end is explicit UTC."""
    when = plan.interval(unit(day), NEW_YORK, NOW)
    assert (ns(begins), ns(ends)) == (when.from_ns, when.to_ns)
    asked = plan.request(unit(day), when, now_ns=NOW, con_id=1)
    assert (ends.replace("-", "").replace("T", " ") + " UTC", duration) == (asked.end, asked.duration)


def test_a_day_that_lasts_ends_now():
    """What has not happened is not asked for."""
    now = ns("2025-01-13T18:00:00")
    when = plan.interval(unit(), NEW_YORK, now)
    assert (now, "") == (when.to_ns, plan.request(unit(), when, now_ns=now, con_id=None).end)
    with pytest.raises(Refused, match="a day that has begun"):
        plan.interval(unit("2025-01-14"), NEW_YORK, now)


@pytest.mark.parametrize(
    ("now", "last", "following"),
    [
        ("2025-01-13T21:29:59", "2025-01-10", "2025-01-13T21:30:00"),
        ("2025-01-13T21:30:00", "2025-01-13", "2025-01-14T21:30:00"),
        ("2025-01-17T23:00:00", "2025-01-17", "2025-01-20T21:30:00"),
        ("2025-01-19T12:00:00", "2025-01-17", "2025-01-20T21:30:00"),
        ("2025-03-07T22:00:00", "2025-03-07", "2025-03-10T20:30:00"),
    ],
)
def test_a_day_is_due_after_its_close(now, last, following):
    """In the exchange's time, over weekends and the change of the clock."""
    schedule = plan.schedule("16:30", NEW_YORK)
    assert date.fromisoformat(last) == schedule.last_day(ns(now))
    assert ns(following) == schedule.next_ns(ns(now))


def test_days_are_single_or_a_range():
    """A range leaves weekends out, a single day is taken at its word."""
    found = plan.days_of(["2025-01-10..2025-01-13", "2025-01-12"])
    assert [10, 12, 13] == [day.day for day in found]


@pytest.mark.parametrize("text", ["13.1.2025", "2025-01-13..", "2025-01-14..2025-01-13", "2025-02-30", ""])
def test_a_date_that_is_none_is_refused(text):
    """With the form that is expected."""
    with pytest.raises(Refused, match="--date: expected"):
        plan.days_of([text])


@pytest.mark.parametrize(("at", "zone"), [("25:00", NEW_YORK), ("16:30", "Mars/Base"), ("x", "UTC")])
def test_a_schedule_that_is_none_is_refused(at, zone):
    """Before anything is recorded."""
    with pytest.raises(SettingsError, match="TWS_RUN_AT and TWS_ZONE"):
        plan.schedule(at, zone)


# --- contracts --------------------------------------------------------------------------------------------------------


def test_contracts_are_written_in_short():
    """What is left out is a share on SMART in dollars."""
    found = contracts.specs(" AAPL , EUR:CASH:IDEALPRO,FDAX:FUT:EUREX:EUR:202412,BRK B")
    assert [
        Spec("AAPL"), Spec("EUR", "CASH", "IDEALPRO"), Spec("FDAX", "FUT", "EUREX", "EUR", "202412"), Spec("BRK B"),
    ] == list(found.values())  # fmt: skip


@pytest.mark.parametrize("text", ["A:B:C:D:E:F", ":STK", "A,A", "Ä"])
def test_contracts_in_another_form_are_refused(text):
    """By name."""
    with pytest.raises(SettingsError, match="TWS_SYMBOLS: expected"):
        contracts.specs(text)


# --- pacing -----------------------------------------------------------------------------------------------------------


def test_the_sixtieth_request_goes_and_the_next_one_waits():
    """Until the oldest one leaves the window."""
    governor = Governor(Limits(600 * S, 60))
    for number in range(60):
        one = request(end=str(number), symbol=str(number % 20))
        assert 0 == governor.wait_ns(one, NOW + number * S)
        governor.made(one, NOW + number * S)
    assert 540 * S == governor.wait_ns(request(end="new"), NOW + 60 * S)
    assert 0 == governor.wait_ns(request(end="new"), NOW + 600 * S)


def test_bid_ask_counts_twice():
    """Thirty of them fill the window."""
    governor = Governor(Limits(600 * S, 60))
    for number in range(30):
        governor.made(request(end=str(number), symbol=str(number), what="BID_ASK"), NOW)
    assert 600 * S == governor.wait_ns(request(end="new", symbol="new"), NOW)


def test_an_identical_request_waits_for_fifteen_seconds():
    """Another end is another request."""
    governor = Governor(Limits(600 * S, 60))
    governor.made(request(), NOW)
    assert 15 * S == governor.wait_ns(request(), NOW)
    assert 0 == governor.wait_ns(request(end="other"), NOW)


def test_a_sixth_request_of_one_contract_waits_for_two_seconds():
    """Five within two seconds are allowed."""
    governor = Governor(Limits(600 * S, 60))
    for number in range(5):
        governor.made(request(end=str(number)), NOW + number)
    assert 2 * S - 4 == governor.wait_ns(request(end="new"), NOW + 4)
    assert 0 == governor.wait_ns(request(end="new", symbol="MSFT"), NOW + 4)


def test_after_a_violation_a_whole_window_passes():
    """And no clock that was put back makes it longer."""
    governor = Governor(Limits(600 * S, 60))
    governor.violated(NOW)
    assert 600 * S == governor.wait_ns(request(), NOW)
    assert 600 * S == governor.wait_ns(request(), NOW - 3_600 * S)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3), st.booleans()), max_size=60))
def test_no_order_of_requests_breaks_a_rule(steps):
    """Whoever waits as told never breaks one: by the rules as Interactive Brokers states them, written a second time."""
    governor, now, made = Governor(Limits(60 * S, 10)), NOW, []
    for pause, which, double in steps:
        one = request(end=str(which % 2), symbol=str(which // 2), what="BID_ASK" if double else "TRADES")
        now += pause * S // 4
        while (wait_ns := governor.wait_ns(one, now)) > 0:
            now += wait_ns
        governor.made(one, now)
        made.append((now, one, 2 if double else 1))
    for at, one, _ in made:
        before = [(when, other, weight) for when, other, weight in made if at - 60 * S < when <= at]
        assert 10 >= sum(weight for *_, weight in before)
        assert 5 >= sum(
            at - 2 * S < when and (other.symbol, other.what_to_show) == (one.symbol, one.what_to_show)
            for when, other, _ in before
        )
        assert 1 == sum(at - 15 * S < when and other == one for when, other, _ in before)


# --- reactions, ledger ------------------------------------------------------------------------------------------------


def test_every_reason_has_a_reaction():
    """The set is closed on both sides."""
    assert set(get_args(TwsReason)) == set(REACTIONS)
    assert ["no_data"] == [reason for reason, reaction in REACTIONS.items() if reaction.what == "complete"]


def test_an_outage_makes_its_days_owed_for_every_symbol():
    """From the day it began to the day it ended, in the exchange's time; a unit that is paid is owed no more."""
    book = Ledger(State(), NEW_YORK)
    began = book.line_lost(
        "connectivity", now_ns=ns("2025-01-14T04:30:00"), conn="c", code=1100, text="lost", symbols=["AAPL"]
    )
    assert book.line_lost("disconnected", now_ns=NOW, conn="c", code=None, text=None, symbols=[]) is None
    ended = book.line_back(now_ns=ns("2025-01-14T06:00:00"), data_lost=True, days_of=[unit(""), unit("", "MSFT")])
    assert (began.outage_id, ended.outage_id, True) == (ended.outage_id, began.outage_id, ended.data_lost)
    assert [("2025-01-13", "AAPL"), ("2025-01-13", "MSFT"), ("2025-01-14", "AAPL"), ("2025-01-14", "MSFT")] == [
        (one.unit.date, one.unit.symbol) for one in book.owed()
    ]
    book.paid(unit("2025-01-13", "MSFT"))
    assert 3 == len(book.owed())
    assert book.line_back(now_ns=NOW, data_lost=None) is None


def test_the_ledger_is_what_was_written():
    """Requests made, days owed, outages: all of it comes back; a damaged file is refused, not forgotten."""
    state = State()
    Governor(Limits(600 * S, 60), state.pacing).made(request(), NOW)
    Ledger(state, "UTC").failed(unit(), "timeout", NOW)
    assert state == ledger.decode(ledger.encode(state))
    with pytest.raises(Refused, match="cannot be read"):
        ledger.decode(ledger.encode(state)[:-5])


def test_a_failure_keeps_its_first_time_and_its_last_reason():
    """How long something is owed is what a person asks."""
    book = Ledger(State(), "UTC")
    book.failed(unit(), "timeout", NOW)
    book.failed(unit(), "pacing", NOW + S)
    assert [("pacing", NOW)] == [(one.reason, one.since_ns) for one in book.owed()]


# --- tap --------------------------------------------------------------------------------------------------------------


def framed(*bodies):
    return b"".join(len(body).to_bytes(4, "big") + body for body in bodies)


@given(st.lists(st.integers(1, 9), max_size=40))
def test_messages_come_whole_however_the_bytes_are_cut(cuts):
    """A socket knows no messages."""
    data = framed(
        wire(178, "20250113 14:30:00 UTC"), wire(9, 1, 1), answer(bar(0), bar(1)), error(162, "x", 5), update(2)
    )
    tap, found = Tap(), []
    for cut in [*cuts, len(data)]:
        found += tap.receive(data[:cut])
        data = data[cut:]
    assert b"178" == tap.server
    assert [(17, 5, answer(bar(0), bar(1))), (4, 5, error(162, "x", 5)), (90, 7, update(2))] == [
        (message.number, message.req_id, message.body) for message in found
    ]
    assert [2, 1] == [len(message.starts_s()) for message in found if message.number != tap_of.ERROR]


@given(st.binary(max_size=60))
def test_noise_is_no_message_that_hurts(body):
    """Whatever a server sends, the tap goes on."""
    tap = Tap()
    list(tap.receive(framed(wire(178, "now"))))
    for message in tap.receive(framed(body, b"17", b"90\0", b"4", answer(bar(0)))):
        message.starts_s()
