import zlib

from sinks.batch import Round, Share, Tail, commit_rows, intent_rows, restricted, tail_of, token, where
from topics.log import Identity

SHARES = (Share("raw.kalshi.ws", 0, 5, 9, 2, 2**63 + 1), Share("raw.kalshi.ws", 1, 0, 1, 1, 8))
ROUND = Round(7, 1, "me", 3, SHARES)
IDENTITY = Identity("c", {"raw.kalshi.ws": "id"})


def test_a_share_is_written_half_open() -> None:
    """The text of a range is the one that tokens, logs and errors share."""
    assert str(Share("t", 3, 5, 9, 4, 0)) == "t-3-[5,9)"


def test_a_token_names_the_round_the_table_and_the_ranges_in_any_order() -> None:
    """Equal inserts have equal tokens, another round, table, content or repair another one."""
    a, b = SHARES
    assert "main:7:books:0480d66a0f318b0d78e227b39c08770afa580490:0" == token("main:7", "books", [a, b], 0)
    assert token("main:7", "books", [a, b], 0) == token("main:7", "books", [b, a], 0)
    others = (("main:8", "books", [a, b], 0), ("main:7", "trades", [a, b], 0), ("main:7", "books", [a], 0))
    assert 5 == len(
        {token(*each) for each in (*others, ("main:7", "books", [a, b], 1), ("main:7", "books", [a, b], 0))}
    )


def test_only_shares_that_begin_at_a_position_may_be_adopted() -> None:
    """A stopped partition has no position; one that was moved past an accepted gap has another."""
    assert SHARES[:1] == restricted(SHARES, {("raw.kalshi.ws", 0): 5, ("raw.kalshi.ws", 1): 1})


def test_rows_of_the_ledger_say_what_the_round_says() -> None:
    """Intent and commit have the same columns; the commit adds the fingerprint of each last record."""
    rows = intent_rows(ROUND, sink="main", identity=IDENTITY, at_ns=42)
    assert {
        "sink": "main",
        "round": 7,
        "attempt": 1,
        "owner": "me",
        "code": 3,
        "cluster": "c",
        "topic": "raw.kalshi.ws",
        "topic_id": "id",
        "partition": 0,
        "first": 5,
        "next": 9,
        "rows": 2,
        "checksum": 2**63 + 1,
    } == rows.drop_columns(["at"]).to_pylist()[0]
    assert [42, 42] == rows["at"].cast("int64").to_pylist()
    tails = {("raw.kalshi.ws", 0): tail_of(1_008, b"k", b"last"), ("raw.kalshi.ws", 1): Tail(2, 3)}
    commit = commit_rows(ROUND, tails, ("live", "new"), sink="main", identity=IDENTITY, at_ns=42)
    assert rows == commit.drop_columns(["tail_at", "tail_crc32", "generations"])
    assert [["live", "new"]] * 2 == commit["generations"].to_pylist()
    assert [1_008_000_000, 2_000_000] == commit["tail_at"].cast("int64").to_pylist()
    assert [zlib.crc32(b"klast"), 3] == commit["tail_crc32"].to_pylist()


def test_a_condition_quotes_topic_names() -> None:
    """No topic name can end the literal that holds it."""
    expected = "(t = 'a\\'b\\\\' AND p = 1 AND o >= 2 AND o < 3)"
    assert expected == where([("a'b\\", 1, 2, 3)], "t", "p", "o")
