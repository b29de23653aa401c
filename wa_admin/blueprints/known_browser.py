"""Browsers that somebody has logged in with before: their tries are counted apart from those of all others,
so that nobody is kept out by a stranger who guesses without end (what OWASP calls device cookies)."""

from __future__ import annotations

from hashlib import sha256
from typing import TypeVar

from flask import current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug import Response

from .. import cookies
from ..crypto import digest, new_token

Answer = TypeVar("Answer", bound=Response)


def mark(email: str) -> str:
    """What this browser is known by to this person's account; empty where it is not."""
    signed, lasts = cookies.held(request.cookies, cookies.KNOWN_BROWSER), cookies.A_YEAR.total_seconds()
    try:
        whose, found = _signer().loads(signed, max_age=int(lasts))
    except BadSignature:
        return ""
    return found if whose == _whose(email) else ""


def remember(response: Answer, email: str) -> Answer:
    """Know this browser from now on: all that was asked has been shown."""
    cookies.keep(response, cookies.KNOWN_BROWSER, _signer().dumps([_whose(email), new_token()]))
    return response


def _whose(email: str) -> str:
    return digest(f"browser of {email.strip().lower()}")


def _signer() -> URLSafeTimedSerializer:
    more = {"digest_method": sha256, "key_derivation": "hmac"}
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="known-browser", signer_kwargs=more)
