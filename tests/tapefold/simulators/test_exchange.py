"""The exchange without sockets: commands and recorded frames in, frames out."""

# the expected value stands on the left, by the rule of this repo

import json
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from tapefold.simulators.kalshi.books import UnfoldableFrame
from tapefold.simulators.kalshi.exchange import Exchange, Session
from tapefold.simulators.kalshi.faults import Faults
from tapefold.simulators.kalshi.recording import Frame
from tapefold.simulators.kalshi.wire import ERROR_TEXT

BOOKS: dict[str, Any] = {"channels": ["orderbook_delta"], "market_tickers": ["A", "B"]}


def recorded(kind: str, market: str, at_ms: int = 1, **msg: Any) -> Frame:
    """A recorded frame of one market."""
    body = msgspec.Raw(json.dumps({"market_ticker": market, **msg}, separators=(",", ":")).encode())
    texts = [str(msg.get(name, "")) for name in ("price_dollars", "delta_fp", "side")]
    return Frame(at_ms, 0, 1, kind, market, body, texts[0], texts[1], texts[2])


def snapshot(market: str, **sides: list[list[str]]) -> Frame:
    """A recorded book."""
    named: dict[str, Any] = {f"{side}_dollars_fp": levels for side, levels in sides.items()}
    return recorded("orderbook_snapshot", market, market_id=f"id-{market}", **named)


def delta(market: str, price: str = "0.5000", size: str = "1.00", side: str = "yes") -> Frame:
    """A recorded change of one level."""
    return recorded("orderbook_delta", market, market_id=f"id-{market}", price_dollars=price, delta_fp=size, side=side)


def trade(market: str = "A") -> Frame:
    """A recorded trade."""
    return recorded("trade", market, yes_price_dollars="0.5000")


def start(faults: Faults | None = None, seed: int = 1) -> tuple[Exchange, Session]:
    """An exchange and its first connection."""
    exchange = Exchange(faults or Faults(), seed)
    return exchange, exchange.connect()


def ask(session: Session, cmd: str, command_id: int = 1, **params: Any) -> list[dict[str, Any]]:
    """Send a command; the frames that came out."""
    command: dict[str, Any] = {"id": command_id, "cmd": cmd}
    session.receive(json.dumps(command | ({"params": params} if params else {})))
    return taken(session)


def taken(session: Session) -> list[dict[str, Any]]:
    """What has come out since, decoded."""
    frames = [json.loads(payload) for payload in session.out]
    session.out.clear()
    return frames


def test_subscribe_gives_each_channel_its_own_sid_and_reply() -> None:
    """One `subscribed` per channel, all with the id of the command."""
    _, session = start()
    replies = ask(session, "subscribe", 7, channels=["orderbook_delta", "trade"], market_ticker="A")
    assert [
        {"id": 7, "type": "subscribed", "msg": {"channel": "orderbook_delta", "sid": 1}},
        {"id": 7, "type": "subscribed", "msg": {"channel": "trade", "sid": 2}},
    ] == replies


def test_an_undisturbed_run_sends_the_recorded_frames_and_nothing_else() -> None:
    """Subscribed before the recording starts, a client gets each `msg` byte for byte, numbered per sid from 1."""
    exchange, session = start()
    ask(session, "subscribe", channels=["orderbook_delta", "trade", "ticker"], market_tickers=["A"])
    for frame in (snapshot("A", yes=[["0.4000", "3.00"]]), trade(), delta("A"), recorded("ticker", "A"), delta("Z")):
        exchange.advance(frame)
    book = b'{"market_ticker":"A","market_id":"id-A","yes_dollars_fp":[["0.4000","3.00"]]}'
    change = b'{"market_ticker":"A","market_id":"id-A","price_dollars":"0.5000","delta_fp":"1.00","side":"yes"}'
    assert [
        b'{"type":"orderbook_snapshot","sid":1,"seq":1,"msg":%b}' % book,
        b'{"type":"trade","sid":2,"seq":1,"msg":{"market_ticker":"A","yes_price_dollars":"0.5000"}}',
        b'{"type":"orderbook_delta","sid":1,"seq":2,"msg":%b}' % change,
        b'{"type":"ticker","sid":3,"msg":{"market_ticker":"A"}}',
    ] == session.out


