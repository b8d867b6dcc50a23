"""The session, sans I/O: commands, sequence numbers, snapshots; and that no bytes raise."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.kalshi.commands import ANSWER_TIMEOUT_NS
from producers.kalshi.envelope import read
from producers.kalshi.session import CHANNELS, SNAPSHOT_TICKERS_MAX, SNAPSHOT_TIMEOUT_NS, Session
from producers.kalshi.watch import Watch
from producers.publish import Outgoing
from topics.events import Channel, CoverageNotice, GapNotice
from topics.units import NS_PER_S

A = "KXHIGHNY-26AUG10-B85.5"
B = "KXHIGHNY-26AUG10-B87.5"
BOOK: Channel = "orderbook_delta"
TRADE: Channel = "trade"
TICKER: Channel = "ticker"
LIFECYCLE: Channel = "market_lifecycle_v2"
NOW = 1_786_406_485_000_000_000


def frame(
    kind: str, sid: int | None = None, seq: int | None = None, number: int | None = None, msg: object = None
) -> bytes:
    fields = {"type": kind, "sid": sid, "seq": seq, "id": number, "msg": msg}
    return json.dumps({key: value for key, value in fields.items() if value is not None}).encode()


def delta(seq: int, ticker: str = A, sid: int = 1, **msg: object) -> bytes:
    return frame("orderbook_delta", sid, seq, msg={"market_ticker": ticker, **msg})


def snapshot(seq: int, ticker: str = A, sid: int = 1) -> bytes:
    return frame("orderbook_snapshot", sid, seq, msg={"market_ticker": ticker})


def error(code: int, number: int | None = None, sid: int | None = None, seq: int | None = None) -> bytes:
    return frame("error", sid, seq, number, {"code": code, "msg": "words"})


def sent(session: Session) -> list[dict[str, Any]]:
    return [json.loads(command) for command in session.commands_to_send()]


def take(session: Session, data: bytes, now_ns: int = NOW) -> list[Outgoing]:
    return session.receive(data, read(data), now_ns)


def opened(
    channels: tuple[Channel, ...] = (BOOK,), tickers: Sequence[str] = (A, B), series: Sequence[str] = ()
) -> Session:
    """A session whose channels stand on the sids 1, 2, ..."""
    session = Session("c1", Watch(tickers, series=series), channels)
    for sid, command in enumerate(sent(session), start=1):
        channel = command["params"]["channels"][0]
        take(session, frame("subscribed", number=command["id"], msg={"channel": channel, "sid": sid}))
    return session


def gaps(outs: list[Outgoing]) -> list[GapNotice]:
    return [out.value for out in outs if isinstance(out.value, GapNotice)]


def holes(outs: list[Outgoing]) -> list[tuple[str, str, int | None, int | None]]:
    return [(gap.kind, gap.market_ticker, gap.from_seq, gap.to_seq) for gap in gaps(outs)]


def coverage(outs: list[Outgoing]) -> list[CoverageNotice]:
    return [out.value for out in outs if isinstance(out.value, CoverageNotice)]


def covered(outs: list[Outgoing]) -> list[tuple[int, str, str, str | None]]:
    return [(note.sid, note.channel, note.market_ticker, note.ended_by) for note in coverage(outs)]


# --- commands ---------------------------------------------------------------------------------------------------------


def test_each_channel_is_subscribed_to_by_tickers_and_prices_stay_on_their_own_side() -> None:
    """At open there is one command per channel; the book says `use_yes_price` false, the lifecycle has no filter."""
    commands = sent(Session("c1", Watch([A, B])))
    params = {command["params"]["channels"][0]: command["params"] for command in commands}

    assert ["subscribe"] * 4 == [command["cmd"] for command in commands]
    assert [1, 2, 3, 4] == [command["id"] for command in commands]
    assert {"channels": [BOOK], "market_tickers": [A, B], "use_yes_price": False} == params[BOOK]
    assert {"channels": [TRADE], "market_tickers": [A, B]} == params[TRADE]
    assert {"channels": [TICKER], "market_tickers": [A, B]} == params[TICKER]
    assert {"channels": [LIFECYCLE]} == params[LIFECYCLE]


def test_commands_are_sent_once() -> None:
    """What was taken does not come again before its answer is overdue."""
    session = Session("c1", Watch([A]), (BOOK,))
    first = session.commands_to_send()

    assert (1, [], False) == (len(first), session.commands_to_send(), session.commands_wait)


def test_a_command_without_an_answer_is_sent_again() -> None:
    """After the deadline the same subscription is asked for under a new id."""
    session = Session("c1", Watch([A]), (TRADE,))
    session.commands_to_send()
    session.tick(ANSWER_TIMEOUT_NS - 1)
    early = sent(session)
    session.tick(ANSWER_TIMEOUT_NS)

    assert [] == early
    assert session.commands_wait
    assert [{"id": 2, "cmd": "subscribe", "params": {"channels": [TRADE], "market_tickers": [A]}}] == sent(session)


def test_a_confirmed_subscription_begins_coverage_after_its_frame() -> None:
    """The reply is published first, without a key; then one coverage notice per market, keyed by it."""
    session = Session("c1", Watch([A, B]), (BOOK,))
    session.commands_to_send()
    data = frame("subscribed", number=1, msg={"channel": BOOK, "sid": 7})
    outs = take(session, data)

    assert Outgoing(data, None, NOW, None) == outs[0]
    assert [(7, BOOK, A, None), (7, BOOK, B, None)] == covered(outs[1:])
    assert [A.encode(), B.encode()] == [out.key for out in outs[1:]]
    assert {NOW} == {note.started_ns for note in coverage(outs)}
    session.tick(ANSWER_TIMEOUT_NS)
    assert [] == sent(session), "an answered command is not repeated"


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_a_data_frame_is_published_as_received_under_its_market() -> None:
    """Value: the very bytes; key: the ticker; no notice."""
    session = opened()
    data = b' {"type":"orderbook_snapshot", "sid":1,"seq":9,"msg":{"market_ticker":"%s"}}' % A.encode()

    assert [Outgoing(data, A.encode(), NOW, None)] == take(session, data)


def test_the_first_frame_of_a_sid_is_no_gap() -> None:
    """A recording may begin anywhere."""
    assert [] == gaps(take(opened(), delta(11_852_875)))


def test_a_hole_is_a_gap_for_every_market_of_its_sid_before_the_revealing_frame() -> None:
    """Frames 2 and 3 are missing: nobody can tell whose they were."""
    session = opened()
    take(session, delta(1))
    outs = take(session, delta(4))

    assert [("seq_hole", A, 2, 3), ("seq_hole", B, 2, 3)] == holes(outs[:2])
    assert [A.encode(), B.encode()] == [out.key for out in outs[:2]]
    assert (delta(4), 3) == (outs[2].value, len(outs))
    assert (
        GapNotice(
            source="kalshi.ws",
            conn="c1",
            sid=1,
            channel=BOOK,
            kind="seq_hole",
            market_ticker=A,
            from_seq=2,
            to_seq=3,
            clock_ns=NOW,
        )
        == gaps(outs)[0]
    )
    assert [] == gaps(take(session, delta(5)))


def test_numbers_are_counted_per_sid() -> None:
    """Two subscriptions count for themselves, and a gap names only its own."""
    session = opened((BOOK, TRADE))
    take(session, delta(5))
    take(session, frame("trade", 2, 90, msg={"market_ticker": A}))

    assert [] == gaps(take(session, delta(6)))
    assert [2, 2] == [gap.sid for gap in gaps(take(session, frame("trade", 2, 92, msg={"market_ticker": A})))]


@pytest.mark.parametrize("seq", [1, 2, 3])
def test_a_repeated_number_is_published_and_no_gap(seq: int) -> None:
    """Duplicates are the fold's business; they do not turn the count back."""
    session = opened()
    take(session, delta(1))
    take(session, delta(2))
    take(session, delta(3))
    outs = take(session, delta(seq))

    assert ([delta(seq)], 1) == ([out.value for out in outs], session.stats.repeated)
    assert [] == gaps(take(session, delta(4)))


