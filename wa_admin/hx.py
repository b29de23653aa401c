"""What htmx asks, and how it is answered: the one place that knows its headers.

htmx-flask reads the headers of htmx 2, some of which version 4 names otherwise.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Response, redirect
from htmx_flask import request
from markupsafe import Markup

SPOKEN = Markup('<p id="status" hx-swap-oob="innerHTML">{}</p>')


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
    """A fragment. `say` is read out once to people who cannot see the change; `events` happen at the
    element that asked and bubble."""
    spoken = SPOKEN.format(say) if say else ""
    response = Response(f"{html}{spoken}", status, {"Cache-Control": "no-store"})
    if events:
        response.headers["HX-Trigger"] = json.dumps(events)  # ASCII, as headers must be
    return response


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
