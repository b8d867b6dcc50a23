"""The session, sans I/O: errors, the end of subscriptions and connections, markets that join."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from producers.kalshi.commands import ANSWER_TIMEOUT_NS, REACTIONS, RETRY_CAP_NS
from producers.kalshi.envelope import read
from producers.kalshi.session import Session
from producers.kalshi.watch import Watch
from producers.publish import Outgoing
from topics.events import Channel, CoverageNotice, GapKind, GapNotice
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


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "kind"), [(10, "channel_error"), (25, "overflow")])
def test_a_terminal_error_is_a_gap_and_a_new_subscription_of_its_channel(code: int, kind: str) -> None:
    """Gaps, the frame, the end of coverage; then the channel is subscribed to again with the same markets."""
    session = opened((BOOK, TRADE))
    take(session, snapshot(7))
    data = error(code, sid=1, seq=8)
    outs = take(session, data, NOW + 1)

    assert [(kind, A, 9, None), (kind, B, 9, None)] == holes(outs[:2])
    assert Outgoing(data, None, NOW + 1) == outs[2]
    assert [(1, BOOK, A, "gap"), (1, BOOK, B, "gap")] == covered(outs[3:])
    assert [(NOW, NOW + 1)] * 2 == [(note.started_ns, note.ended_ns) for note in coverage(outs)]
    params = {"channels": [BOOK], "market_tickers": [A, B], "use_yes_price": False}
    assert [params] == [command["params"] for command in sent(session)]


def test_markets_that_were_joining_an_ended_subscription_join_the_new_one() -> None:
    """Their command went to a sid that is gone."""
    session = opened((TRADE,), (A,))
    session.add([B], NOW)
    sent(session)
    take(session, error(10, sid=1, seq=1))

    assert [{"channels": [TRADE], "market_tickers": [A, B]}] == [command["params"] for command in sent(session)]
    session.tick(ANSWER_TIMEOUT_NS)
    assert ["subscribe"] == [command["cmd"] for command in sent(session)], "the old command is forgotten"


def test_an_ended_lifecycle_channel_is_subscribed_to_without_a_filter() -> None:
    """It honours none; its gaps are those of every market that we watch."""
    session = opened((LIFECYCLE,))
    outs = take(session, error(25, sid=1, seq=4))

    assert [("overflow", A, 5, None), ("overflow", B, 5, None)] == holes(outs)
    assert [{"channels": [LIFECYCLE]}] == [command["params"] for command in sent(session)]


def test_an_ended_sid_is_not_adopted_by_a_straggler() -> None:
    """A frame that was under way is published; it does not revive its subscription."""
    session = opened()
    take(session, error(10, sid=1, seq=8))
    outs = take(session, delta(20))

    assert [Outgoing(delta(20), A.encode(), NOW)] == outs
    assert [] == session.lost("disconnect", NOW)


def test_an_unknown_subscription_is_a_lost_one() -> None:
    """Error 7 to an update: the exchange does not know the sid any more."""
    session = opened()
    take(session, delta(1))
    number = sent(session)[0]["id"]
    outs = take(session, error(7, number))

    assert ["channel_error"] * 2 == [gap.kind for gap in gaps(outs)]
    assert [[BOOK]] == [command["params"]["channels"] for command in sent(session)]


def test_a_late_error_to_a_forgotten_command_ends_nothing() -> None:
    """Only what is known to be ours is given up."""
    session = opened()

    assert [Outgoing(error(7, 77), None, NOW)] == take(session, error(7, 77))
    assert [] == sent(session)


def test_a_terminal_error_that_names_nothing_ends_everything() -> None:
    """Better one gap too many than silence."""
    session = opened((BOOK, TRADE))

    assert 4 == len(gaps(take(session, error(25))))
    assert [BOOK, TRADE] == [command["params"]["channels"][0] for command in sent(session)]


@pytest.mark.parametrize("code", [17, 18, 27])
def test_a_subscription_that_failed_for_now_is_tried_again(code: int) -> None:
    """After a pause that doubles, to an upper bound."""
    session = Session("c1", Watch([A]), (TRADE,))
    for pause_ns in [NS_PER_S << doubling for doubling in range(5)] + [RETRY_CAP_NS] * 2:
        number = sent(session)[0]["id"]
        take(session, error(code, number))
        began_ns = session._loop_ns
        session.tick(began_ns + pause_ns - 1)
        assert [] == sent(session)
        session.tick(began_ns + pause_ns)
        assert session.commands_wait


@pytest.mark.parametrize("code", [6, 16])
def test_retired_errors_are_tolerated(code: int) -> None:
    """They are published, and nothing follows."""
    session = Session("c1", Watch([A]), (TRADE,))
    number = sent(session)[0]["id"]
    outs = take(session, error(code, number))

    assert [Outgoing(error(code, number), None, NOW)] == outs
    assert (None, []) == (session.refusal, sent(session))


@pytest.mark.parametrize("code", sorted(code for code, reaction in REACTIONS.items() if reaction == "refuse"))
def test_errors_that_repeating_cannot_mend_are_named(code: int) -> None:
    """The frame is published, then the session refuses to go on, in words."""
    session = Session("c1", Watch([A]), (TRADE,))
    number = sent(session)[0]["id"]
    outs = take(session, error(code, number))

    assert [error(code, number)] == [out.value for out in outs]
    assert f"Kalshi answered subscribe of trade with error {code} (words); " in str(session.refusal)


def test_authentication_names_the_key() -> None:
    """Error 9 is the operator's to mend."""
    session = opened()
    take(session, error(9))

    assert (
        "Kalshi answered no command of ours with error 9 (words); check KALSHI_API_KEY_ID and its private key"
        == str(session.refusal)
    )


