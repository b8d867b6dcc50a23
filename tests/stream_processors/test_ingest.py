"""The first stage: raw records in, facts out, beats behind them; whatever is refused says why."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kalshi_frames import DELTA, REPLIES, SETTLED, SNAPSHOT, TICKER, TRADE, with_msg

from stream_processors.ingest import WATERMARK_TOPICS, ingest
from stream_processors.registry import PARSERS
from topics.catalog import BY_NAME, DEAD, FACT_BOOK, FACT_GAP, FACT_MARKET, FACT_TICK, FACT_TRADE, RAW_KALSHI_WS
from topics.codec import decode_dead, decode_fact, encode
from topics.events import Beat, BeatNotice, BookDelta, BookSnapshot, Cause, Coverage, CoverageNotice, Gap, GapNotice
from topics.log import Record

PARTITION = 2
PARTITIONS = 4
RECEIVED_NS = 1_776_000_001_000_000_000
LAST_NS = 2**63 - 1
MIAMI = "KXHIGHMIA-26APR11-B83.5"


def record(offset, kind, value, *, key=b"k", **headers):
    """A raw record as a recorder writes it; a header set to ... is left out."""
    all_headers = {"kind": kind, "conn": b"c1", "received_ns": b"%d" % RECEIVED_NS, "clock": b"wall"} | headers
    written = tuple((name, text) for name, text in all_headers.items() if text is not ...)
    return Record(RAW_KALSHI_WS, PARTITION, offset, 0, key, written, value)


def frame(offset, body, **headers):
    return record(offset, b"frame", body if isinstance(body, bytes) else json.dumps(body).encode(), **headers)


def beat(offset, clock_ns, *, conn="c1", lease_ns=30, bye=False, source="kalshi.ws"):
    notice = BeatNotice(source=source, conn=conn, clock_ns=clock_ns, lease_ns=lease_ns, bye=bye)
    return record(offset, b"beat", encode(notice))


def gap(offset, channel="orderbook_delta", from_seq=5, to_seq=6, **headers):
    notice = GapNotice(
        source="kalshi.ws",
        conn="c1",
        sid=13,
        channel=channel,
        kind="disconnect" if to_seq is None else "seq_hole",
        market_ticker=MIAMI,
        from_seq=from_seq,
        to_seq=to_seq,
        clock_ns=RECEIVED_NS + 7,
    )
    return record(offset, b"gap", encode(notice), **headers)


def coverage(offset, **over):
    values = {
        "source": "kalshi.ws",
        "conn": "c1",
        "sid": 13,
        "channel": "trade",
        "market_ticker": MIAMI,
        "started_ns": RECEIVED_NS,
    }
    return record(offset, b"coverage", encode(CoverageNotice(**(values | over))))


def outputs_of(*records):
    return ingest(RAW_KALSHI_WS, PARTITION, PARTITIONS, records)


def only(*records):
    """The one output of these records, and its event."""
    (output,) = outputs_of(*records)
    return output, (decode_dead if output.topic == DEAD else decode_fact)(output.value)


def refused(one):
    output, event = only(one)
    assert DEAD == output.topic
    return event


# --- facts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "topic"),
    [
        (TRADE, FACT_TRADE),
        (TICKER, FACT_TICK),
        (SNAPSHOT, FACT_BOOK),
        (DELTA, FACT_BOOK),
        (SETTLED, FACT_MARKET),
    ],
    ids=lambda part: part if isinstance(part, str) else part["type"],
)
def test_a_frame_becomes_a_fact_of_its_topic_under_its_join_domain(body, topic):
    """Weather markets stand under their station, so that they meet its forecasts in one partition."""
    output, fact = only(frame(41, body))
    assert (topic, b"KMIA", None) == (output.topic, output.key, output.partition)
    assert (Cause(RAW_KALSHI_WS, PARTITION, 41), "c1", RECEIVED_NS) == (fact.cause, fact.conn, fact.known_ns)


def test_other_markets_stand_under_their_series():
    """A market without a station joins within its series."""
    output, _ = only(frame(0, with_msg(TRADE, market_ticker="KXBTCD-26FEB1217-T67749.99")))
    assert b"KXBTCD" == output.key


def test_replies_to_commands_leave_nothing():
    """They are not facts and not refusals either."""
    assert [] == outputs_of(*[frame(number, reply, key=None) for number, reply in enumerate(REPLIES)])


@pytest.mark.parametrize(("clock", "known_by"), [(b"wall", "observed"), (b"tape", "assumed")])
def test_the_clock_says_how_the_time_of_knowledge_was_come_by(clock, known_by):
    """A live recorder saw it; a recording's tape clock is a rule. That holds for frames, gaps and coverage alike."""
    for one in (frame(0, TRADE, clock=clock), gap(0, clock=clock)):
        assert known_by == only(one)[1].known_by


