"""Errors say whose fault it is and what to do.

```
TapefoldError
├── BadRecord          theirs: one record is refused; it goes to `dead` with its reason, and is never retried
├── Unavailable        nobody's: a part is away; retry within bounds
│   └── Undelivered    the log did not confirm records in time
└── Refused            the operator's: we will not start or go on; the message names the next command
    ├── TopicMismatch  the topics on the broker are not those of the catalogue
    └── SettingsError  a setting is missing or wrong
```
"""

from typing import Literal, get_args

Reason = Literal[
    "not_json",  # the bytes are no JSON text
    "unknown_type",  # a frame type or record kind that no parser knows
    "missing_field",  # a field that the contract requires is absent
    "bad_value",  # a field is there, but its value is outside the contract
    "missing_header",  # our own producer's metadata is absent or malformed
    "conflict",  # the same natural id came with other material content
    "bad_signature",  # a recorded webhook that its secret did not sign; a receiver answers such a request with 400
    "bad_status",  # the upstream answered, but not with what was asked for
    "too_large",  # more bytes than the log accepts
    "over_limit",  # more of one kind than a row is made of: of those the ones known last are left out
]
REASONS: frozenset[str] = frozenset(get_args(Reason))


class TapefoldError(Exception):
    """Base of all errors that this project raises on purpose."""


class BadRecord(TapefoldError):
    """A record that cannot be what its topic promises. Goes to `dead`, is not retried.

    reason: why, from the closed set `Reason`. detail: expected what, was what.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason: Reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class Unavailable(TapefoldError):
    """A part that we need does not answer. part: its name. detail: what it said."""

    def __init__(self, part: str, detail: str) -> None:
        super().__init__(part, detail)
        self.part = part
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.part} is not available: {self.detail}"


class Undelivered(Unavailable):
    """The log did not confirm `count` records within the time allowed; they may or may not be stored."""

    def __init__(self, count: int, detail: str) -> None:
        super().__init__("the log", detail)
        self.count = count

    def __str__(self) -> str:
        return f"the log did not confirm {self.count} records: {self.detail}; start again, ids make the repeat harmless"


class Refused(TapefoldError):
    """We will not start or go on. The message names the next step."""


class TopicMismatch(Refused):
    """The broker's topic differs from the catalogue."""

    def __init__(self, topic: str, expected: str, was: str) -> None:
        super().__init__(topic, expected, was)
        self.topic = topic
        self.expected = expected
        self.was = was

    def __str__(self) -> str:
        return f"topic {self.topic!r}: expected {self.expected}, was {self.was}; run `tapefold migrate`"


class SettingsError(Refused):
    """A setting is missing or out of its range."""
