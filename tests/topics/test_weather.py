"""What the words of the weather mean."""

from typing import get_args

import msgspec
import pytest

from topics import weather
from topics.codec import decode_fact
from topics.weather import Forecast, RunReason, YearReason


def test_a_year_fails_for_the_reasons_of_a_run():
    """One closed list, of which a year has the part that does not speak of a calendar of runs."""
    assert set(get_args(RunReason)) - {"unscheduled"} == set(get_args(YearReason))


@pytest.mark.parametrize("name", ["station", "event_ns", "received_ns", "known_ns", "known_by", "cause", "conn"])
def test_every_fact_says_whose_it_is_and_when_it_was_known(name):
    """No fact of the weather can be written without one of these."""
    facts = msgspec.inspect.multi_type_info(weather.AnyWeather.__args__)
    assert 4 == len(facts)
    for fact in facts:
        (field,) = [field for field in fact.fields if field.name == name]
        assert field.required, fact.cls


def test_a_forecast_without_values_has_none():
    """What the upstream did not say is None, never a number."""
    said = decode_fact(
        b'{"type":"forecast","station":"KMIA","event_ns":2,"received_ns":3,"known_ns":3,"known_by":"observed",'
        b'"cause":["raw.iem.mos",0,1,0],"conn":"c","model":"GFS","label":"AVN","run_ns":1,"revision":"00"}'
    )
    assert isinstance(said, Forecast)
    assert [None] * 12 == [
        getattr(said, name) for name in said.__struct_fields__ if name.endswith(("_f", "_deg", "_kt", "_pct"))
    ]