def test_a_snapshot_takes_the_time_its_recorder_wrote_down():
    """The latest exchange time of its subscription stands in a header; without one the arrival counts."""
    assert (77, "sid") == tuple(getattr(only(frame(0, SNAPSHOT, sid_ns=b"77"))[1], n) for n in ("event_ns", "event_by"))
    assert RECEIVED_NS == only(frame(0, SNAPSHOT))[1].event_ns


def test_a_batch_told_again_is_told_in_the_same_words():
    """After a crash the same records give the same outputs, with the same causes."""
    batch = [frame(1, TRADE), gap(2), beat(3, 5), frame(4, b"{")]
    assert outputs_of(*batch) == outputs_of(*batch)


# --- gaps and coverage ------------------------------------------------------------------------------------------------


def test_a_book_s_gap_stands_in_order_with_its_book():
    """Between the frames it came between, on their topic and under their key."""
    outputs = outputs_of(frame(1, SNAPSHOT), gap(2), frame(3, DELTA))
    assert [FACT_BOOK] * 3 == [output.topic for output in outputs]
    assert {b"KMIA"} == {output.key for output in outputs}
    assert [BookSnapshot, Gap, BookDelta] == [type(decode_fact(output.value)) for output in outputs]


@pytest.mark.parametrize("channel", ["trade", "ticker", "market_lifecycle_v2"])
def test_gaps_of_other_channels_have_a_topic_of_their_own(channel):
    """They have no book to keep in order with."""
    output, fact = only(gap(2, channel))
    assert (FACT_GAP, b"KMIA", channel) == (output.topic, output.key, fact.channel)


def test_a_gap_keeps_its_numbers_and_its_time():
    """`seq` is the last number before the hole; the time is that of the clock which noticed it."""
    _, fact = only(gap(2, from_seq=5, to_seq=6))
    assert (4, 5, 6, "seq_hole") == (fact.seq, fact.from_seq, fact.to_seq, fact.kind)
    assert {RECEIVED_NS + 7} == {fact.event_ns, fact.received_ns, fact.known_ns}


def test_a_lost_connection_has_no_numbers():
    """How many frames went with it nobody knows."""
    _, fact = only(gap(2, from_seq=None, to_seq=None))
    assert (None, None, None, "disconnect") == (fact.seq, fact.from_seq, fact.to_seq, fact.kind)


def test_coverage_is_told_at_its_start_and_at_its_end():
    """What a session records, since when, and why it stopped."""
    output, fact = only(coverage(2))
    assert (FACT_GAP, b"KMIA", Coverage) == (output.topic, output.key, type(fact))
    assert (RECEIVED_NS, RECEIVED_NS, None, None) == (fact.event_ns, fact.started_ns, fact.ended_ns, fact.ended_by)
    _, ended = only(coverage(3, ended_ns=RECEIVED_NS + 9, ended_by="stop"))
    assert (RECEIVED_NS + 9, RECEIVED_NS, "stop") == (ended.event_ns, ended.started_ns, ended.ended_by)


# --- beats ------------------------------------------------------------------------------------------------------------


def test_a_beat_stands_behind_the_facts_of_its_batch_in_every_partition():
    """It says that all before it has been told, so it is passed on last, wherever a fact may have gone."""
    outputs = outputs_of(beat(1, 100), frame(2, TRADE), frame(3, DELTA))
    assert [FACT_TRADE, FACT_BOOK] == [output.topic for output in outputs[:2]]
    assert [(topic, None, number) for topic in WATERMARK_TOPICS for number in range(PARTITIONS)] == [
        (output.topic, output.key, output.partition) for output in outputs[2:]
    ]
    told = Beat(source="kalshi.ws", conn="c1", raw_partition=PARTITION, clock_ns=100, lease_ns=30)
    assert {told} == {decode_fact(output.value) for output in outputs[2:]}


def test_of_several_beats_of_a_connection_the_last_is_passed_on():
    """Its clock never goes back, and a goodbye is not taken back."""
    outputs = outputs_of(beat(1, 100), beat(2, 300, bye=True), beat(3, 200, lease_ns=60))
    assert PARTITIONS * len(WATERMARK_TOPICS) == len(outputs)
    told = decode_fact(outputs[0].value)
    assert (300, True, 60) == (told.clock_ns, told.bye, told.lease_ns)


