"""The API explained: the OpenAPI document for programs, and a page made from it for people."""

from __future__ import annotations

import json

from flask import Blueprint, Response, render_template, request
from flask_babel import get_locale
from flask_babel import lazy_gettext as _l

from ..app import settings
from .access import public

TITLES = {
    "messages": _l("Messages"),
    "chats": _l("Chats"),
    "sessions": _l("Sessions"),
    "webhooks": _l("Webhooks"),
    "admin": _l("Sessions, in the older shape"),
}

bp = Blueprint("docs", __name__, url_prefix="/api")


@bp.get("/openapi.json")
@public
def openapi() -> Response:
    from ..api.document import document

    return Response(json.dumps(document(), indent=1), mimetype="application/json")


@bp.get("/docs")
@public
def index() -> str:
    from ..api import examples
    from ..api.document import document

    told = document(str(get_locale()))
    address = settings().public_url or request.host_url.rstrip("/")
    groups = examples.groups(told, address)
    return render_template(
        "docs/index.html",
        document=told,
        groups=groups,
        events=examples.events(told),
        first=groups[0].calls[0],
        refusals=examples.refusals_of_every_call(),
        address=address,
        titles=TITLES,
    )