def test_too_many_markets_are_split_in_halves_until_they_fit() -> None:
    """Each half is a subscription of its own; one market that does not fit is refused."""
    session = Session("c1", Watch([A, B]), (BOOK,))
    take(session, error(26, sent(session)[0]["id"]))
    halves = sent(session)

    assert [[A], [B]] == [command["params"]["market_tickers"] for command in halves]
    for sid, command in enumerate(halves, start=1):
        take(session, frame("subscribed", number=command["id"], msg={"channel": BOOK, "sid": sid}))
    assert [(1, [A]), (2, [B])] == [(sub.sid, list(sub.markets)) for sub in session.subscriptions]
    assert [] == sent(session)
    session = Session("c1", Watch([A]), (BOOK,))
    take(session, error(26, sent(session)[0]["id"]))
    assert "error 26" in str(session.refusal)


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["disconnect", "stall"])
def test_a_lost_connection_is_a_gap_per_market_and_sid_and_the_end_of_coverage(kind: GapKind) -> None:
    """From the number after the last one, or from nowhere on channels that have none."""
    session = opened((BOOK, TICKER))
    take(session, delta(41))
    take(session, frame("ticker", 2, msg={"market_ticker": A}))
    outs = session.lost(kind, NOW + 5)

    assert [(kind, A, 42, None), (kind, B, 42, None), (kind, A, None, None), (kind, B, None, None)] == holes(outs[:4])
    assert [(1, BOOK, A, "gap"), (1, BOOK, B, "gap"), (2, TICKER, A, "gap"), (2, TICKER, B, "gap")] == covered(outs[4:])
    assert {NOW + 5} == {note.ended_ns for note in coverage(outs)} | {gap.clock_ns for gap in gaps(outs)}


def test_a_clean_stop_ends_coverage_without_a_gap() -> None:
    """What we did not want to record is not missing."""
    outs = opened((BOOK,)).stopped(NOW + 5)

    assert ([], [(1, BOOK, A, "stop"), (1, BOOK, B, "stop")]) == (gaps(outs), covered(outs))


def test_an_unsubscription_that_we_did_not_ask_for_is_a_gap() -> None:
    """It takes its number, and the channel is subscribed to again."""
    session = opened((TRADE,))
    take(session, frame("trade", 1, 1, msg={"market_ticker": A}))
    outs = take(session, frame("unsubscribed", 1, 2))

    assert [("channel_error", A, 3, None), ("channel_error", B, 3, None)] == holes(outs)
    assert 1 == len(sent(session))