def test_a_late_subscriber_gets_the_book_as_folded_meanwhile() -> None:
    """Books are kept while nobody listens; markets not shown yet get no snapshot."""
    exchange, session = start()
    exchange.advance(snapshot("A", yes=[["0.4000", "3.00"], ["0.4100", "1.50"]], no=[["0.5000", "2.00"]]))
    exchange.advance(delta("A", "0.4100", "-1.50"))
    exchange.advance(delta("A", "0.3900", "0.25"))
    exchange.advance(delta("A", "0.5000", "-2.00", "no"))
    frames = ask(session, "subscribe", **BOOKS)
    assert [
        {
            "type": "orderbook_snapshot",
            "sid": 1,
            "seq": 1,
            "msg": {
                "market_ticker": "A",
                "market_id": "id-A",
                "yes_dollars_fp": [["0.3900", "0.25"], ["0.4000", "3.00"]],
            },
        }
    ] == frames[1:]


def test_an_empty_book_has_no_side_keys() -> None:
    """A market whose book is shown but empty gets a snapshot without levels."""
    exchange, session = start()
    exchange.advance(snapshot("A"))
    assert {"market_ticker": "A", "market_id": "id-A"} == ask(session, "subscribe", **BOOKS)[1]["msg"]


def test_a_recording_that_began_with_deltas_shows_no_negative_level() -> None:
    """An exchange has no level below zero, so a fragment's are left out of a snapshot."""
    exchange, session = start()
    exchange.advance(delta("A", "0.4000", "-3.00"))
    exchange.advance(delta("A", "0.3000", "2.00"))
    assert [["0.3000", "2.00"]] == ask(session, "subscribe", **BOOKS)[1]["msg"]["yes_dollars_fp"]


def test_frames_of_the_integer_cent_era_pass_without_touching_a_book() -> None:
    """A delta without dollar fields is delivered, and no book is made of it."""
    exchange, session = start()
    ask(session, "subscribe", **BOOKS)
    exchange.advance(recorded("orderbook_delta", "A", price=40, delta=3, side="yes"))
    assert 1 == len(taken(session))
    assert None is exchange.books.get("A")


@pytest.mark.parametrize("bad", [delta("A", "cheap"), delta("A", size="many"), delta("A", side="maybe")])
def test_a_delta_that_cannot_be_folded_is_an_error(bad: Frame) -> None:
    """A book that cannot be kept right stops the run instead of going on wrong."""
    exchange, _ = start()
    with pytest.raises(UnfoldableFrame, match="orderbook_delta of A"):
        exchange.advance(bad)


def test_lifecycle_ignores_the_filter() -> None:
    """The lifecycle channel delivers all markets, and its three kinds of frames on one sid."""
    exchange, session = start()
    ask(session, "subscribe", channels=["market_lifecycle_v2"], market_tickers=["A"])
    for kind in ("market_lifecycle_v2", "event_lifecycle", "event_fee_update"):
        exchange.advance(recorded(kind, "Z"))
    assert [("market_lifecycle_v2", 1), ("event_lifecycle", 2), ("event_fee_update", 3)] == [
        (frame["type"], frame["seq"]) for frame in taken(session)
    ]


def test_trades_without_a_filter_are_all_trades_and_with_one_its_markets() -> None:
    """The filter is optional on `trade`."""
    exchange, everything = start()
    some = exchange.connect()
    ask(everything, "subscribe", channels=["trade"])
    ask(some, "subscribe", channels=["trade"], market_tickers=["B"])
    for market in "ABC":
        exchange.advance(trade(market))
    assert ["A", "B", "C"] == [frame["msg"]["market_ticker"] for frame in taken(everything)]
    assert ["B"] == [frame["msg"]["market_ticker"] for frame in taken(some)]


def test_recorded_replies_are_passed_over() -> None:
    """The simulator makes its own `subscribed`; those on the tape go to nobody."""
    exchange, session = start()
    ask(session, "subscribe", channels=["trade"])
    exchange.advance(recorded("subscribed", ""))
    assert [] == session.out


