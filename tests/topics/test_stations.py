"""The registry of weather series: what the exchange says of itself agrees with it, or there is a named error."""

import gzip
import json
from pathlib import Path

import pytest

from topics import domains, stations
from topics.errors import SettingsError
from topics.stations import SERIES, StationUnresolved, resolve

META = (
    Path(__file__).resolve().parents[3] / "shared" / "data" / "kalshi-rest" / "headless-weather-books-2026-07" / "meta"
)


def test_every_recorded_series_agrees_with_the_registry():
    """Rules and settlement sources of all temperature series of a July week name the station that we have."""
    if not META.is_dir():
        pytest.skip("needs recorded series, which are not shipped (no licence)")
    lines = [json.loads(line) for file in META.glob("*.gz") for line in gzip.decompress(file.read_bytes()).splitlines()]
    seen = set()
    for line in lines:
        if not line["series"].startswith(("KXHIGH", "KXLOW")):
            continue
        urls = tuple(source["url"] for source in line["settlement_sources"])
        entry = resolve(line["series"], rules=line["rules_primary"], settlement_urls=urls, known=SERIES)
        assert (entry.station.cli,) == stations.cli_codes(line["rules_primary"], urls)
        assert ("maximum" in line["rules_primary"] or "highest" in line["rules_primary"]) == (entry.measure == "high")
        seen.add(line["series"])
    assert 40 == len(seen)


def test_a_series_without_an_entry_is_a_named_error():
    """The message shows the setting that resolves it."""
    with pytest.raises(StationUnresolved, match=r"series KXHIGHTXYZ: .* set STATION_OVERRIDES=KXHIGHTXYZ=ICAO@ZONE"):
        resolve("KXHIGHTXYZ", known=SERIES)


@pytest.mark.parametrize(
    ("rules", "urls"),
    [("... (CLIIAH) ...", ()), ("", ("https://forecast.weather.gov/product.php?issuedby=IAH&product=CLI",))],
)
def test_an_entry_that_the_exchange_contradicts_is_a_named_error(rules, urls):
    """Houston is Hobby, until the exchange says otherwise: then a person decides."""
    with pytest.raises(StationUnresolved, match=r"registry says KHOU .* exchange says CLIIAH"):
        resolve("KXHIGHTHOU", rules=rules, settlement_urls=urls, known=SERIES)


def test_older_names_lead_to_the_series_of_today():
    """Renames are data."""
    assert ("KXHIGHNY", "KNYC") == (SERIES["HIGHNY"].canonical, SERIES["HIGHNY"].station.icao)
    assert ("KXHIGHTHOU", "KXLOWTNYC") == (SERIES["KXHIGHOU"].canonical, SERIES["KXLOWNYC"].canonical)
    assert all(entry.canonical in SERIES for entry in SERIES.values())


@pytest.mark.parametrize(
    ("ticker", "day"),
    [
        ("KXHIGHNY-26SEP25-T77", "2026-09-25"),
        ("HIGHNY-22DEC23-B53.5", "2022-12-23"),
        ("KXHIGHNY-26SEP25", "2026-09-25"),
        ("KXHIGHNY-26XXX25", None),
        ("KXELONMARS-99", None),
    ],
)
def test_the_climate_day_stands_in_the_ticker(ticker, day):
    """It is the day of the event, not that of its close."""
    assert day == stations.climate_day(ticker)


def test_who_settles_is_read_from_the_rules():
    """The exchange moved from the National Weather Service to The Weather Company; the record says which it was."""
    assert "twc" == stations.settlement_source("is greater than 77° fahrenheit according to The Weather Company")
    assert "nws" == stations.settlement_source("as reported by the National Weather Service's Climatological Report")
    assert stations.settlement_source("The Guardian") is None


def test_overrides_are_read_and_win():
    """A user's mapping holds in every process that starts with it."""
    entries = stations.overrides("KXHIGHTXYZ=KXYZ@America/Chicago, KXLOWTXYZ=KXYZ@America/Chicago,")
    assert [("KXYZ", "high"), ("KXYZ", "low")] == [(e.station.icao, e.measure) for e in entries.values()]
    tables = (domains.WEATHER_SERIES, domains.STATION_BY_SERIES, domains.ZONE_BY_STATION)
    before = [dict(table) for table in tables]
    try:
        assert "KXHIGHTXYZ" == domains.domain_of("KXHIGHTXYZ-26SEP25-T77")
        domains.override(entries)
        assert "KXYZ" == domains.domain_of("KXHIGHTXYZ-26SEP25-T77")
    finally:
        for held, was in zip(tables, before, strict=True):
            held.clear()
            held.update(was)
        domains.domain_of.cache_clear()


@pytest.mark.parametrize("text", ["KXHIGHNY", "KXHIGHNY=NYC@America/New_York", "KXHIGHNY=KNYC@Mars/Base", "a=b"])
def test_an_override_of_another_form_is_refused(text):
    """The message shows the form."""
    with pytest.raises(SettingsError, match="STATION_OVERRIDES: expected SERIES=ICAO@ZONE"):
        stations.overrides(text)


def test_symbols_of_stations_are_read():
    """The value of the day is the maximum and the day is today unless said otherwise."""
    entries = stations.symbol_stations("UHMIA=KMIA, NG=KMDW:low+1,", stations.STATIONS)
    assert [("UHMIA", "KMIA", "high", 0), ("NG", "KMDW", "low", 1)] == [
        (each.symbol, each.station, each.measure, each.days_ahead) for each in entries
    ]


@pytest.mark.parametrize("text", ["UHMIA", "UHMIA=KXYZ", "UHMIA=KMIA:mean", "UHMIA=KMIA+x", "=KMIA"])
def test_a_symbol_without_a_station_of_the_registry_is_refused(text):
    """The message shows the form."""
    with pytest.raises(SettingsError, match="SYMBOL_STATIONS: expected SYMBOL=ICAO"):
        stations.symbol_stations(text, stations.STATIONS)
