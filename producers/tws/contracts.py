"""Which contracts to record, as a user writes them: `AAPL`, `EUR:CASH:IDEALPRO`, `FDAX:FUT:EUREX:EUR:202412`. Pure."""

from msgspec import Struct

from topics.errors import SettingsError

_FORM = "SYMBOL[:SEC_TYPE[:EXCHANGE[:CURRENCY[:EXPIRY]]]]"
_DEFAULTS = ("", "STK", "SMART", "USD", "")


class Spec(Struct, frozen=True):
    """One contract as asked for. symbol: also the name of its bars. expiry: YYYYMM or YYYYMMDD of a future."""

    symbol: str
    sec_type: str = "STK"
    exchange: str = "SMART"
    currency: str = "USD"
    expiry: str = ""


def specs(text: str) -> dict[str, Spec]:
    """The contracts of a list with commas, by symbol. Raises SettingsError for a wrong form or a symbol given twice."""
    found: dict[str, Spec] = {}
    for one in (part.strip() for part in text.split(",")):
        if not one:
            continue
        parts = one.split(":")
        if (
            len(parts) > len(_DEFAULTS)
            or not all(part.isascii() and part.isprintable() for part in parts)
            or not parts[0]
        ):
            raise SettingsError(f"TWS_SYMBOLS: expected {_FORM}, was {one!r}")
        spec = Spec(*(part or default for part, default in zip(parts, _DEFAULTS, strict=False)))
        if spec.symbol in found:
            raise SettingsError(f"TWS_SYMBOLS: expected each symbol once, {spec.symbol!r} stands there twice")
        found[spec.symbol] = spec
    return found