def test_each_connection_beats_for_itself():
    """Beats are coalesced by connection, never across."""
    outputs = outputs_of(beat(1, 100), beat(2, 900, conn="c2"), beat(3, 200))
    assert {("c1", 200), ("c2", 900)} == {(b.conn, b.clock_ns) for b in (decode_fact(o.value) for o in outputs)}


def test_a_refused_record_does_not_hold_up_a_beat():
    """The refusal is what was told of that record."""
    outputs = outputs_of(frame(1, b"{"), beat(2, 100))
    beats = [topic for topic in WATERMARK_TOPICS for _ in range(PARTITIONS)]
    assert [DEAD, *beats] == [output.topic for output in outputs]


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"conn": ...},
        {"conn": b""},
        {"conn": None},
        {"conn": "c\u00e9".encode()},
        {"clock": ...},
        {"clock": None},
        {"clock": b"sun"},
        {"received_ns": ...},
        {"received_ns": None},
        {"received_ns": b""},
        {"received_ns": b"-1"},
        {"received_ns": b"+1"},
        {"received_ns": b" 1"},
        {"received_ns": b"1_000"},
        {"received_ns": b"1.5"},
        {"received_ns": "\u0661".encode()},
        {"received_ns": b"%d" % 2**63},
        {"received_ns": b"9" * 20},
        {"received_ns": b"9" * 5_000},
        {"sid_ns": b""},
        {"sid_ns": None},
        {"sid_ns": b"-1"},
        {"sid_ns": b"x"},
        {"sid_ns": b"%d" % 2**63},
        {"sid_ns": b"9" * 5_000},
    ],
    ids=repr,
)
@pytest.mark.parametrize("kind", ["frame", "gap"])
def test_bad_metadata_of_our_own_is_refused(kind, headers):
    """Absent, null, not ASCII, not a number, or outside of what a column holds: refused here, not in the store."""
    row = refused(frame(9, TRADE, **headers) if kind == "frame" else gap(9, **headers))
    assert ("missing_header", "ingest", Cause(RAW_KALSHI_WS, PARTITION, 9)) == (row.reason, row.stage, row.cause)
    assert row.received_ns in {None, RECEIVED_NS}


def test_the_first_and_the_last_nanosecond_are_times():
    """The bounds of an int64 belong to it."""
    for stamp in (0, LAST_NS):
        fact = only(frame(9, SNAPSHOT, received_ns=b"%d" % stamp, sid_ns=b"%d" % stamp))[1]
        assert (stamp, stamp) == (fact.received_ns, fact.event_ns)


def test_a_refusal_takes_no_time_that_the_store_cannot_hold():
    """A frame that is refused for itself, under a stamp that would be refused too, has no time of arrival."""
    stamps = {b"9" * 19: None, b"%d" % 2**63: None, b"%d" % LAST_NS: LAST_NS, b"-5": None, b"": None}
    for stamp, received_ns in stamps.items():
        assert received_ns == refused(record(9, b"hello", b"", received_ns=stamp)).received_ns


@pytest.mark.parametrize("kind", [..., None, b"", b"hello", b"Frame", b"\xff"])
def test_an_unknown_kind_of_record_is_refused(kind):
    """Something else writes to our topic; it says what it expected and what was there."""
    row = refused(record(9, kind, b"{}"))
    assert "unknown_type" == row.reason
    assert "expected frame, beat, gap or coverage" in row.detail


def test_a_refusal_keeps_the_key_and_the_start_of_the_value():
    """It stands where its record stood; without a key in the partition of the same number."""
    output, row = only(frame(9, b"\xff" * 9_000, key=b"KXHIGHMIA"))
    assert (b"KXHIGHMIA", None) == (output.key, output.partition)
    assert ("not_json", r"\xff" * 4_096) == (row.reason, row.value_text)
    output, _ = only(frame(9, b"{", key=None))
    assert (None, PARTITION) == (output.key, output.partition)


def test_a_refusal_is_short_however_long_the_frame():
    """A frame may quote megabytes at us; the refusal must fit on the log, or the record could never be passed."""
    for body in (with_msg(DELTA, side="\x01" * 3_000_000), DELTA | {"type": "A" * 3_000_000}):
        output, row = only(frame(9, body))
        assert 1_024 >= len(row.detail)
        assert 50_000 > len(output.value)


def test_a_fact_larger_than_the_log_takes_is_refused():
    """A short number can be a longer one once it has its unit."""
    levels = [["9", "9"]] * 1_100_000
    assert "too_large" == refused(frame(9, with_msg(SNAPSHOT, yes_dollars_fp=levels, no_dollars_fp=[]))).reason


