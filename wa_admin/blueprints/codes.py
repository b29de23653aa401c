"""The codes of gateways that only draw them: as a picture, since our pages take none from elsewhere."""

from flask import Blueprint, Response, abort, g

from ..models import WhatsAppSession
from ..permissions import Permission
from ..services import links, roster
from .access import proved, requires

bp = Blueprint("codes", __name__)


@bp.get("/sessions/<int:id>/link/picture")
@requires(Permission.LINK)
@proved
def show(id):
    return picture_of(roster.find(g.caller.workspace_id, id))


def picture_of(wa_session: WhatsAppSession) -> Response:
    """The code that waits for the phone. Whoever has it can link, so it is kept nowhere."""
    waiting = links.qr_of(wa_session)
    if waiting is None or waiting.image_type is None:
        abort(404)
    return Response(waiting.image, mimetype=waiting.image_type, headers={"Cache-Control": "no-store"})