def test_update_subscription_adds_and_deletes_markets_with_numbered_replies() -> None:
    """`ok` lists all markets of the sid, takes a number, and new markets get their snapshot after it."""
    exchange, session = start()
    exchange.advance(snapshot("A"))
    exchange.advance(snapshot("B"))
    ask(session, "subscribe", channels=["orderbook_delta"], market_ticker="A")
    added = ask(session, "update_subscription", 5, sid=1, action="add_markets", market_tickers=["B", "A"])
    assert {"id": 5, "type": "ok", "sid": 1, "seq": 2, "msg": {"market_tickers": ["A", "B"]}} == added[0]
    assert [("orderbook_snapshot", 3, "B")] == [(f["type"], f["seq"], f["msg"]["market_ticker"]) for f in added[1:]]
    deleted = ask(session, "update_subscription", 6, sids=[1], action="delete_markets", market_ticker="A")
    assert [{"id": 6, "type": "ok", "sid": 1, "seq": 4, "msg": {"market_tickers": ["B"]}}] == deleted
    exchange.advance(delta("A"))
    exchange.advance(delta("B"))
    assert [("B", 5)] == [(frame["msg"]["market_ticker"], frame["seq"]) for frame in taken(session)]


def test_get_snapshot_repeats_books_with_the_id_of_the_command() -> None:
    """The reply is the snapshot itself, with id and the next number; the subscription does not change."""
    exchange, session = start()
    exchange.advance(snapshot("A"))
    ask(session, "subscribe", **BOOKS)
    frames = ask(session, "update_subscription", 9, sid=1, action="get_snapshot", market_tickers=["A", "B"])
    assert [(9, "orderbook_snapshot", 2, "A")] == [
        (frame["id"], frame["type"], frame["seq"], frame["msg"]["market_ticker"]) for frame in frames
    ]
    refused = ask(session, "update_subscription", 9, sid=1, action="get_snapshot", market_tickers=["Q"])
    assert [(11, ["Q"])] == [(frame["msg"]["code"], frame["msg"]["market_tickers"]) for frame in refused]


def test_unsubscribe_answers_per_sid_and_ends_the_flow() -> None:
    """Each sid's `unsubscribed` takes its next number; `ticker`, unnumbered, counts from 1; unknown ones are error 7."""
    exchange, session = start()
    ask(session, "subscribe", channels=["trade", "ticker"])
    exchange.advance(trade())
    taken(session)
    assert [
        {"id": 3, "type": "unsubscribed", "sid": 1, "seq": 2},
        {"id": 3, "type": "unsubscribed", "sid": 2, "seq": 1},
        {"id": 3, "type": "error", "msg": {"code": 7, "msg": "Unknown subscription ID"}},
    ] == ask(session, "unsubscribe", 3, sids=[1, 2, 99])
    exchange.advance(trade())
    assert [] == session.out
    assert 3 == ask(session, "subscribe", channels=["trade"])[0]["msg"]["sid"]


def test_replies_without_numbers_can_be_asked_for() -> None:
    """Whether replies consume a number is not documented, so both can be had."""
    exchange, session = start(Faults(replies_take_seq=False))
    ask(session, "subscribe", **BOOKS)
    ok = ask(session, "update_subscription", sid=1, action="add_markets", market_ticker="C")
    assert [{"id": 1, "type": "ok", "sid": 1, "msg": {"market_tickers": ["A", "B", "C"]}}] == ok
    exchange.advance(delta("C"))
    assert 1 == taken(session)[0]["seq"]


def test_subscribing_again_keeps_the_sid_and_widens_it() -> None:
    """The retired error 6 is not sent; the markets are those of both commands."""
    exchange, session = start()
    ask(session, "subscribe", channels=["orderbook_delta"], market_ticker="A")
    assert 1 == ask(session, "subscribe", channels=["orderbook_delta"], market_ticker="B")[0]["msg"]["sid"]
    exchange.advance(delta("A"))
    exchange.advance(delta("B"))
    assert [1, 2] == [frame["seq"] for frame in taken(session)]


