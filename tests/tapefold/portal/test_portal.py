"""The health page: what makes a card RED, who is answered with what, and a real store and log behind it."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from stored import empty, insert

from producers.beat import Beater
from producers.coverage import Covers
from producers.publish import Outgoing, Publisher
from sinks.audit import Finding
from sinks.migrate import migrate
from sinks.tables import Tables
from stream_processors.ingest import ingest
from tapefold import audits, migrating, stores, wiring
from tapefold.portal.health import Audit, Card, Moves, audit_card, besides, look, producer
from tapefold.portal.serving import Portal
from tapefold.settings import Settings
from topics.catalog import FACT_BAR, FACT_TRADE, RAW_TWS, RAW_WEBHOOK
from topics.codec import encode
from topics.errors import Refused
from topics.events import Beat, Cause
from topics.kafka import KafkaLog
from topics.log import MemoryLog, Record, all_records
from topics.tws import TwsOutage
from topics.units import NS_PER_S

NOW_NS = 1_786_000_000 * NS_PER_S
HOUR_NS = 3600 * NS_PER_S
SQL = Path(__file__).parents[3] / "clickhouse"


@pytest.mark.parametrize(
    ("expected", "last", "status"),
    [
        (True, (NOW_NS - 119 * NS_PER_S, False), "GREEN"),
        (True, (NOW_NS - 121 * NS_PER_S, False), "RED"),
        (False, (NOW_NS - 121 * NS_PER_S, False), "IDLE"),
        (True, (NOW_NS, True), "RED"),
        (False, (NOW_NS, True), "IDLE"),
        (True, None, "RED"),
    ],
)
def test_a_producer_that_is_asked_for_must_be_heard(expected, last, status):
    """Silent, gone or never come: RED where the settings want it, and of no concern where they do not."""
    assert status == producer("kalshi.ws", expected, last, NOW_NS, 120).status


@pytest.mark.parametrize(
    ("last", "since_ns", "every_s", "status"),
    [
        (Audit(NOW_NS - HOUR_NS, 5, 0, "[]"), 0, 3600.0, "GREEN"),
        (Audit(NOW_NS - 3 * HOUR_NS, 5, 0, "[]"), 0, 3600.0, "RED"),
        (Audit(NOW_NS - 3 * HOUR_NS, 5, 0, "[]"), 0, None, "GREEN"),
        (Audit(NOW_NS, 5, 1, '[["offset_missing","raw-0 offset 7","a row","none"]]'), 0, None, "RED"),
        (None, NOW_NS - HOUR_NS, 3600.0, "IDLE"),
        (None, NOW_NS - 3 * HOUR_NS, 3600.0, "RED"),
        (None, None, 3600.0, "IDLE"),
    ],
)
def test_an_audit_must_run_and_find_nothing(last, since_ns, every_s, status):
    """In twice its interval since the last run, or since the store has rows; one that is run by hand is never late."""
    card = audit_card("contiguity", last, since_ns, NOW_NS, every_s)
    assert status == card.status
    assert (last is not None and last.findings > 0) == ("raw-0 offset 7" in card.text)


def test_a_stage_is_red_when_it_is_behind_and_takes_nothing():
    """Not while it moves, nor when nothing waits; only what was seen counts."""
    moves = Moves()
    seen = [(0, 10, 5), (50, 10, 7), (70, 10, 9), (80, 11, 9), (200, 11, 0), (300, 11, 0)]
    cards = [moves.card("fold", taken, left, NOW_NS + at_s * NS_PER_S, 60) for at_s, taken, left in seen]
    assert ["GREEN", "GREEN", "RED", "GREEN", "GREEN", "GREEN"] == [card.status for card in cards]
    assert "9 records wait, and none was taken for 70 s" == cards[2].text


@contextmanager
def serving(*cards: Card) -> Iterator[tuple[str, list[int]]]:
    """A portal that shows these cards, and how often it looked."""
    looks: list[int] = []

    def take() -> list[Card]:
        looks.append(1)
        return list(cards)

    with Portal(0, take) as portal:
        thread = threading.Thread(target=portal.serve_forever)
        thread.start()
        try:
            yield portal.url, looks
        finally:
            portal.shutdown()
            thread.join()


def get(url: str) -> tuple[int, str, str]:
    """Status, type and body of an answer."""
    try:
        answer = urllib.request.urlopen(url, timeout=10)
    except urllib.error.HTTPError as error:
        answer = error
    with closing(answer):
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


def test_people_get_a_page_and_machines_a_status():
    """What is RED stands first; texts are escaped; 503 is for machines."""
    with serving(Card("sink", "GREEN", "0 wait"), Card("audit <a>", "RED", "1 & 2")) as (url, looks):
        code, kind, body = get(f"{url}/health")
        assert (200, "text/html; charset=utf-8") == (code, kind)
        assert body.index("audit &lt;a&gt;: RED") < body.index("sink: GREEN")
        assert "1 &amp; 2" in body
        for address in ("/healthz", "/health?format=json"):
            code, kind, body = get(url + address)
            assert (503, "application/json", "RED") == (code, kind, json.loads(body)["status"])
        assert 404 == get(f"{url}/other")[0]
        assert 1 == len(looks)
    with serving(Card("sink", "GREEN", "0 wait")) as (url, looks):
        assert [] == looks
        assert (200, "GREEN") == ((answer := get(f"{url}/healthz"))[0], json.loads(answer[2])["status"])
        with pytest.raises(Refused, match="WEB_PORTAL_PORT"):
            Portal(int(url.rpartition(":")[2]), list)


@pytest.fixture
def tables(store_url: str) -> Iterator[Tables]:
    """A migrated store without rows."""
    with closing(Tables(store_url)) as store:
        migrate(store, SQL / "migrations", lambda: NOW_NS)
        empty(store)
        yield store
        empty(store)


def told(topic: str, source: str, *outs: Outgoing) -> list[Record]:
    """What a producer appends, and the facts that are read of it."""
    log = MemoryLog()
    log.create({topic: {}}, 2)
    publisher = Publisher(log.appender(), topic=topic, partitions=2, source=source, conn="c", clock="wall")
    for out in outs:
        publisher.put(out)
    raw = list(all_records(log, [topic]))
    facts = enumerate(ingest(topic, 0, 1, raw))
    return [*raw, *(Record(each.topic, 0, number, 0, each.key, (), each.value) for number, each in facts)]


def beat(source: str, *, bye: bool = False) -> Outgoing:
    """One, said at NOW_NS, whose clock is held back."""
    beater = Beater(source, "c")
    return Outgoing((beater.bye if bye else beater.beat)(NOW_NS - HOUR_NS, None), None, NOW_NS)


def status(settings: Settings, tables: Tables, after_s: int = 1) -> dict[str, str]:
    """The cards so many seconds later."""
    return {card.name: card.status for card in besides(settings, tables, NOW_NS + after_s * NS_PER_S)}


ASKED = Settings(tws_symbols="SPY", webhook_secret=SecretStr("s"))


def test_the_receiver_is_well_while_it_beats_and_listens_to_somebody(tables: Tables):
    """Nobody asked for it: no card, or an idle one. A sender whose interval ended is heard no more."""
    assert ({}, {"tws": "RED", "webhook": "RED"}) == (status(Settings(), tables), status(ASKED, tables))
    covers = Covers("webhook", "c", "webhook")
    insert(tables, told(RAW_WEBHOOK, "webhook", beat("webhook")))
    assert ("RED", "IDLE") == (status(ASKED, tables)["webhook"], status(Settings(), tables)["webhook"])
    begun, ended = covers.begin("pay", NOW_NS), covers.end("pay", NOW_NS, NOW_NS, ended_by="stop")
    insert(tables, told(RAW_WEBHOOK, "webhook", beat("webhook"), *begun))
    assert ["GREEN", "GREEN", "RED"] == [status(ASKED, tables, after_s)["webhook"] for after_s in (1, 60, 61)]
    insert(tables, told(RAW_WEBHOOK, "webhook", beat("webhook"), *begun, *ended))
    assert "RED" == status(ASKED, tables)["webhook"]
    (_, card) = besides(ASKED, tables, NOW_NS)
    assert "listens to no sender" == card.text


def test_tws_is_well_while_it_beats_and_has_its_line(tables: Tables):
    """An outage that lasts is RED though the recorder lives; one that ended is not; nor is a recorder well that left."""

    def outage(ended_ns: int | None) -> Record:
        fact = TwsOutage(
            event_ns=NOW_NS,
            received_ns=NOW_NS,
            known_ns=NOW_NS,
            known_by="observed",
            cause=Cause("raw.tws", 0, 0),
            conn="c",
            outage_id="c/1",
            reason="connectivity",
            ended_ns=ended_ns,
            code=1100,
        )
        return Record(FACT_BAR, 0, 0, 0, None, (), encode(fact))

    insert(tables, told(RAW_TWS, "tws", beat("tws")))
    assert ["GREEN", "RED"] == [status(ASKED, tables, after_s)["tws"] for after_s in (60, 61)]
    insert(tables, [outage(None)])
    (card, _) = besides(ASKED, tables, NOW_NS)
    assert ("tws", "RED") == card[:2]
    assert "no line to Interactive Brokers since 2026-08-06 07:06:40 UTC: connectivity" == card.text
    insert(tables, [outage(NOW_NS + 1)])
    assert "GREEN" == status(ASKED, tables)["tws"]
    insert(tables, told(RAW_TWS, "tws", beat("tws", bye=True)))
    assert "RED" == status(ASKED, tables)["tws"]


def test_the_page_says_what_the_store_and_the_log_hold(store_url: str, own_kafka: KafkaLog, tmp_path: Path):
    """A recorder's beats, stages that wait for nothing, an audit; and the store's absence."""
    settings = Settings(clickhouse_url=store_url, kafka_bootstrap=own_kafka.bootstrap, kalshi_series="KXHIGHNY")
    tables = stores.open_tables(settings, tmp_path)
    migrating.migrate(settings, own_kafka, tables)
    empty(tables)
    beat = Beat(source="kalshi.ws", conn="a", raw_partition=0, clock_ns=NOW_NS, lease_ns=30 * NS_PER_S)
    insert(tables, [Record(FACT_TRADE, 0, 0, 0, None, (), encode(beat))])
    audits.keep(tables, "contiguity", [], 7, wiring.now_ns())
    cards = {card.name: card for card in look(settings, tmp_path, Moves(), NOW_NS + NS_PER_S)}
    assert {"kalshi.ws", "kalshi.rest", "ingest", "fold", "sink", "audit contiguity"} == cards.keys()
    assert {"kalshi.rest"} == {name for name, card in cards.items() if card.status == "RED"}
    audits.keep(tables, "leakage", [Finding("offset_missing", "raw-0 offset 7", "a row", "none")], 7, 0)
    later = {card.name: card.status for card in look(settings, tmp_path, Moves(), NOW_NS + HOUR_NS)}
    assert ("RED", "RED") == (later["kalshi.ws"], later["audit leakage"])
    empty(tables)
    tables.close()
    away = settings.model_copy(update={"clickhouse_url": "http://127.0.0.1:9"})
    assert [("store", "RED")] == [card[:2] for card in look(away, tmp_path, Moves(), NOW_NS)]
    away = settings.model_copy(update={"kafka_bootstrap": None})
    assert ("log", "RED") in [card[:2] for card in look(away, tmp_path, Moves(), NOW_NS)]