@pytest.mark.parametrize(
    "control",
    [
        frame("ok", 1, 2, 99, {"market_tickers": [A]}),
        frame("error", 1, 2, 99, {"code": 6}),
        frame("subscribed_again", 1, 2),
        frame("ok", 1, 2, 99, [{"channel": BOOK, "sid": 1}]),
    ],
)
def test_control_frames_of_a_sid_take_a_number(control: bytes) -> None:
    """Replies that carry sid and seq consume a number, in whatever shape they come."""
    session = opened()
    take(session, delta(1))

    assert [Outgoing(control, None, NOW)] == take(session, control)
    assert [] == gaps(take(session, delta(3)))


def test_frames_without_a_number_are_no_gap() -> None:
    """The ticker channel has no seq, and trades had none before 2026."""
    session = opened((TICKER, TRADE))

    assert 1 == len(take(session, frame("ticker", 1, msg={"market_ticker": A})))
    assert 1 == len(take(session, frame("trade", 2, msg={"market_ticker": A})))


def test_data_before_its_confirmation_is_counted_from_the_start() -> None:
    """A sid that speaks before `subscribed` is adopted; its hole concerns all that we watch."""
    session = Session("c1", Watch([A, B]), (TRADE,))
    session.commands_to_send()
    take(session, frame("trade", 5, 1, msg={"market_ticker": A}))
    outs = take(session, frame("trade", 5, 3, msg={"market_ticker": A}))
    take(session, frame("subscribed", number=1, msg={"channel": TRADE, "sid": 5}))

    assert [("seq_hole", A, 2, 2), ("seq_hole", B, 2, 2)] == holes(outs)
    assert [] == gaps(take(session, frame("trade", 5, 4, msg={"market_ticker": A})))


