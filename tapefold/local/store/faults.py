"""Errors as ClickHouse tells them: a code, a name, a text, an HTTP status."""

import re
from typing import Self

_CODE = re.compile(r"Code: (\d+)\. (?:DB::Exception: )?")
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)$")
_VERSION = re.compile(r"\s*\(version (?:[^()]|\([^()]*\))*\)\s*$")

# A syntax error quotes the query, which may have megabytes.
_MESSAGE_CHARS_MAX = 16_384

# exceptionCodeToHTTPStatus.cpp of ClickHouse; what is not listed is 500.
_STATUS_CODES = {
    400: (6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676),
    401: (194,),
    403: (192, 193, 497, 512, 516),
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511),
    408: (159,),
    411: (381,),
    413: (229,),
    415: (779,),
    501: (48,),
    503: (76, 209, 439),
}
_STATUS = {code: status for status, codes in _STATUS_CODES.items() for code in codes}
_STATUS_OTHERWISE = 500


class StoreFault(Exception):
    """What a client is told that its request failed by.

    code: ClickHouse's number of the error, such as 60.
    name: ClickHouse's name of it, such as "UNKNOWN_TABLE".
    message: what happened, without code and name.
    """

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(code, name, message)
        self.code = code
        self.name = name
        self.message = message

    @classmethod
    def of_engine(cls, said: str) -> Self:
        """Takes an error text of chdb apart; what has no code becomes UNKNOWN_EXCEPTION (1002)."""
        match = _CODE.search(said)
        if match is None:
            return cls(1002, "UNKNOWN_EXCEPTION", said.strip() or "the engine failed without a word")
        # chdb's wrappers put words before the code; the version is the server's to add.
        message = _VERSION.sub("", said[match.end() :]).strip()
        name = _NAME.search(message)
        if name is None:
            return cls(int(match[1]), "UNKNOWN_EXCEPTION", message)
        return cls(int(match[1]), name[1], message[: name.start()].strip())

    @property
    def http_status(self) -> int:
        """HTTP status that a ClickHouse server gives this code."""
        return _STATUS.get(self.code, _STATUS_OTHERWISE)

    def body(self, version: str) -> bytes:
        """The text of an error answer, as ClickHouse words it; an overlong message loses its middle."""
        message = self.message
        if len(message) > _MESSAGE_CHARS_MAX:
            half = _MESSAGE_CHARS_MAX // 2
            message = f"{message[:half]} ... {message[-half:]}"
        text = f"Code: {self.code}. DB::Exception: {message} ({self.name}) (version {version} (chdb))\n"
        return text.encode(errors="surrogateescape")

    def __str__(self) -> str:
        return f"Code: {self.code}. {self.message} ({self.name})"
