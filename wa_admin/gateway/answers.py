"""Refusals in Evolution's shapes (contract of 2.3.6, section "Error shapes").

Refusal
├── NotFound        404   ["..."]
├── NotConnected    500   "Connection Closed", code NOT_CONNECTED
└── OutcomeUnknown  504   or 409 for a reference that was lost in a crash, code OUTCOME_UNKNOWN
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any


class Refusal(Exception):
    """`message` is a string, an array of strings, or an array in an array: Evolution has all three."""

    def __init__(
        self, status: int, message: Any, *, code: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status)
        self.status = status
        self.message = message
        self.code = code
        self.headers = headers or {}

    def body(self) -> Any:
        words = HTTPStatus(self.status).phrase
        body: dict[str, Any] = {
            "status": self.status,
            "error": words,
            "response": {"message": self.message},
        }
        if self.code:
            body["code"] = self.code
        return body


class NotFound(Refusal):
    def __init__(self, message: str) -> None:
        super().__init__(404, [message])


def instance_missing(name: str) -> NotFound:
    return NotFound(f'The "{name}" instance does not exist')


class NotConnected(Refusal):
    def __init__(self) -> None:
        super().__init__(500, "Connection Closed", code="NOT_CONNECTED")


class OutcomeUnknown(Refusal):
    def __init__(self, status: int = 504) -> None:
        super().__init__(status, ["unknown outcome"], code="OUTCOME_UNKNOWN")


class BareRefusal(Refusal):
    """whatsappNumbers answers its failures in shapes of its own."""

    def __init__(self, status: int, bare: Any) -> None:
        super().__init__(status, "")
        self._bare = bare

    def body(self) -> Any:
        return self._bare


def schema_error(*lines: str) -> Refusal:
    """A body that does not fit: an array in an array."""
    return Refusal(400, [list(lines)])
