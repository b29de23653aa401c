"""Who may do what: each route declares it, and the start fails when one does not.

    @bp.post("/<int:id>/default")
    @requires(Permission.LINK)        # a signed-in person whose role has this permission; with CSRF
    @public                           # anybody; with CSRF
    @key_or_login(Permission.SEND)    # an app's key, or a signed-in person with CSRF
    @proved                           # beside these: and the password was typed within 15 minutes

Views find out who calls in `g.caller`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, abort, current_app, g, redirect, request, session, url_for
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from .. import clock, hx
from ..extensions import csrf, login_manager
from ..permissions import Permission, holders
from ..refusal import Refusal
from ..services import api_keys, api_pace, audit, logins, scope
from ..vocabulary import ROLES, SCOPES

_log = logging.getLogger(__name__)
View = TypeVar("View", bound=Callable[..., Any])

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class NotAllowed(Refusal):
    code = "forbidden"
    status = 403

    def __init__(self, needed: Permission) -> None:
        if needed == Permission.OWN:
            super().__init__(_l("Only an owner of this panel may do this."))
        else:
            roles = [ROLES[role] for role in holders(needed)]
            super().__init__(_l("Who may do this: %(roles)s.", roles=", ".join(map(str, roles))))


class KeyMayNot(Refusal):
    code = "forbidden"
    status = 403

    def __init__(self, scopes: frozenset[str]) -> None:
        may = ", ".join(str(SCOPES[one]) for one in SCOPES if one in scopes)
        super().__init__(_l("This API key may do no more than: %(scopes)s.", scopes=may))


class NotSignedIn(Refusal):
    code = "unauthorized"
    status = 401

    def __init__(self) -> None:
        super().__init__(_l("Send your API key as “Authorization: Bearer wak_…”."))


class ProofNeeded(Refusal):
    code = "proof_needed"
    status = 403

    def __init__(self) -> None:
        super().__init__(_l("Show that it is still you: open /confirm in this browser, then call again."))


class SecondFactorNeeded(Refusal):
    code = "second_factor_needed"
    status = 403

    def __init__(self) -> None:
        super().__init__(_l("Everybody here needs a second factor: set one up in the panel."))


class FromElsewhere(Refusal):
    code = "cross_site"
    status = 403

    def __init__(self) -> None:
        super().__init__(_l("This came from a page that is not part of this panel, so nothing was done."))


@dataclass(frozen=True)
class Caller:
    """Who is behind this request; `actor` is what the timeline keeps. `person` is None for an app."""

    workspace_id: int
    actor: str
    person: logins.Identity | None = None
    scopes: frozenset[str] = frozenset()  # of an app's key

    def may(self, permission: Permission) -> bool:
        return permission in self.scopes if self.person is None else self.person.may(permission)

    @property
    def is_proved(self) -> bool:
        """Whether secrets may be shown: it was shown lately that nobody else sits there."""
        return self.person is None or self.person.proved_lately(clock.now())


@dataclass(frozen=True)
class Needs:
    """What a route asks for; `permission` None means nothing."""

    permission: Permission | None
    by_key: bool = False


def requires(permission: Permission) -> Callable[[View], View]:
    """A signed-in person with this permission."""
    return _declare(Needs(permission))


def public(view: View) -> View:
    """Anybody."""
    return _declare(Needs(None))(view)


def key_or_login(permission: Permission) -> Callable[[View], View]:
    """An app with an API key, or a signed-in person with this permission."""

    def declare(view: View) -> View:
        csrf.exempt(view)  # checked below, but only for callers with a cookie
        return _declare(Needs(permission, by_key=True))(view)

    return declare


def proved(view: View) -> View:
    """And the password was typed, or a passkey used, a short while ago. An app's key is proof enough."""
    view.needs_proof = True  # type: ignore[attr-defined]
    return view


def without_second_factor(view: View) -> View:
    """Open to somebody who must set up a second factor and has not, as nothing else is."""
    view.asks_no_factor = True  # type: ignore[attr-defined]
    return view


def register(app: Flask) -> None:
    """Guard every request. Raises RuntimeError when a route declares no permission."""
    app.config["WTF_CSRF_SSL_STRICT"] = False  # a Referer is not always sent; Origin is, and we check it
    app.config["SESSION_REFRESH_EACH_REQUEST"] = False
    login_manager.session_protection = None  # it would sign out phones that change networks
    login_manager.request_loader(lambda _request: _identify())
    undeclared = sorted(
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static" and not hasattr(app.view_functions[rule.endpoint], "needs")
    )
    if undeclared:
        raise RuntimeError(f"these routes declare no permission: {', '.join(undeclared)}")
    app.extensions["api_pace"] = api_pace.Pace()
    app.before_request(_guard)


def is_own_path(target: str | None) -> bool:
    """Whether a path to go on to stays on this panel."""
    if not target or not target.startswith("/") or target.startswith("//"):
        return False
    if "\\" in target or any(ord(char) < 32 or ord(char) == 127 for char in target):
        return False
    # a browser decodes nothing before it resolves, but a proxy on the way may
    if target[1:].lower().startswith(("%2f", "%5c")):
        return False
    try:
        parts = urlsplit(target)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc


