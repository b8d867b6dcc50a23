"""What the demo prints."""

from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

from rich.console import Console

from sinks.tables import Rows
from tapefold import demo


def test_times_and_prices_stand_whole_in_a_terminal_of_80_columns(monkeypatch):
    """A busy hour, in the columns of the widest answer."""
    hour = datetime(2025, 4, 5, 13, tzinfo=UTC)
    prices = [Decimal("0.100000"), Decimal("0.740000"), Decimal("0.0205"), Decimal("0.320000")]
    columns = ("hour", "open", "high", "low", "close", "volume", "known_at")
    answer = Rows(columns, [(hour, *prices, Decimal("15199.0000"), hour), (hour, *[None] * 4, Decimal(0), hour)])

    class Tables:
        query_rows = staticmethod(lambda _: answer)

    monkeypatch.setattr(demo, "QUERIES", ())
    screen = StringIO()
    demo.show(Console(file=screen, width=80), Tables())
    lines = [" ".join(line.replace("│", " ").split()) for line in screen.getvalue().splitlines()]
    assert "2025-04-05 13:00 0.1 0.74 0.0205 0.32 15199 2025-04-05 13:00" in lines
    assert "2025-04-05 13:00 NULL NULL NULL NULL 0 2025-04-05 13:00" in lines
