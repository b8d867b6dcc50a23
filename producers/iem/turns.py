"""Who may ask next. One throttle for all; neither the live questions nor history starve. Pure."""

from typing import Literal

Turn = Literal["live", "history"]


class Turns:
    """Where both wait, history has one turn of `share`, live the others; where one waits, it goes."""

    def __init__(self, share: int) -> None:
        self._share = share
        self._in_a_row = 0

    def next(self, *, live: bool, history: bool) -> Turn | None:
        """Whose turn it is; None when nobody waits."""
        if live and history:
            turn: Turn = "history" if self._in_a_row + 1 >= self._share else "live"
        elif live or history:
            turn = "live" if live else "history"
        else:
            return None
        self._in_a_row = self._in_a_row + 1 if turn == "live" else 0
        return turn
