"""What htmx asks, and how it is answered: the one place that knows its headers.

htmx-flask reads the headers of htmx 2, some of which version 4 names otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Response, redirect
from htmx_flask import request
from markupsafe import Markup

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SPOKEN = Markup('<p id="status" hx-swap-oob="innerHTML">{}</p>')


@dataclass(frozen=True)
class Fragment:
    """A fragment for who asks every few seconds: an answer in WSGI, at a third of what a Response costs.

    `say` is read out once to people who cannot see the change; `events` happen at the element that asked
    and bubble.
    """

    html: str
    say: Any = ""
    events: Mapping[str, Any] | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        body = self.body.encode()
        start_response("200 OK", [*self.headers, ("Content-Length", str(len(body)))])
        return [body]

    @property
    def body(self) -> str:
        return f"{self.html}{SPOKEN.format(self.say)}" if self.say else self.html

    @property
    def headers(self) -> list[tuple[str, str]]:
        kept = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")]
        # ASCII, as headers must be
        return [*kept, ("HX-Trigger", json.dumps(self.events))] if self.events else kept


def asked() -> bool:
    """Whether htmx wants a fragment; a restored or boosted page wants the whole page."""
    return bool(request.htmx) and request.headers.get("HX-Request-Type") != "full"


def fragment(
    html: str,
    *,
    say: Any = "",
    events: dict[str, Any] | None = None,
    status: int = 200,
) -> Response:
    """The same for a view, with any status."""
    made = Fragment(html, say, events)
    return Response(made.body, status, made.headers)


def unchanged() -> Response:
    """Nothing to show: the page stays as it is and keeps polling."""
    return Response(status=204, headers={"Cache-Control": "no-store"})


def go(url: str) -> Response:
    """To another page: a plain redirect would be swapped into the fragment."""
    if asked():
        return Response(status=204, headers={"HX-Redirect": url, "Cache-Control": "no-store"})
    response: Any = redirect(url, 303)
    return response


def sign_in(url: str) -> Response:
    """The login ran out during a poll or an action: 401, and the page goes to `url`."""
    return Response(status=401, headers={"HX-Redirect": url, "Cache-Control": "no-store"})