def test_a_frame_that_the_log_refuses_is_a_gap_of_one() -> None:
    """Too large for the log: its number is missing there, for every market of its sid."""
    session = opened()
    take(session, snapshot(5))

    assert [("seq_hole", A, 5, 5), ("seq_hole", B, 5, 5)] == holes(session.unrecorded(read(snapshot(5)), NOW))


# --- new markets and the lifecycle ------------------------------------------------------------------------------------


def lifecycle(seq: int, ticker: str, event_type: str = "created", sid: int = 2) -> bytes:
    return frame(LIFECYCLE, sid, seq, msg={"market_ticker": ticker, "event_type": event_type})


@pytest.mark.parametrize("event_type", ["created", "activated"])
def test_a_new_market_of_a_watched_series_joins_every_channel(event_type: str) -> None:
    """It is added to the filtered sids; coverage begins with the answer, on the lifecycle channel at once."""
    session = opened((BOOK, LIFECYCLE), (A,), series=["KXHIGHNY"])
    outs = take(session, lifecycle(1, B, event_type))
    (command,) = sent(session)

    assert B.encode() == outs[0].key
    assert [(2, LIFECYCLE, B, None)] == covered(outs)
    assert {"sids": [1], "market_tickers": [B], "action": "add_markets"} == command["params"]
    answer = take(session, frame("ok", 1, 1, command["id"], {"market_tickers": [A, B]}))
    assert [(1, BOOK, B, None)] == covered(answer)
    assert [] == sent(session)


def test_a_market_that_the_answer_does_not_name_is_not_covered() -> None:
    """`ok` carries the full list; with `skip_ticker_ack` none, then the command tells."""
    session = opened((BOOK,), (A,), series=["KXHIGHNY"])
    session.add([B], NOW)
    number = sent(session)[0]["id"]

    assert [] == covered(take(session, frame("ok", 1, 1, number, {"market_tickers": [A]})))
    session.add([B], NOW)
    number = sent(session)[0]["id"]
    assert [(1, BOOK, B, None)] == covered(take(session, frame("ok", 1, 2, number, {})))


def test_markets_that_join_while_a_subscription_is_under_way_follow_it() -> None:
    """No second subscription meanwhile, and nobody is forgotten."""
    session = Session("c1", Watch([A]), (TRADE,))
    number = sent(session)[0]["id"]
    session.add([B], NOW)
    meanwhile = sent(session)
    outs = take(session, frame("subscribed", number=number, msg={"channel": TRADE, "sid": 1}))

    assert ([], [(1, TRADE, A, None)]) == (meanwhile, covered(outs))
    assert ["add_markets"] == [command["params"]["action"] for command in sent(session)]


def test_lifecycle_frames_of_others_are_counted_and_left_out_but_their_numbers_count() -> None:
    """The channel tells of every market of the exchange."""
    session = opened((BOOK, LIFECYCLE), (A,))
    take(session, lifecycle(1, A))

    assert [] == take(session, lifecycle(2, "KXBTC-26AUG10-T1"))
    assert [] == take(session, frame("event_lifecycle", 2, 3, msg={"event_ticker": "KXBTC-26AUG10"}))
    assert {LIFECYCLE: 1, "event_lifecycle": 1} == session.stats.dropped
    assert [] == gaps(take(session, lifecycle(4, A)))
    assert [("seq_hole", A, 5, 5)] == holes(take(session, lifecycle(6, "KXBTC-26AUG10-T1")))


def test_events_of_watched_markets_are_published_without_a_key() -> None:
    """An event names no market; a frame that names nothing at all is for ingest to refuse."""
    session = opened((LIFECYCLE,), (A,))
    ours = frame("event_lifecycle", 1, 1, msg={"event_ticker": "KXHIGHNY-26AUG10", "series_ticker": "KXHIGHNY"})
    nameless = frame(LIFECYCLE, 1, 2, msg={"event_type": "created"})

    assert [Outgoing(ours, None, NOW)] == take(session, ours)
    assert [Outgoing(nameless, None, NOW)] == take(session, nameless)
