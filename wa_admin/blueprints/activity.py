from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby
from typing import TypedDict, TypeVar

from flask import Blueprint, Response, abort, g, render_template, request, stream_with_context
from flask_babel import gettext as _

from .. import clock, hx, moments, plain
from ..permissions import Permission
from ..sentences import TOPICS, Line, who
from ..services import activity, audit, health
from ..services.activity import AuditLine
from . import row_number
from .access import requires

bp = Blueprint("activity", __name__)

HEALTH_POLL_SECONDS = 30
AnyLine = TypeVar("AnyLine", Line, AuditLine)


@bp.get("/activity")
@requires(Permission.LOOK)
def index():
    topic = request.args.get("topic") or None
    if topic is not None and topic not in TOPICS:
        abort(404)
    page = activity.page(g.caller.workspace_id, topic, request.args.get("cursor", type=row_number))
    return render_template("activity/index.html", page=page, days=_by_day(page.lines), topic=topic)


@bp.get("/activity/audit")
@requires(Permission.MANAGE)
def audit_log():
    wanted = _audit_filter()
    all_of_it = wanted["all_of_it"]
    page = audit.page(g.caller.workspace_id, **wanted, cursor=request.args.get("cursor", type=row_number))
    shown = activity.of_audit(g.caller.workspace_id, page.items)
    return render_template(
        "activity/audit.html",
        page=page,
        days=_by_day(shown),
        wanted={"action": wanted["action"], "actor": wanted["actor"]},
        actions=[
            (one, one.replace("_", " ")) for one in audit.actions(g.caller.workspace_id, all_of_it=all_of_it)
        ],
        actors=[(one, who(one)) for one in audit.actors(g.caller.workspace_id, all_of_it=all_of_it)],
    )


@bp.get("/activity/audit.csv")
@requires(Permission.MANAGE)
def audit_csv():
    lines = audit.export(g.caller.workspace_id, **_audit_filter())
    response = Response(stream_with_context(lines), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="audit.csv"'
    return response


@bp.get("/health")
@requires(Permission.LOOK)
def health_page():
    shown = {"checks": health.look(g.caller.workspace_id), "poll_seconds": HEALTH_POLL_SECONDS}
    if hx.asked():
        return hx.fragment(render_template("health/_checks.html", **shown))
    return render_template("health/index.html", **shown)


class _AuditFilter(TypedDict):
    all_of_it: bool
    action: str | None
    actor: str | None


def _audit_filter() -> _AuditFilter:
    """What somebody asks for; what belongs to no workspace is for the owners of the installation."""
    chosen = {name: plain.storable(request.args.get(name, "")) or None for name in ("action", "actor")}
    return {"all_of_it": g.caller.may(Permission.OWN), "action": chosen["action"], "actor": chosen["actor"]}


def _by_day(lines: list[AnyLine]) -> list[tuple[str, list[AnyLine]]]:
    """Newest day first, in the reader's time zone."""
    now = clock.now()
    names = {moments.day(now - timedelta(days=1)): _("Yesterday"), moments.day(now): _("Today")}
    days = groupby(lines, key=lambda line: moments.day(line.at))
    return [(names.get(day, day), list(some)) for day, some in days]


@bp.app_template_test("recent")
def is_recent(when: datetime) -> bool:
    return clock.now() - when < timedelta(hours=12)