def test_list_subscriptions_lists_sids_and_channels() -> None:
    """Without params; ids of 0 are as if absent."""
    _, session = start()
    ask(session, "subscribe", channels=["trade", "fill"])
    listed = [{"channel": "trade", "sid": 1}, {"channel": "fill", "sid": 2}]
    assert [{"id": 2, "type": "ok", "msg": listed}] == ask(session, "list_subscriptions", 2)
    assert [{"type": "ok", "msg": listed}] == ask(session, "list_subscriptions", 0)


def test_a_ticker_subscription_can_ask_for_the_latest_tickers() -> None:
    """`send_initial_snapshot` sends what the recording last showed; `skip_ticker_ack` leaves lists out of `ok`."""
    exchange, session = start()
    exchange.advance(recorded("ticker", "A", price_dollars="0.1000"))
    exchange.advance(recorded("ticker", "A", price_dollars="0.2000"))
    asked: dict[str, Any] = {
        "channels": ["ticker"],
        "market_tickers": ["A"],
        "send_initial_snapshot": True,
        "skip_ticker_ack": True,
    }
    assert "0.2000" == ask(session, "subscribe", **asked)[1]["msg"]["price_dollars"]
    ok = ask(session, "update_subscription", sid=1, action="add_markets", market_ticker="B")
    assert [{"id": 1, "type": "ok", "sid": 1, "msg": {}}] == ok


@pytest.mark.parametrize(
    ("cmd", "params", "code"),
    [
        ("subscribe", {}, 2),
        ("subscribe", {"market_ticker": "A"}, 3),
        ("unsubscribe", {"action": "x"}, 4),
        ("dance", {}, 5),
        ("update_subscription", {"sid": 99, "action": "add_markets", "market_ticker": "A"}, 7),
        ("subscribe", {"channels": ["trade", "ticker_v2"]}, 8),
        ("subscribe", {"channels": ["trade"], "market_ticker": "A", "market_tickers": ["B"]}, 11),
        ("subscribe", {"channels": ["orderbook_delta"], "market_ticker": "A", "use_yes_price": True}, 11),
        ("subscribe", {"channels": ["trade"], "market_tickers": []}, 11),
        ("update_subscription", {"sid": 2, "action": "add_markets", "market_ticker": "A"}, 11),
        ("update_subscription", {"sids": [1, 2], "action": "add_markets"}, 12),
        ("update_subscription", {"sid": 1, "sids": [1], "action": "add_markets"}, 12),
        ("update_subscription", {"sid": 1, "action": "explode"}, 13),
        ("update_subscription", {"sid": 2, "action": "get_snapshot", "market_ticker": "A"}, 13),
        ("subscribe", {"channels": ["orderbook_delta"]}, 14),
        ("update_subscription", {"sid": 1, "action": "add_markets"}, 14),
        ("update_subscription", {"sid": 1}, 15),
    ],
)
def test_a_bad_command_is_answered_by_its_error(cmd: str, params: dict[str, Any], code: int) -> None:
    """Each mistake has the vendor's code and words, and the subscriptions stand as before."""
    _, session = start()
    ask(session, "subscribe", channels=["orderbook_delta", "trade"], market_ticker="A")
    if params.get("sid") == 2:  # an unfiltered one is meant
        ask(session, "unsubscribe", sids=[2])
        params |= {"sid": ask(session, "subscribe", channels=["trade"])[0]["msg"]["sid"]}
    replies = ask(session, cmd, 4, **params)
    assert [{"id": 4, "type": "error", "msg": {"code": code, "msg": ERROR_TEXT[code]}}] == replies
    assert 2 == len(ask(session, "list_subscriptions")[0]["msg"])


@pytest.mark.parametrize("text", ["", "[]", "{", '{"cmd":1}', '{"id":-1,"cmd":"list_subscriptions"}', b"\xff"])
def test_what_is_no_command_is_error_1(text: str | bytes) -> None:
    """An unreadable frame is answered without id, and the connection stands."""
    _, session = start()
    session.receive(text)
    assert [{"type": "error", "msg": {"code": 1, "msg": "Unable to process message"}}] == taken(session)


