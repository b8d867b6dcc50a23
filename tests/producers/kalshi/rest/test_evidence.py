"""What REST lacks is a row with a name, and that we asked is provable: gaps, refusals, coverage, beats."""

import json

import pytest
from rest_bench import TRADED, TRADES, Bench, altering, naming, rehearse, without

from producers.kalshi.rest import asker as asking
from producers.kalshi.rest.door import NoAnswer
from tapefold import wiring
from topics.catalog import H_URL
from topics.codec import decode_beat_notice, decode_coverage_notice
from topics.stations import StationUnresolved


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Retries wait milliseconds, with the same rule."""
    real = asking.Backoff
    monkeypatch.setattr(asking, "Backoff", lambda: real(base_s=0.001, cap_s=0.01))


@pytest.mark.parametrize(
    ("path_part", "name"),
    [
        ("/candlesticks", "candlesticks"),
        ("/markets/trades", "trades"),
        ("/markets?", "markets"),
        ("/events?", "events"),
        ("/series/KXHIGHNY", "series"),
        ("/orderbook", "orderbook"),
    ],
)
def test_an_answer_without_its_list_is_refused_by_name(tmp_path, path_part, name):
    """Whatever path promised it: a row of `dead`, never a metric alone; and nothing of the market counts as fetched."""
    bench = Bench(tmp_path)
    bench.door = altering(without(path_part, name))
    checkpoint, _ = rehearse(tmp_path, bench)
    asked = any(path_part in dict(record.headers)[H_URL].decode() for record in bench.records())
    assert asked == (name != "orderbook"), "a settled day asks for no book"
    if asked:
        assert {"missing_field"} == bench.refusals()
        assert bench.said("rest.refused")
    if name in {"candlesticks", "trades", "markets"}:
        assert not any(known.done for known in checkpoint.markets.values())


def test_candles_that_never_come_are_a_named_gap(tmp_path):
    """Three answers of 200 without one, of a market that traded; the market is done all the same."""
    bench = Bench(tmp_path)

    def alter(path, body):
        return b'{"ticker": "x", "candlesticks": []}' if "/candlesticks" in path else body

    bench.door = altering(alter)
    checkpoint, _ = rehearse(tmp_path, bench)
    assert {(ticker, "candles") for ticker in TRADED} == bench.gaps()
    assert all(known.done for known in checkpoint.markets.values())


def test_what_we_cannot_read_and_the_parser_can_is_a_named_gap(tmp_path):
    """A cutoff without its times, a market without its opening: the parser has no need of them, the plan has."""
    bench = Bench(tmp_path)
    lost = min(TRADES)

    def alter(path, body):
        if "cutoff" in path:
            return b"{}"
        said = json.loads(body)
        for market in said.get("markets", []):
            if market["ticker"] == lost:
                del market["open_time"]
        return json.dumps(said).encode()

    bench.door = altering(alter)
    checkpoint, _ = rehearse(tmp_path, bench)
    told = {(subject, channel) for subject, channel in bench.gaps() if channel != "candles"}
    assert {("cutoff", "listing"), ("KXHIGHNY", "listing")} == told
    assert (set(TRADES) - {lost}, True) == (
        set(checkpoint.markets),
        all(known.done for known in checkpoint.markets.values()),
    )


@pytest.mark.parametrize("code", ["LGA", "NYC"])
def test_a_market_of_another_station_is_left_out_and_the_others_go_on(tmp_path, code):
    """Its listing stands on the log, the parser refuses it, a gap says that its trades are not there; told once."""
    ticker = max(TRADED)
    bench = Bench(tmp_path)
    bench.door = naming(ticker, code)
    if code == "NYC":
        rehearse(tmp_path, bench)
        assert set(TRADED) == {trade.market_ticker for trade in bench.trades()}
        return
    with pytest.raises(StationUnresolved, match=r"series KXHIGHNY: .* the exchange says CLILGA"):
        rehearse(tmp_path, bench)
    assert ticker.encode() not in bench.path.read_bytes(), "no later run asks for it"
    assert set(TRADED) - {ticker} == {trade.market_ticker for trade in bench.trades()}
    assert {"conflict"} == bench.refusals()
    assert (ticker, "trade") in bench.gaps()
    assert [ticker] == [fields["subject"] for fields in bench.said("rest.unresolved")]


def test_a_series_of_another_station_stops_alone_before_anything_of_it_is_fetched(tmp_path):
    """The other series is whole; the status of each stands in the checkpoint."""
    bench = Bench(tmp_path)
    bench.door = naming("KXHIGHNY", "LGA")
    asked = []

    async def rounds(recorder):
        for _ in range(2):
            await recorder.discover()
        await recorder.list_past()
        await recorder.backfill()
        asked.append(recorder.checkpoint.kalshi_series_sync)

    rehearse(tmp_path, bench, series=("KXHIGHNY", "HIGHNY"), rounds=rounds)
    assert [{"KXHIGHNY": "failed", "HIGHNY": "done"}] == asked
    assert [] == bench.trades()
    assert {("KXHIGHNY", "listing")} == bench.gaps()
    assert ["KXHIGHNY"] == [fields["subject"] for fields in bench.said("rest.unresolved")]
    assert {"HIGHNY"} == {subject for subject, *_ in coverage(bench)}


def test_markets_that_were_known_wait_while_their_series_names_another_station(tmp_path):
    """They were listed before it did."""
    bench = Bench(tmp_path)
    bench.door = naming("none", "LGA")

    async def rounds(recorder):
        await recorder.discover()
        await recorder.list_past()
        bench.door.alter = naming("KXHIGHNY", "LGA").alter
        await recorder.discover()
        await recorder.backfill()
        assert [] == bench.trades()
        bench.door.alter = staticmethod(lambda _, body: body)
        await recorder.discover()
        await recorder.backfill()

    rehearse(tmp_path, bench, rounds=rounds)
    assert set(TRADED) == {trade.market_ticker for trade in bench.trades()}


def test_what_the_exchange_takes_back_is_fetched_again(tmp_path):
    """A market whose rules name our station after all has its trades."""
    ticker = max(TRADED)
    bench = Bench(tmp_path)
    bench.door = naming(ticker, "LGA")

    async def rounds(recorder):
        await recorder.discover()
        await recorder.list_past()
        bench.door.alter = staticmethod(lambda _, body: body)
        await recorder.list_past()
        await recorder.backfill()

    rehearse(tmp_path, bench, rounds=rounds)
    assert set(TRADED) == {trade.market_ticker for trade in bench.trades()}


def test_a_closed_market_without_its_market_ends_no_loop(tmp_path):
    """The answer is refused by name, the others are asked for."""
    bench = Bench(tmp_path)
    bench.door = altering(without("/markets/KXHIGHNY", "market"))

    async def rounds(recorder):
        await recorder.discover()
        await recorder.list_past()
        for known in recorder.checkpoint.markets.values():
            known.status = "closed"
        await recorder.clean()

    rehearse(tmp_path, bench, rounds=rounds)
    assert {"missing_field"} == bench.refusals()
    assert len(TRADES) == len(bench.said("rest.refused"))


# --- that we asked ----------------------------------------------------------------------------------------------------


def coverage(bench):
    """(subject, start, end, by whom, record) of the intervals that were told."""
    told = [(decode_coverage_notice(record.value), record) for record in bench.records(b"coverage")]
    assert {"listing"} >= {notice.channel for notice, _ in told}
    return [(n.market_ticker, n.started_ns, n.ended_ns, n.ended_by, record) for n, record in told]


def test_a_run_is_covered_from_its_first_whole_listing_to_its_last(tmp_path):
    """And beats stand on every partition: the last one is a good-bye."""
    bench = Bench(tmp_path)
    rehearse(tmp_path, bench)
    (begun, ended) = coverage(bench)
    assert ("KXHIGHNY", None, None) == (begun[0], begun[2], begun[3])
    assert ("KXHIGHNY", begun[1], "stop") == (ended[0], ended[1], ended[3])
    assert begun[1] <= ended[2] <= int(dict(ended[4].headers)["received_ns"])
    beats = [(record.partition, decode_beat_notice(record.value)) for record in bench.records(b"beat")]
    assert {0, 1} == {partition for partition, _ in beats}
    assert [False, True] == [beat.bye for partition, beat in beats if partition == 1]
    assert {("kalshi.rest", "t")} == {(beat.source, beat.conn) for _, beat in beats}


def gone(_path, _body):
    raise NoAnswer("gone")


@pytest.mark.parametrize("fails", [without("/markets", "markets"), gone], ids=["refused", "gone"])
def test_a_round_that_fails_ends_the_interval_where_it_was_proven(tmp_path, fails):
    """Until the last whole listing, told when it failed; the next whole one begins another."""
    bench = Bench(tmp_path)
    failing = []

    async def rounds(recorder):
        for failing[:] in ([], [True], [True], []):
            await recorder._guarded("discovery", recorder.discover)

    bench.door = altering(lambda path, body: fails(path, body) if failing else body)
    rehearse(tmp_path, bench, rounds=rounds)
    first, ended, second = coverage(bench)
    assert ("gap", first[1]) == (ended[3], ended[1])
    assert first[1] <= ended[2] < int(dict(ended[4].headers)["received_ns"]) <= second[1]
    assert (None, None) == second[2:4]


def test_a_beat_waits_for_answers_that_are_not_appended_yet(tmp_path):
    """Its clock says that all before it stands on the log: a listing on its way holds it back."""
    bench = Bench(tmp_path)
    clocks = []

    async def rounds(recorder):
        def alter(_, body):
            recorder._beat(recorder._beater.beat)
            clocks.append((wiring.now_ns(), decode_beat_notice(bench.records(b"beat")[-1].value).clock_ns))
            return body

        bench.door.alter = staticmethod(alter)
        await recorder.discover()
        recorder._beat(recorder._beater.beat)

    bench.door = altering(None)
    rehearse(tmp_path, bench, rounds=rounds)
    frames = [int(dict(record.headers)["received_ns"]) for record in bench.records()]
    for now_ns, clock_ns in clocks:
        assert clock_ns < min(frame_ns for frame_ns in frames if frame_ns >= now_ns or frame_ns > clock_ns)
        assert clock_ns < now_ns
    last = decode_beat_notice(bench.records(b"beat")[-1].value)
    assert max(frames) <= last.clock_ns
