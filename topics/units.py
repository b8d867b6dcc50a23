"""Units: fixed-point money and sizes, and nanoseconds. No floats: a price is an integer count of millionths.

Kalshi sends prices as decimal dollar strings (2 to 6 places) and sizes as decimal strings (2 places) since
2026-03-12; before that, integer cents and integer contracts (AsyncAPI "Market Data WebSocket API", read 2026-11).
"""

from functools import lru_cache

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_S
NS_PER_HOUR = 60 * NS_PER_MINUTE
NS_PER_DAY = 24 * NS_PER_HOUR

PRICE_PLACES = 6
SIZE_PLACES = 4
E6_PER_CENT = 10_000
E4_PER_CONTRACT = 10_000
E6_PER_DOLLAR = 1_000_000

_DIGITS_MAX = 18  # an int64 holds 18 decimal digits, which is also Decimal(18, n) in the store


def _fixed_point(text: str, places: int) -> int:
    """Return `text` (an optional sign, digits, an optional fraction) as an integer of 10^-places units.

    Raises ValueError when the text is no plain decimal number or has more precision than the unit can hold.
    """
    body = text[1:] if text[:1] == "-" else text
    whole, point, fraction = body.partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit()) or not whole or (point and not fraction):
        raise ValueError(f"expected a decimal number such as '0.4800', was {text!r}")
    if len(fraction) > places:
        if fraction[places:].strip("0"):
            raise ValueError(f"expected at most {places} decimal places, was {text!r}")
        fraction = fraction[:places]
    if len(whole.lstrip("0")) + places > _DIGITS_MAX:
        raise ValueError(f"expected at most {_DIGITS_MAX - places} digits before the point, was {text!r}")
    value = int(whole + fraction.ljust(places, "0"))
    return -value if body is not text else value


@lru_cache(maxsize=16_384)  # a venue quotes some hundred to ten thousand distinct prices
def price_e6(text: str) -> int:
    """Dollars as text -> millionths of a dollar. Raises ValueError."""
    return _fixed_point(text, PRICE_PLACES)


@lru_cache(maxsize=65_536)  # round sizes dominate; the cache bounds what the rest may hold
def size_e4(text: str) -> int:
    """Contracts as text -> ten-thousandths of a contract. Raises ValueError."""
    return _fixed_point(text, SIZE_PLACES)


def minute_of(event_ns: int) -> int:
    """Nanoseconds since the epoch -> whole minutes since the epoch (UTC)."""
    return event_ns // NS_PER_MINUTE
