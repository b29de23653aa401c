"""What the page of several sessions shows, and which of its lines are news; drawn without a request too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from flask import current_app
from flask_babel import get_locale
from flask_babel import lazy_gettext as _l
from markupsafe import Markup

from . import hx, moments, plain, words
from .app import settings
from .models import Look, WhatsAppSession
from .permissions import Permission
from .services.glance import Glance
from .services.lineup import CARDS, LOOK, PRINT, Lineup

LONGEST_TEXT = 80
_STATUSES = ("40x", "41x", "42x", "50x")
_SHOWN_AT = Markup('hx-status:{}="target:{} swap:{}"')
REFUSED = {  # where htmx puts the sentence of a refusal: _ui.html's `acts`, without the cost of a macro
    target: Markup(" ").join(_SHOWN_AT.format(status, target, swap) for status in _STATUSES)
    for target, swap in (("#alert", "innerHTML"), ("#link", "outerHTML"))
}
TOKEN = Markup("<!--token-->")  # where a form's CSRF token goes
ACTS = 1000  # cards whose buttons are kept drawn; some kilobytes each


@dataclass(frozen=True)
class Step:
    """The one thing to do about a session; `act` names how it is asked for in sessions/_line_acts.html."""

    label: Any
    act: str
    icon: str
    needs: Permission = Permission.LINK
    is_primary: bool = True


_AGAIN = Step(_l("Try now"), "connection", "rotate")
_LINK_AGAIN = Step(_l("Link again"), "link", "qr")
STEPS: dict[Look, Step] = {
    Look.NEVER_LINKED: Step(_l("Link WhatsApp"), "link", "qr"),
    Look.WAITING_FOR_SCAN: Step(_l("Open the code"), "open", "qr"),
    Look.FINISHING: Step(_l("Show progress"), "open", "hourglass"),
    Look.PAUSED: Step(_l("Resume sending"), "resume", "play", Permission.PAUSE),
    Look.SILENT: Step(_l("Restart connection"), "restart", "rotate"),
    Look.RECONNECTING: _AGAIN,
    Look.NO_NETWORK: _AGAIN,
    Look.ENGINE_CRASHED: _AGAIN,
    Look.GATEWAY_UNREACHABLE: _AGAIN,
    Look.UNLINKED: _LINK_AGAIN,
    Look.QR_EXPIRED: Step(_l("Show a new code"), "link", "qr"),
    Look.PASSKEY_REQUIRED: Step(_l("Finish linking"), "open", "passkey"),
    Look.AUTH_FAILURE: _LINK_AGAIN,
    Look.REPLACED: Step(_l("Connect here again"), "connection", "rotate"),
    Look.BANNED: Step(_l("Try to connect"), "connection", "rotate", is_primary=False),
    Look.OUTDATED: Step(_l("Connect again"), "connection", "rotate"),
    Look.STOPPED: Step(_l("Connect"), "connection", "rotate"),
    Look.INACTIVE: Step(_l("Switch on"), "activation", "power", Permission.MANAGE),
}


def asked_for(query: Mapping[str, str]) -> tuple[str, int]:
    """What is searched for, and the session after which the page begins."""
    text, after = query.get("q", "").strip(), query.get("after", "")
    is_number = after.isascii() and after.isdigit() and len(after) < 10
    return (text if plain.is_storable(text) else "")[:LONGEST_TEXT], int(after) if is_number else 0


def page(shown: Lineup, total: int) -> dict[str, Any]:
    """What sessions/_lineup.html needs. `total` counts the sessions on other pages too."""
    as_table = total > CARDS or bool(shown.text or shown.after)
    return {
        **_common(shown, as_table),
        "lines": _rows(shown.lines) if as_table else [line(seen, shown.by.may) for seen in shown.lines],
        "total": total,
        "text": shown.text,
        "after": shown.after,
        "next_after": shown.next_after,
    }


def line(seen: Glance, may: Callable[[Permission], bool]) -> dict[str, Any]:
    """What sessions/_line.html needs."""
    one = seen.wa_session
    menu, step = _acts_of(one, may)
    return {
        "wa_session": one,
        "today": seen.today,
        "shown": words.look_word(one) if one.look == Look.CONNECTED else words.look_words(one),
        "icons": _icons(),
        "menu": menu,
        "step": step,
        "token": TOKEN,
    }


def news(shown: Lineup, was: str, as_table: bool) -> hx.Fragment | None:
    """The lines that changed since the version `was`, and what is to be said of them; None when a session
    came or went: then the whole list is drawn anew."""
    known, _, told = was.partition(".")
    if known != shown.members or len(told) != PRINT * len(shown.prints):
        return None
    before = [told[start : start + PRINT] for start in range(0, len(told), PRINT)]
    changed = [n for n, one in enumerate(shown.prints) if one.text != before[n]]
    lines = {number: shown.line(number) for number in changed}
    moved = [lines[n] for n in changed if before[n][:LOOK] != shown.prints[n].text[:LOOK]]
    drawn = _rows(lines.values()) if as_table else [line(seen, shown.by.may) for seen in lines.values()]
    html = _drawn("sessions/_news.html", {**_common(shown, as_table), "changed": drawn, "csrf": ""})
    return hx.Fragment(html, say=" ".join(map(spoken, moved)))


def spoken(seen: Glance) -> str:
    return f"{seen.wa_session.name}: {words.look_word(seen.wa_session).word}."


def _common(shown: Lineup, as_table: bool) -> dict[str, Any]:
    asked = {"v": shown.version, "table": int(as_table), "after": shown.after, "q": shown.text}
    known = urlencode({name: value for name, value in asked.items() if value})
    is_linking = any(one.is_linking for one in shown.prints)
    return {
        "url": f"/sessions/news?{known}",
        "poll_seconds": 2 if is_linking else settings().poll_seconds,
        "as_table": as_table,
    }


def _rows(lines: Iterable[Glance]) -> list[dict[str, Any]]:
    """What sessions/_rows.html needs, of each."""
    ago, look, icons = moments.ago_teller(), words.look_teller(), _icons()
    return [
        {
            "wa_session": seen.wa_session,
            "today": seen.today,
            "shown": look(seen.wa_session),
            "proof": ago(seen.wa_session.last_proof_at),
            "icons": icons,
        }
        for seen in lines
    ]


@dataclass(frozen=True)
class _Facts:
    """All that decides what can be done about a session, and how it reads."""

    id: int
    name: str
    look: Look
    is_default: bool
    can_be_default: bool
    is_active: bool
    is_linked: bool
    number: str | None
    capabilities: str
    granted: frozenset[Permission]


def _acts_of(one: WhatsAppSession, may: Callable[[Permission], bool]) -> tuple[Markup, Markup]:
    """Menu and step of a card: half of its cost, and they seldom change, unlike the counts beside them."""
    facts = _Facts(
        one.id,
        one.name,
        one.look,
        one.is_default,
        one.is_connected and one.is_active,
        one.is_active,
        one.linked_at is not None,
        one.linked_number,
        one.gateway.capabilities,
        frozenset(filter(may, (Permission.PAUSE, Permission.LINK, Permission.MANAGE))),
    )
    if current_app.debug:
        _acts.cache_clear()
    return _acts(facts, str(get_locale()), current_app.config["BABEL_TRANSLATION_DIRECTORIES"])


@lru_cache(maxsize=ACTS)
def _acts(one: _Facts, _locale: str, _catalogues: str) -> tuple[Markup, Markup]:
    drawn = {"one": one, "do": STEPS.get(one.look), "icons": _icons(), "refused": REFUSED, "token": TOKEN}
    made: Any = current_app.jinja_env.get_template("sessions/_line_acts.html").make_module(drawn)
    return made.menu(), made.step()


def _icons() -> str:
    asset: Any = current_app.jinja_env.globals["asset"]
    return f"{asset('img/icons.svg')}#"


def _drawn(name: str, drawn: dict[str, Any]) -> str:
    environment = current_app.jinja_env
    template = environment.get_template(name)
    # as in pulse.told: the globals are not copied through a chain of maps
    context = template.new_context({**environment.globals, **drawn}, shared=True)
    return "".join(template.root_render_func(context))
