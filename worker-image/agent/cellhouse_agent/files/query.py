"""Reads the query of a file request. A malformed parameter raises MalformedMessage, which names it."""

from __future__ import annotations

from tornado.httputil import HTTPServerRequest

from cellhouse_agent.requests import identifier
from cellhouse_agent.wire import MalformedMessage

MAX_PATH_BYTES = 4_096
MAX_TEXT_CHARACTERS = 16_384
MAX_NUMBER = 2**53
NUMBER_DIGITS = 17


class Query:
    """The parameters of one request."""

    def __init__(self, request: HTTPServerRequest) -> None:
        self._arguments = request.query_arguments

    def identifier(self, name: str) -> str:
        """An id, which must be there."""
        return identifier(self.text(name), name)

    def path(self, name: str = "path") -> str:
        """The bytes of a path, one character each: a name need not be UTF-8."""
        value = self._last(name)
        if not value or len(value) > MAX_PATH_BYTES:
            raise MalformedMessage(f"{name} must have 1 to {MAX_PATH_BYTES} bytes")
        return value.decode("latin-1")

    def text(self, name: str) -> str | None:
        """A text; None if it is not there."""
        value = self._last(name)
        if value is None:
            return None
        if len(value) > MAX_TEXT_CHARACTERS or not value.isascii():
            raise MalformedMessage(f"{name} must be at most {MAX_TEXT_CHARACTERS} ASCII characters")
        return value.decode("ascii")

    def flag(self, name: str) -> bool:
        """Whether a parameter is 1."""
        value = self._last(name)
        if value not in (None, b"0", b"1"):
            raise MalformedMessage(f"{name} must be 0 or 1")
        return value == b"1"

    def number(self, name: str, default: int, minimum: int = 0) -> int:
        """A whole number."""
        value = self._last(name)
        if value is None:
            return default
        digits = value.removeprefix(b"-")
        if not digits.isdigit() or len(digits) > NUMBER_DIGITS:
            raise MalformedMessage(f"{name} must be a whole number")
        if not minimum <= int(value) <= MAX_NUMBER:
            raise MalformedMessage(f"{name} must be a whole number from {minimum}")
        return int(value)

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of these; the first if the parameter is not there."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise MalformedMessage(f"{name} must be one of {', '.join(choices)}")
        return value or choices[0]

    def _last(self, name: str) -> bytes | None:
        values = self._arguments.get(name)
        return values[-1] if values else None
