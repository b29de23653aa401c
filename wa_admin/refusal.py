"""Why something was not done, for people and for programs."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """Base of every error that a caller can meet and mend.

    `code` is stable and meant for programs; `status` is the HTTP status it becomes; `field` names the
    input it is about; `str()` is a sentence in the reader's language that says what to do next. A class
    with one thing to say says it in its own `__init__`.
    """

    code = "refused"
    status = 400
    retry_after_seconds: int | None = None  # where a later try is welcome

    def __init__(self, sentence: Any, *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field
        if code:
            self.code = code

    def __str__(self) -> str:
        return str(self.sentence)
