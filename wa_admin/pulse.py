"""What the pages of a session show, worked out from one look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import current_app
from flask_babel import gettext as _
from markupsafe import Markup

from . import drivers, hx, qr, words
from .app import settings
from .models import Look
from .services import link_passkeys, links
from .services.glance import Glance
from .services.stats import Day

LINKING = frozenset({Look.STARTING, Look.WAITING_FOR_SCAN, Look.FINISHING})
HOPING = frozenset({Look.GATEWAY_UNREACHABLE, Look.RECONNECTING, Look.NO_NETWORK, Look.ENGINE_CRASHED})
SLOW_AFTER = timedelta(seconds=30)
CHART_HEIGHT = 72
EXTENSION = {"id": link_passkeys.EXTENSION_ID, "at": link_passkeys.EXTENSION_AT}


def told(seen: Glance, was: str | None) -> hx.Fragment:
    """The status to somebody who saw the look `was`; without a request too."""
    environment = current_app.jinja_env
    template = environment.get_template("sessions/_status.html")
    # as template.render() does, but for how the globals are copied, which costs as much as the template
    context = template.new_context({**environment.globals, **status(seen)}, shared=True)
    return changed(seen, was, "".join(template.root_render_func(context)))


def changed(seen: Glance, was: str | None, html: str) -> hx.Fragment:
    """The fragment, and word of what else is out of date: the card, and the day when the state is new."""
    look = seen.wa_session.look
    if was == look:
        return hx.Fragment(html, events={"wa:card": {}})
    # while a code is shown, the panel does the talking
    say = spoken(seen) if look not in LINKING else ""
    return hx.Fragment(html, say=say, events={"wa:card": {}, "wa:changed": {}})


def status(seen: Glance) -> dict[str, Any]:
    """What templates/sessions/_status.html needs."""
    is_linking = seen.wa_session.look in LINKING or seen.wa_session.asks_for_passkey
    return {
        # numbers, dots and words of ours: nothing to escape
        "url": f"/sessions/{seen.wa_session.id}/status?v={version(seen)}&was={seen.wa_session.look}",
        "wa_session": seen.wa_session,
        "today": seen.today,
        "shown": words.look_words(seen.wa_session),
        "is_slow": is_slow(seen),
        "poll_seconds": 2 if is_linking else settings().poll_seconds,
    }


def card(seen: Glance, may_link: bool) -> dict[str, Any]:
    """What templates/sessions/_session.html needs."""
    shows_code = may_link and seen.wa_session.look == Look.WAITING_FOR_SCAN
    return {**status(seen), "picture": _picture(seen) if shows_code else None}


def version(seen: Glance) -> str:
    return seen.version(is_slow(seen))


def panel(seen: Glance, by: str, picture_at: str = "") -> dict[str, Any]:
    """What templates/sessions/_panel.html needs; `by` is qr or phone, how the person wants to link.
    `picture_at` is where a code that came as a picture is served, if not to people with an account."""
    look = seen.wa_session.look
    code = links.qr_of(seen.wa_session)
    return {
        "wa_session": seen.wa_session,
        "shown": words.look_words(seen.wa_session),
        "code": code,
        "codes": drivers.DRIVERS[seen.wa_session.gateway.kind].codes,
        "passkey_code": link_passkeys.code_of(seen.wa_session),
        "extension": EXTENSION,
        "picture": _picture(seen, picture_at),
        "by": by,
        "is_slow": is_slow(seen),
        "version": panel_version(seen),
        "scene": scene(seen),
        "poll_seconds": 2 if look == Look.WAITING_FOR_SCAN else 1,
        "is_open": look in LINKING or look in HOPING or seen.wa_session.asks_for_passkey,
    }


def panel_version(seen: Glance) -> str:
    return f"{seen.wa_session.rev}.{seen.wa_session.gateway.failure or ''}.{is_slow(seen):d}"


def spoken(seen: Glance) -> str:
    """The change, for people who cannot see it."""
    if seen.wa_session.look == Look.CONNECTED:
        return _("WhatsApp is connected as %(number)s.", number=words.readable_phone(seen.wa_session.number))
    if seen.wa_session.look == Look.WAITING_FOR_SCAN:
        code = links.qr_of(seen.wa_session)
        if code is None or code.codes in (None, 1):
            return _("A code is ready to scan.")
        return _("Code %(number)s of %(all)s is ready to scan.", number=code.sequence, all=code.codes)
    if seen.wa_session.sealed_passkey_code:
        return _("Compare the code here with the one on the phone.")
    shown = words.look_words(seen.wa_session)
    return f"{shown.word}. {shown.what}"


def scene(seen: Glance) -> str:
    """What the panel is about; a change of it is worth a word."""
    step = "code" if seen.wa_session.sealed_passkey_code else seen.wa_session.qr_sequence or 0
    return f"{seen.wa_session.look}.{step}"


def is_slow(seen: Glance) -> bool:
    return seen.wa_session.look == Look.STARTING and seen.seen_at - seen.wa_session.status_at > SLOW_AFTER


def _picture(seen: Glance, picture_at: str = "") -> Markup | None:
    """The code drawn; its label is the same for its whole life, so that it is drawn once."""
    code = links.qr_of(seen.wa_session)
    if code is None or not (code.code or code.image):
        return None
    label = _("QR code for linking, valid until %(time)s", time=words.at(code.expires_at))
    if code.code:
        return qr.svg(code.code, label)
    which = f"{code.sequence}.{int(code.expires_at.timestamp())}"
    address = picture_at or f"/sessions/{seen.wa_session.id}/link/picture"
    return Markup('<img class="qr-code" src="{}?v={}" alt="{}">').format(address, which, label)


@dataclass(frozen=True)
class Bar:
    """One day of the chart, in its units: sent from the ground up, failed on top."""

    day: Day
    x: int
    sent_y: int
    sent_height: int
    failed_y: int
    failed_height: int


def bars(days: Sequence[Day]) -> list[Bar]:
    """The days as columns, the highest filling the chart; whatever is not nothing can be seen."""
    most = max((one.sent + one.failed for one in days), default=0) or 1
    result = []
    for number, one in enumerate(days):
        failed = _height(one.failed, most)
        sent = min(_height(one.sent, most), CHART_HEIGHT - failed)
        top, gap = CHART_HEIGHT - sent, 2 if failed and sent > 2 else 0
        result.append(Bar(one, number * 24, top + gap, sent - gap, top - failed, failed))
    return result


def _height(count: int, most: int) -> int:
    return max(3, round(CHART_HEIGHT * count / most)) if count else 0
