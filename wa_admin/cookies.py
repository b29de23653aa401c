"""Cookies beside that of the login: what a browser wishes. Locked to this host as that one is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from flask import current_app
from werkzeug import Response

LANGUAGE = "wa_language"
TIME_ZONE = "wa_time_zone"  # set by app.js
KNOWS_PASSKEY = "wa_passkey"  # of browsers that logged in with one
KNOWN_BROWSER = "wa_known"

A_YEAR = timedelta(days=365)


def full_name(name: str) -> str:
    """Browsers take one called so from https and this machine only, and for no other host."""
    return f"__Host-{name}" if _is_secure() else name


def held(cookies: Mapping[str, str], name: str) -> str:
    """What the browser keeps under this name; empty for nothing."""
    return cookies.get(full_name(name), "")


def keep(response: Response, name: str, value: str) -> None:
    """Have the browser keep it for a year."""
    response.set_cookie(
        full_name(name), value, max_age=A_YEAR, samesite="Lax", httponly=True, secure=_is_secure()
    )


def _is_secure() -> bool:
    return bool(current_app.config["SESSION_COOKIE_SECURE"])