def leave_for_login() -> Any:
    """To the login page, and from there back to this one."""
    here = page_asked_for()
    return _leave_for(url_for("auth.login", next=None if here == "/" else here))


def page_asked_for() -> str:
    """The path to come back to: this page, or the one that a fragment or a form belongs to."""
    if request.method in SAFE_METHODS and not hx.asked():
        return request.full_path.rstrip("?")
    return page_before()


def page_before() -> str:
    """The path of the page that this request was made from, `/` when it is unknown or not ours."""
    page = urlsplit(request.headers.get("HX-Current-URL") or request.referrer or "/")
    path = f"{page.path}?{page.query}" if page.query else page.path
    return path if page.netloc in ("", request.host) and is_own_path(path) else "/"


def _declare(needs: Needs) -> Callable[[View], View]:
    def declare(view: View) -> View:
        view.needs = needs  # type: ignore[attr-defined]
        return view

    return declare


def _identify() -> logins.Identity | None:
    token = session.get(logins.COOKIE_KEY)
    return logins.identify(token) if isinstance(token, str) else None


def _guard() -> Any:
    """Runs before every view; what it returns is the answer instead."""
    view = current_app.view_functions.get(request.endpoint or "")
    needs: Needs | None = getattr(view, "needs", None)
    if request.method not in SAFE_METHODS and current_app.config["WTF_CSRF_ENABLED"]:
        csrf.protect(apply_exemptions=True)
    if needs is None:  # a static file, or no route at all
        return None
    if needs.by_key and "Authorization" in request.headers:
        g.caller = _caller_by_key()
        if needs.permission is not None and not g.caller.may(needs.permission):
            _note_refusal(g.caller)
            raise KeyMayNot(g.caller.scopes)
        return None
    _refuse_other_sites()
    if any(len(values) > 1 for _name, values in request.args.lists()):
        abort(400)  # which of the two is meant?
    if needs.permission is None:
        return None
    person = current_user._get_current_object()
    if not person.is_authenticated:
        return _ask_to_sign_in(needs)
    if needs.by_key and current_app.config["WTF_CSRF_ENABLED"]:
        csrf.protect()
    g.caller = Caller(person.workspace_id, person.email, person)
    if not person.sees_all:
        scope.to_assigned(person.user_id)
    if not person.may(needs.permission):
        _log.warning("%s (%s) was refused %s", person.user_id, person.role, request.endpoint)
        _note_refusal(g.caller)
        raise NotAllowed(needs.permission)
    if person.lacks_second_factor and not hasattr(view, "asks_no_factor"):
        return _lead_to(url_for("second_factor.index"), needs, SecondFactorNeeded)
    now = clock.now()
    if hasattr(view, "needs_proof") and not person.proved_lately(now):
        return _lead_to(url_for("auth.confirm", next=page_asked_for()), needs, ProofNeeded)
    if not _is_poll():
        logins.touch(person, now)
    return None


def _caller_by_key() -> Caller:
    scheme, _space, raw = request.headers["Authorization"].partition(" ")
    if scheme.lower() != "bearer":
        raise NotSignedIn
    key = api_keys.check(raw.strip())
    allowed = current_app.config["SETTINGS"].api_calls_per_minute
    current_app.extensions["api_pace"].count(f"{key.workspace_id}:{key.name}", allowed, time.monotonic())
    if not key.sees_all:
        scope.to_key(key.id)
    return Caller(key.workspace_id, key.actor, scopes=key.scopes)


def _note_refusal(caller: Caller) -> None:
    """Once a minute: a program that may not goes on trying."""
    audit.record_once(
        "permission_denied",
        clock.now() - timedelta(minutes=1),
        workspace_id=caller.workspace_id,
        actor=caller.actor,
        object=request.endpoint or "",
    )


def _refuse_other_sites() -> None:
    """What a page of another site makes a browser send is not what its user wants."""
    if request.method in SAFE_METHODS:
        return
    origin = request.headers.get("Origin")
    if origin == "null" and request.blueprint == "link_pass":
        origin = None  # its pages tell nobody where they are, not even us; the form's token tells
    if request.headers.get("Sec-Fetch-Site") == "cross-site" or (origin and not _is_ours(origin)):
        raise FromElsewhere


def _is_ours(origin: str) -> bool:
    """By host and port only: behind a proxy the scheme that we see may differ."""
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        return False
    return host == request.host or host == urlsplit(current_app.config["SETTINGS"].panel_url).netloc


def _ask_to_sign_in(needs: Needs) -> Any:
    if needs.by_key:
        raise NotSignedIn
    return leave_for_login()


def _lead_to(url: str, needs: Needs, refusal: type[Refusal]) -> Any:
    """A person to what is missing; a program is told."""
    if needs.by_key:
        raise refusal
    return _leave_for(url)


def _leave_for(url: str) -> Any:
    return hx.sign_in(url) if hx.asked() else redirect(url, 303)


def _is_poll() -> bool:
    return request.method == "GET" and hx.asked()
