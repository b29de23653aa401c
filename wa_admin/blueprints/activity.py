from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby

from flask import Blueprint, abort, g, render_template, request
from flask_babel import gettext as _

from .. import clock, hx, moments
from ..permissions import Permission
from ..sentences import TOPICS, Line
from ..services import activity, health
from . import row_number
from .access import requires

bp = Blueprint("activity", __name__)

HEALTH_POLL_SECONDS = 30


@bp.get("/activity")
@requires(Permission.LOOK)
def index():
    topic = request.args.get("topic") or None
    if topic is not None and topic not in TOPICS:
        abort(404)
    page = activity.page(g.caller.workspace_id, topic, request.args.get("cursor", type=row_number))
    return render_template("activity/index.html", page=page, days=_by_day(page.lines), topic=topic)


@bp.get("/health")
@requires(Permission.LOOK)
def health_page():
    shown = {"checks": health.look(g.caller.workspace_id), "poll_seconds": HEALTH_POLL_SECONDS}
    if hx.asked():
        return hx.fragment(render_template("health/_checks.html", **shown))
    return render_template("health/index.html", **shown)


def _by_day(lines: list[Line]) -> list[tuple[str, list[Line]]]:
    """Newest day first, in the reader's time zone."""
    now = clock.now()
    names = {moments.day(now - timedelta(days=1)): _("Yesterday"), moments.day(now): _("Today")}
    days = groupby(lines, key=lambda line: moments.day(line.at))
    return [(names.get(day, day), list(some)) for day, some in days]


@bp.app_template_test("recent")
def is_recent(when: datetime) -> bool:
    return clock.now() - when < timedelta(hours=12)
