"""Bytes <-> events. JSON on the log (a person can read it), decoded once into checked structs."""

import msgspec

from topics.asof import AsofForecast, SettlementLabel
from topics.events import (
    Bar,
    BeatNotice,
    BookTop,
    CoverageNotice,
    Dead,
    GapNotice,
    GapRow,
)
from topics.facts import AnyFact
from topics.tws import TwsMinute, TwsOutageNotice, TwsRequest, TwsUnitNotice

encode = msgspec.json.Encoder().encode
decode_fact = msgspec.json.Decoder(AnyFact).decode
decode_bar = msgspec.json.Decoder(Bar).decode
decode_tws_minute = msgspec.json.Decoder(TwsMinute).decode
decode_book_top = msgspec.json.Decoder(BookTop).decode
decode_asof_forecast = msgspec.json.Decoder(AsofForecast).decode
decode_label = msgspec.json.Decoder(SettlementLabel).decode
decode_gap_row = msgspec.json.Decoder(GapRow).decode
decode_dead = msgspec.json.Decoder(Dead).decode
decode_beat_notice = msgspec.json.Decoder(BeatNotice).decode
decode_gap_notice = msgspec.json.Decoder(GapNotice).decode
decode_tws_request = msgspec.json.Decoder(TwsRequest).decode
decode_tws_unit_notice = msgspec.json.Decoder(TwsUnitNotice).decode
decode_tws_outage_notice = msgspec.json.Decoder(TwsOutageNotice).decode
decode_coverage_notice = msgspec.json.Decoder(CoverageNotice).decode
