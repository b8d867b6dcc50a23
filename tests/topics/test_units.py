"""Fixed-point numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topics.units import price_e6, size_e4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.4800", 480_000),
        ("1.0000", 1_000_000),
        ("0.000001", 1),
        ("-0.5", -500_000),
        ("7", 7_000_000),
        ("0.48000000", 480_000),
    ],
)
def test_prices_are_exact(text, expected):
    """Two to six places, signs and trailing zeros."""
    assert expected == price_e6(text)


@pytest.mark.parametrize(
    "text", ["", ".", "-", "1.", ".5", "1e3", "nan", "0.0000001", "1,5", " 1", "+1", "٣", "1" * 20]
)
def test_what_is_no_price_is_refused(text):
    """No guess is made at a number that is none, or that would not fit."""
    with pytest.raises(ValueError, match="expected"):
        price_e6(text)


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=4, allow_nan=False))
def test_sizes_round_trip(value):
    """Every number of four places comes out as its ten-thousandths."""
    assert int(value.scaleb(4)) == size_e4(f"{value:f}")
