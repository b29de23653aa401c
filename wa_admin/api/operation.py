"""One call of the API, said once: what the view is given, what it gives, and what the document tells of it.

@bp.post("/messages/send/")
@key_or_login(Permission.SEND)
@operation(_l("Send a message"), takes="NewMessage", gives="Message", status=(202, 201), ...)
def send(body): ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from flask import Response, request

from ..refusal import Refusal
from . import body as reading
from .envelope import answer, success

View = TypeVar("View", bound=Callable[..., Any])

SMALL_BODY_BYTES = 64 * 1024
QUERY_METHODS = frozenset({"GET", "HEAD", "DELETE"})
# what services call a field, and what some calls do
OTHERWISE = {"name": "instance_name", "recipient": "phone"}


@dataclass(frozen=True)
class Operation:
    """`takes`, `asks` and `gives` name schemas: of the body, the query and the answer.

    `refuses` are the codes that only this call can answer with; those every call shares are not repeated.
    `is_bare`: answered without the envelope of v1.
    """

    summary: Any
    description: Any = ""
    takes: str = "Nothing"
    asks: str = "Nothing"
    gives: str = ""
    many: bool = False
    status: tuple[int, ...] = (200,)
    refuses: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    is_bare: bool = False
    largest_bytes: int = SMALL_BODY_BYTES

    def given(self) -> dict[str, Any]:
        """The arguments of the view that come with this request. Raises Refusal."""
        from . import schemas

        request.max_content_length = self.largest_bytes
        query = schemas.load(self.asks, reading.query())
        body = {} if request.method in QUERY_METHODS else schemas.load(self.takes, reading.json_body())
        named = {"query": query} if self.asks != "Nothing" else {}
        return named if self.takes == "Nothing" else {**named, "body": body}

    def called_here(self, field: str | None) -> str | None:
        """A field that a service named, as this call names it."""
        from . import schemas

        schema_fields = schemas.of(self.asks).fields | schemas.of(self.takes).fields
        here = field if field in schema_fields else OTHERWISE.get(field or "")
        return schema_fields[here].data_key or here if here in schema_fields else field

    def told(self, result: Any) -> Response:
        """What the view gave, as an answer."""
        from . import schemas

        value, status = result if isinstance(result, tuple) else (result, self.status[0])
        data = schemas.of(self.gives).dump(value, many=self.many)
        return answer(data, status) if self.is_bare else success(data, status)


def operation(summary: Any, **more: Any) -> Callable[[View], View]:
    """Make a view of this: it gets `body` and `query` checked, and gives a value or (value, status)."""
    described = Operation(summary, **more)

    def declare(view: View) -> View:
        @wraps(view)
        def serve(**path: Any) -> Response:
            given = described.given()
            try:
                return described.told(view(**path, **given))
            except Refusal as refusal:
                refusal.field = described.called_here(refusal.field)
                raise

        serve.operation = described  # type: ignore[attr-defined]
        return serve  # type: ignore[return-value]

    return declare