# --- snapshots --------------------------------------------------------------------------------------------------------


def test_a_hole_of_the_book_asks_for_the_snapshots_of_all_its_markets() -> None:
    """One request, by `get_snapshot` on the sid that stands."""
    session = opened()
    for data in (snapshot(1), snapshot(2, B), delta(4)):
        take(session, data)

    assert session.commands_wait
    params = {"sids": [1], "market_tickers": [A, B], "action": "get_snapshot"}
    assert [{"id": 2, "cmd": "update_subscription", "params": params}] == sent(session)


def test_a_hole_of_another_channel_asks_for_nothing() -> None:
    """Only books have snapshots."""
    session = opened((TRADE,))
    take(session, frame("trade", 1, 1, msg={"market_ticker": A}))
    take(session, frame("trade", 1, 3, msg={"market_ticker": A}))

    assert [] == sent(session)


def test_a_delta_without_a_snapshot_asks_for_it_once() -> None:
    """Its market alone, and not again with the next delta."""
    session = opened()
    take(session, delta(1, B))
    first = sent(session)
    take(session, delta(2, B))

    assert [[B]] == [command["params"]["market_tickers"] for command in first]
    assert ([], False) == (sent(session), session.commands_wait)


def test_a_snapshot_that_does_not_come_is_asked_for_again_after_ten_seconds() -> None:
    """By the loop's clock, so that a fast tape does not flood the exchange; what came is not asked for again."""
    session = opened()
    for data in (snapshot(1), snapshot(2, B), delta(4)):
        take(session, data)
    sent(session)
    take(session, snapshot(5, B))
    session.tick(SNAPSHOT_TIMEOUT_NS - 1)
    early = sent(session)
    session.tick(SNAPSHOT_TIMEOUT_NS)

    assert [] == early
    assert [[A]] == [command["params"]["market_tickers"] for command in sent(session)]


