"""What the codes of TWS mean to us: a closed set of reasons, of which some codes are no reason at all.

Source: Interactive Brokers "TWS API: Message Codes" (read 2026-11). Code 162 stands for many things: its text decides.
"""

from topics.tws import TwsReason

# Notices of good or indifferent health, and remarks on orders, which we never place.
INFORMATION = frozenset({1102, 2104, 2106, 2107, 2108, 2109, 2119, 2158, 10167})
RESTORED = frozenset({1101, 1102})  # the line to Interactive Brokers is back; 1101: what was subscribed is lost
LOST = frozenset({1100, 2110})
DATA_KEPT = 1102

_REASONS: dict[int, TwsReason] = {
    100: "pacing",
    165: "timeout",
    200: "unknown_contract",
    203: "unknown_contract",
    320: "bad_request",
    321: "bad_request",
    322: "bad_request",
    326: "client_id_taken",
    354: "no_permission",
    366: "cancelled",
    420: "pacing",
    502: "disconnected",
    504: "disconnected",
    507: "disconnected",
    1100: "connectivity",
    1101: "connectivity",
    1300: "disconnected",
    2103: "farm",
    2105: "farm",
    2110: "connectivity",
    2157: "farm",
    10089: "no_permission",
    10090: "no_permission",
    10168: "no_permission",
    10186: "no_permission",
    10187: "no_permission",
    10197: "competing_session",
    10225: "disconnected",
}
_OF_162: tuple[tuple[str, TwsReason], ...] = (
    ("pacing violation", "pacing"),
    ("returned no data", "no_data"),
    ("no market data permissions", "no_permission"),
    ("no historical data permissions", "no_permission"),
    ("cancelled", "cancelled"),
    ("different ip address", "competing_session"),
    ("invalid", "bad_request"),
)
_HISTORICAL = 162


def reason_of(code: int, text: str) -> TwsReason | None:
    """The reason that a code (and, for 162, its text) gives; None: it is news, nothing failed."""
    if code == _HISTORICAL:
        said = text.casefold()
        return next((reason for words, reason in _OF_162 if words in said), "unknown_code")
    if code in INFORMATION:
        return None
    return _REASONS.get(code, "unknown_code")
