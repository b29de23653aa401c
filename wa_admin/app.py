"""Puts the panel together. Nothing here runs on import, and nothing here calls a gateway."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from flask import Flask, Response, current_app
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask_login import current_user
from itsdangerous import URLSafeTimedSerializer
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix

from . import config, log
from .crypto import Vault
from .extensions import babel, csrf, db, htmx, login_manager

HERE = Path(__file__).parent
MAX_REQUEST_BYTES = 24 * 1024 * 1024


class SignedCookie(SecureCookieSessionInterface):
    """Flask's own, without building the signer anew for every request."""

    def __init__(self) -> None:
        self._signer: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        self._signer = self._signer or super().get_signing_serializer(app)
        return self._signer

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if session.modified:  # `Vary: Cookie` says nothing more where nothing may be stored anyway
            super().save_session(app, session, response)


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """The panel as a WSGI application. Raises config.BadSetting when a setting cannot be used."""
    settings = config.load(environ)
    # in a wheel the folders lie beside this file, in a checkout one above
    root = HERE if (HERE / "templates").is_dir() else HERE.parent
    app = Flask(
        "wa_admin",
        template_folder=str(root / "templates"),
        static_folder=str(root / "static"),
        instance_path=str(settings.data_dir),
    )
    app.config.from_mapping(
        SETTINGS=settings,
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        MAX_CONTENT_LENGTH=MAX_REQUEST_BYTES,
        MIGRATIONS=str(root / "migrations"),
        SESSION_COOKIE_NAME="__Host-wa" if settings.secure_cookies else "wa",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(days=14),
        WTF_CSRF_TIME_LIMIT=None,  # a tab may stay open for days
        WTF_CSRF_CHECK_DEFAULT=False,  # access.py checks, and asks less of requests that change nothing
        BABEL_TRANSLATION_DIRECTORIES=str(HERE / "translations"),
        BABEL_DEFAULT_LOCALE="en",
    )
    app.session_interface = SignedCookie()
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions["vault"] = Vault(settings.encryption_keys)
    log.follow_requests(app)  # first of all hooks, so that a refusal has an id too
    db.init_app(app)
    csrf.init_app(app)
    htmx.init_app(app)
    # init_app would look for a remember-me cookie at every answer; there is none
    app.login_manager = login_manager  # type: ignore[attr-defined]
    app.context_processor(lambda: {"current_user": current_user})

    from . import assets, blueprints, cli, phone, polls, words

    if not phone.is_region(settings.default_region):  # config is plain Python and knows no countries
        raise config.BadSetting("WA_DEFAULT_REGION", f"is no country: {settings.default_region!r}")

    babel.init_app(app, locale_selector=words.language, timezone_selector=words.time_zone)
    words.register(app)
    assets.register(app)
    polls.register(app)  # inside the headers, which the blueprints put around it
    blueprints.register(app)
    cli.register(app)
    if settings.trusted_proxies:  # last, so that everything inside sees the address that people typed
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def settings() -> config.Settings:
    """The settings of the running application."""
    return current_app.config["SETTINGS"]


def vault() -> Vault:
    """What opens and seals the secrets of the running application."""
    return current_app.extensions["vault"]