def test_snapshots_are_asked_for_in_chunks() -> None:
    """A request names at most 500 markets."""
    tickers = [f"KXHIGHNY-26AUG10-B{number}" for number in range(SNAPSHOT_TICKERS_MAX + 1)]
    session = opened(tickers=tickers)
    take(session, delta(1, tickers[0]))
    sent(session)
    take(session, delta(3, tickers[0]))
    asked = [command["params"]["market_tickers"] for command in sent(session)]

    assert [500] == [len(chunk) for chunk in asked], "one is outstanding already"
    session.tick(SNAPSHOT_TIMEOUT_NS)
    assert [500, 1] == [len(command["params"]["market_tickers"]) for command in sent(session)]


@pytest.mark.parametrize("code", [18, 27])
def test_a_refused_request_for_snapshots_backs_off(code: int) -> None:
    """A second, then two, and so on: not at once, and not never."""
    session = opened()
    take(session, delta(1))
    for pause_s in (1, 2, 4):
        number = sent(session)[0]["id"]
        began_ns = session._loop_ns
        take(session, error(code, number))
        session.tick(began_ns + pause_s * NS_PER_S - 1)
        assert [] == sent(session)
        session.tick(began_ns + pause_s * NS_PER_S)
    assert [[A]] == [command["params"]["market_tickers"] for command in sent(session)]


def test_a_snapshot_that_comes_ends_the_back_off() -> None:
    """The next refusal waits a second again."""
    session = opened()
    take(session, delta(1))
    for _ in range(3):
        take(session, error(27, sent(session)[0]["id"]))
        session.tick(session._loop_ns + 4 * NS_PER_S)
    take(session, snapshot(2))
    take(session, delta(3, B))
    take(session, error(27, sent(session)[-1]["id"]))
    session.tick(session._loop_ns + NS_PER_S)

    assert [[B]] == [command["params"]["market_tickers"] for command in sent(session)]


def test_a_snapshot_carries_the_latest_time_that_its_sid_has_shown_before() -> None:
    """Nothing before any; never an earlier one; of its own sid alone."""
    session = opened()
    first = take(session, snapshot(1))[0]
    take(session, delta(2, ts_ms=5_000))
    take(session, delta(3, ts_ms=4_000))
    take(session, frame("trade", 2, msg={"market_ticker": A, "ts_ms": 9_000}))
    second = take(session, snapshot(4))[0]

    assert (None, 5_000_000_000) == (first.sid_ns, second.sid_ns)
    assert None is take(session, delta(5, ts_ms=6_000))[0].sid_ns


# --- any bytes --------------------------------------------------------------------------------------------------------

names = st.sampled_from(["type", "id", "sid", "seq", "msg", "market_ticker", "ts", "ts_ms", "channel", "code", "x"])
words = st.sampled_from(
    ["subscribed", "ok", "error", "unsubscribed", "event_lifecycle", "orderbook_snapshot", *CHANNELS, A, "\ud7ff", ""]
)
leaves = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.integers(0, 30) | st.floats() | words | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6))
frames = (
    st.binary()
    | st.dictionaries(names, values).map(lambda value: json.dumps(value).encode())
    | st.builds(
        lambda kind, sid, seq, number, msg: json.dumps(
            {"type": kind, "sid": sid, "seq": seq, "id": number, "msg": msg}
        ).encode(),
        words,
        st.integers(0, 3),
        st.integers(0, 9) | values,
        st.integers(0, 9),
        st.dictionaries(names, leaves | st.lists(words, max_size=2)),
    )
)


@settings(max_examples=300, deadline=None)
@given(st.lists(frames, max_size=12))
def test_no_bytes_raise_and_nothing_is_published_twice(data: list[bytes]) -> None:
    """Whatever comes is published once and as it came, unless it is about a market of others."""
    session = opened(CHANNELS, series=["KXHIGHNY"])
    for number, piece in enumerate(data, start=1):
        before = sum(session.stats.dropped.values())
        outs = take(session, piece)
        dropped = sum(session.stats.dropped.values()) - before
        assert [piece] * (1 - dropped) == [out.value for out in outs if isinstance(out.value, bytes)]
        session.tick(number * NS_PER_S)
        for command in session.commands_to_send():
            json.loads(command)
    session.lost("stall", NOW)