def test_drop_seq_leaves_out_one_number_per_channel_of_the_first_connection() -> None:
    """The number is consumed and the exchange's own book takes the frame; later connections and sids are spared."""
    exchange, session = start(Faults(drop_seq=2))
    second = exchange.connect()
    for client in (session, second):
        ask(client, "subscribe", channels=["orderbook_delta", "trade"], market_tickers=["A"])
    for frame in (snapshot("A"), delta("A", "0.4000", "1.00"), delta("A", "0.4000", "2.00"), trade(), trade(), trade()):
        exchange.advance(frame)
    assert [(1, 1), (1, 3), (2, 1), (2, 3)] == [(frame["sid"], frame["seq"]) for frame in taken(session)]
    assert 6 == len(taken(second))
    book = exchange.books.get("A")
    assert book is not None
    assert {Decimal("0.4000"): Decimal("3.00")} == book.yes
    assert Counter(orderbook_delta=1, trade=1) == exchange.counters.dropped
    ask(session, "unsubscribe", sids=[2])
    ask(session, "subscribe", channels=["trade"])
    for _ in range(3):
        exchange.advance(trade())
    assert [1, 2, 3] == [frame["seq"] for frame in taken(session)]


def test_duplicates_are_identical_and_follow_the_seed() -> None:
    """A second copy has the same bytes, its sid and number included; the same seed doubles the same frames."""

    def run(seed: int) -> list[bytes]:
        exchange, session = start(Faults(duplicate_probability=0.3), seed)
        ask(session, "subscribe", channels=["trade"])
        for _ in range(400):
            exchange.advance(trade())
        doubled = [first for first, second in pairwise(session.out) if first == second]
        assert exchange.counters.duplicated["trade"] == len(doubled)
        assert 400 == exchange.counters.sent["trade"]
        return doubled

    assert 60 < len(run(1)) < 180
    assert run(1) == run(1)
    assert run(2) != run(1)


def test_a_cut_is_due_after_exactly_n_data_frames_and_what_follows_is_lost() -> None:
    """The cut comes after frame N, snapshots counted; losses are counted until somebody subscribes."""
    exchange, session = start(Faults(disconnect_every_frames=3))
    ask(session, "subscribe", channels=["trade"])
    for _ in range(5):
        exchange.advance(trade())
    assert session.cut_due
    assert exchange.attention
    assert [1, 2, 3] == [frame["seq"] for frame in taken(session)]
    exchange.disconnect(session)
    exchange.advance(trade())
    assert Counter(trade=3) == exchange.counters.lost
    again = exchange.connect()
    ask(again, "subscribe", channels=["trade"])
    exchange.advance(trade())
    assert [1] == [frame["seq"] for frame in taken(again)]
    assert Counter(trade=3) == exchange.counters.lost
    assert Counter(trade=4) == exchange.counters.sent
    assert Counter(trade=7) == exchange.counters.passed


def test_frames_that_a_leaving_client_was_not_sent_count_as_lost() -> None:
    """What stands in `out` when the client leaves (a stall) moves from sent to lost; a second copy just goes."""
    exchange, session = start(Faults(duplicate_probability=1.0))
    ask(session, "subscribe", channels=["trade"])
    exchange.advance(trade())
    exchange.disconnect(session)
    assert (0, 1, 0) == tuple(
        counted["trade"] for counted in (exchange.counters.sent, exchange.counters.lost, exchange.counters.duplicated)
    )


def test_one_stall_is_due_once() -> None:
    """The first connection to reach the number of frames stalls; nobody does again."""
    exchange, session = start(Faults(stall_s=1.0, stall_after_frames=2))
    ask(session, "subscribe", channels=["trade"])
    exchange.advance(trade())
    assert not session.stall_due
    exchange.advance(trade())
    assert session.stall_due
    session.stall_due = False
    exchange.advance(trade())
    assert not session.stall_due


def test_after_the_end_a_subscriber_is_finished_at_once() -> None:
    """It gets its `subscribed` replies, no book, and is to be closed."""
    exchange, session = start()
    exchange.advance(snapshot("A"))
    exchange.finish()
    assert ["subscribed"] == [frame["type"] for frame in ask(session, "subscribe", **BOOKS)]
    assert session.finished