@pytest.mark.parametrize("error", [OverflowError, RecursionError, UnicodeError])
def test_a_value_out_of_bounds_is_the_record_s_fault(monkeypatch, error):
    """The last line behind the parsers' own: it is refused by its name, and the records behind it are told."""
    good = PARSERS[RAW_KALSHI_WS]

    def parser(record, headers, cause):
        if record.offset == 9:
            raise error("said by Python")
        return good(record, headers, cause)

    monkeypatch.setitem(PARSERS, RAW_KALSHI_WS, parser)
    dead, fact = outputs_of(frame(9, TRADE), frame(10, TRADE))
    assert FACT_TRADE == fact.topic
    assert ("bad_value", f"expected values within bounds: {error.__name__}: said by Python", 9) == (
        decode_dead(dead.value).reason,
        decode_dead(dead.value).detail,
        decode_dead(dead.value).cause.offset,
    )


def test_other_errors_of_a_parser_stop_the_stage(monkeypatch):
    """They are ours: what a mistake of ours cannot read must not be called bad."""

    def parser(*_):
        raise KeyError("a mistake of ours")

    monkeypatch.setitem(PARSERS, RAW_KALSHI_WS, parser)
    with pytest.raises(KeyError):
        outputs_of(frame(9, TRADE))


def test_a_tombstone_is_no_frame():
    """A record without a value says nothing."""
    assert "not_json" == refused(frame(9, b"")._replace(value=None)).reason


@pytest.mark.parametrize("kind", [b"beat", b"gap", b"coverage"])
@pytest.mark.parametrize("value", [b"", b"{", b"{}", b"[]", b"\xff", b"[" * 100_000], ids=lambda value: repr(value[:5]))
def test_a_notice_that_is_none_is_refused(kind, value):
    """A producer's word that cannot be read is not passed on, and the batch goes on."""
    assert refused(record(9, kind, value)).reason in {"bad_value", "too_large"}


@pytest.mark.parametrize(
    ("whole", "name"),
    [
        (beat(9, 1), "clock_ns"),
        (beat(9, 1), "lease_ns"),
        (gap(9), "clock_ns"),
        (gap(9), "sid"),
        (gap(9), "from_seq"),
        (gap(9), "to_seq"),
        (coverage(9), "started_ns"),
        (coverage(9), "ended_ns"),
    ],
    ids=lambda part: part if isinstance(part, str) else dict(part.headers)["kind"].decode(),
)
@pytest.mark.parametrize("number", [-1, 2**63, 10**30])
def test_a_notice_s_numbers_fit_the_store(whole, name, number):
    """A clock of a broken producer must not stop the fold or the sink."""
    broken = whole._replace(value=encode(msgspec.json.decode(whole.value) | {name: number}))
    assert "bad_value" == refused(broken).reason


HEADER_TEXTS = st.none() | st.binary(max_size=25) | st.integers(-(2**65), 2**65).map(lambda number: b"%d" % number)
HEADERS = st.fixed_dictionaries(
    {"kind": st.sampled_from([b"frame", b"frame", b"beat", b"gap", b"coverage"])},
    optional={
        "conn": st.just(b"c1") | HEADER_TEXTS,
        "received_ns": st.just(b"5") | HEADER_TEXTS,
        "clock": st.sampled_from([b"wall", b"tape", b"", None]),
        "sid_ns": HEADER_TEXTS,
    },
)
VALUES = st.sampled_from(
    [None, *[json.dumps(body).encode() for body in (TRADE, SNAPSHOT, SETTLED)], beat(1, 2).value, gap(1).value]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(HEADERS, VALUES), max_size=4))
def test_any_headers_give_outputs_that_the_sink_can_hold(parts):
    """Every record of a batch is answered, with numbers that an int64 holds, on a topic of the catalogue."""
    batch = [
        Record(RAW_KALSHI_WS, PARTITION, n, 0, None, tuple(h.items()), value) for n, (h, value) in enumerate(parts)
    ]
    outputs = outputs_of(*batch)
    for output in outputs:
        event = (decode_dead if output.topic == DEAD else decode_fact)(output.value)
        assert output.topic in BY_NAME
        for name in event.__struct_fields__:
            number = getattr(event, name)
            assert not isinstance(number, int) or -(2**63) <= number < 2**63
    answered = {decode_dead(o.value).cause.offset for o in outputs if o.topic == DEAD}
    answered |= {
        f.cause.offset for f in (decode_fact(o.value) for o in outputs if o.topic != DEAD) if type(f) is not Beat
    }
    beats = {record.offset for record in batch if dict(record.headers)["kind"] == b"beat"}
    assert set(range(len(batch))) == answered | beats
