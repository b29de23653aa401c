"""The codes of gateways that only draw them: as a picture, since our pages take none from elsewhere."""

from flask import Blueprint, Response, abort, g

from ..permissions import Permission
from ..services import links, roster
from .access import requires

bp = Blueprint("codes", __name__)


@bp.get("/sessions/<int:id>/link/picture")
@requires(Permission.LINK)
def show(id):
    waiting = links.qr_of(roster.find(g.caller.workspace_id, id))
    if waiting is None or waiting.image_type is None:
        abort(404)
    # whoever has it can link: it is kept nowhere, and a page of its own loads nothing
    return Response(waiting.image, mimetype=waiting.image_type, headers={"Cache-Control": "no-store"})
