"""Anything at all that may come down TWS's socket or stand in a file: facts that the store can hold, or a refusal."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tws_messages import CAUSE, REQUEST, answer, bar, error, headers, update, wire

from stream_processors.parsers.tws import Bad, parse
from topics.codec import decode_fact, encode
from topics.errors import REASONS, BadRecord
from topics.tws import TwsRequest

FORMATS = {
    b"wire": (
        answer(bar(0), bar(1), bar(2)),
        update(1),
        error(162, "no data", 5),
        wire(50, 3, 5, *bar(0)),
        wire(62, 1),
    ),
    b"csv": (b"2024-11-01 01:15:00,540729684,1.0,2.0,0.5,1.5,90.0,1.2,35,FDAX DEC 24",),
    b"json": (
        b'{"date":"2021-01-05T09:28:00Z","open":219.0,"high":219.0,"low":2e2,"close":1,"volume":1.0,"barCount":1}',
    ),
    b"transcript": (
        b'server historical_bar {"req_id":"$1","time":"20260402 09:30:00 US/Eastern","open":"254.20","high":"254.80",'
        b'"low":"250.65","close":"252.53","volume":"2829736","wap":"252.266","count":"13633"}',
        b'server api_error {"req_id":-1,"code":2104,"message":"Market data farm connection is OK:usfarm"}',
    ),
    b"printed": (
        b"RealTimeBar(time=datetime.datetime(2019, 12, 31, 12, 27, 5, tzinfo=datetime.timezone.utc), endTime=-1, "
        b"open_=1.122925, high=1.122975, low=1.122925, close=1.122975, volume=-1, wap=-1.0, count=-1)",
        b"Error 162, reqId 5: Historical Market Data Service error message:API historical data query cancelled: 5",
    ),
}
COLUMNS = b"Datetime,ConId,Open,High,Low,Close,Volume,Average,BarCount,LocalSymbol"
NUMBERS = (
    st.sampled_from(
        [b"", b"-1", b"1e999", b"1E-999999", b"NaN", b"9" * 30, b"1.7976931348623157E308", b"20250101", b"-0"]
    )
    | st.integers(-(10**20), 10**20).map(lambda number: str(number).encode())
    | st.floats().map(lambda number: str(number).encode())
    | st.binary(max_size=8)
)


def facts_or_refusal(value, told):
    """The one promise."""
    try:
        parts = parse(value, told, CAUSE)
    except BadRecord as refused:
        if refused.reason not in REASONS:
            raise
        return
    for part in parts:
        if isinstance(part, Bad):
            assert part.error.reason in REASONS
            continue
        assert part == decode_fact(encode(part))
        for name in part.__struct_fields__:
            number = getattr(part, name)
            if name.endswith(("_e6", "_e4")) and number is not None:
                assert abs(number) < 10**18
            elif isinstance(number, int):
                assert -(2**63) <= number < 2**63


@st.composite
def broken(draw):
    """A message with fields set to anything, then perhaps with bytes changed or cut off; and its headers."""
    form = draw(st.sampled_from(sorted(FORMATS)))
    value = draw(st.sampled_from(FORMATS[form]))
    mark = b"\0" if form == b"wire" else b","
    for _ in range(draw(st.integers(0, 3))):
        fields = value.split(mark)
        fields[draw(st.integers(0, len(fields) - 1))] = draw(NUMBERS)
        value = mark.join(fields)
    changed = bytearray(value)
    for _ in range(draw(st.sampled_from((0, 0, 1, 3)))):
        place = draw(st.integers(0, len(changed)))
        changed[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    request = draw(
        st.sampled_from((None, REQUEST, TwsRequest(symbol="X", what_to_show="BID", bar_size="5 secs", zone="UTC")))
    )
    told = headers(request, format=form, columns=COLUMNS, clock=draw(st.sampled_from((b"wall", b"tape"))))
    if draw(st.booleans()):
        told["previous"] = draw(st.sampled_from((update(0), b"", b"90\0"))) + draw(st.binary(max_size=2))
    return bytes(changed), told


@settings(max_examples=2_000, deadline=2_000, suppress_health_check=[HealthCheck.too_slow])
@given(broken())
def test_broken_input_is_read_or_refused(case):
    """Facts that the log and the store can hold, or a refusal with a reason; never another error, never for ever."""
    facts_or_refusal(*case)


@pytest.mark.slow
@settings(max_examples=100_000, deadline=2_000, suppress_health_check=list(HealthCheck))
@given(broken())
def test_a_hundred_thousand_broken_inputs_are_read_or_refused(case):
    """The same at length."""
    facts_or_refusal(*case)


@settings(max_examples=500, deadline=2_000)
@given(st.sampled_from(sorted(FORMATS)), st.binary(max_size=200))
def test_noise_is_read_or_refused(form, value):
    """Bytes that never were a message."""
    facts_or_refusal(value, headers(format=form, columns=COLUMNS))
