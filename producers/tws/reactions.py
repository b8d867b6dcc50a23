"""What to do about each reason why bars did not come. Pure: one table, and whoever adds a reason must add a line."""

from typing import Literal

from msgspec import Struct

from topics.tws import TwsReason

What = Literal[
    "complete",  # TWS itself says that there is nothing
    "again",  # ask again after a pause
    "window",  # ask again when a pacing window has passed
    "line",  # ask again when the line is back
    "give_up",  # asking again cannot help; a person must do something
]


class Reaction(Struct, frozen=True):
    """pause_s: before the first repetition; it doubles with each. counts: whether the attempt counts against the limit."""

    what: What
    pause_s: float = 0.0
    counts: bool = True


REACTIONS: dict[TwsReason, Reaction] = {
    "pacing": Reaction("window"),
    "no_data": Reaction("complete"),
    "empty": Reaction("again", 5.0),
    "no_permission": Reaction("give_up"),
    "unknown_contract": Reaction("give_up"),
    "bad_request": Reaction("give_up"),
    "cancelled": Reaction("again", 5.0),
    "timeout": Reaction("again", 5.0),
    "disconnected": Reaction("line", counts=False),
    "connectivity": Reaction("line", counts=False),
    "farm": Reaction("again", 30.0),
    "competing_session": Reaction("again", 60.0),
    "client_id_taken": Reaction("line", counts=False),
    "unknown_code": Reaction("again", 10.0),
}
