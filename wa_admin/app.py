"""Puts the panel together. Nothing here runs on import, and nothing here calls a gateway."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Flask, Request, Response, current_app
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_login import current_user
from itsdangerous import BadSignature
from jinja2 import FileSystemBytecodeCache, StrictUndefined
from jinja2.bccache import Bucket
from werkzeug.middleware.proxy_fix import ProxyFix

from . import clock, config, log
from .crypto import Vault
from .extensions import babel, csrf, db, engine_options, htmx, login_manager

HERE = Path(__file__).parent
MAX_REQUEST_BYTES = 24 * 1024 * 1024
COOKIES = 500  # of people with open pages


class SignedCookie(SecureCookieSessionInterface):
    """Flask's own, without the same sums at every request: a page that polls sends one cookie for hours."""

    digest_method = staticmethod(sha256)  # Flask's own is SHA-1

    def __init__(self, app: Flask) -> None:
        self._signer: Any = self.get_signing_serializer(app)
        self._lifetime = app.permanent_session_lifetime
        self._opened = lru_cache(maxsize=COOKIES)(self._open)  # a forged one raises, and is not remembered

    def held(self, cookie: str | None) -> Mapping[str, Any]:
        """What we put into this cookie; nothing when it is not ours or too old."""
        try:
            content, signed_at = self._opened(cookie or "")
        except BadSignature:
            return {}
        return content if timedelta() <= clock.now() - signed_at <= self._lifetime else {}

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession:
        held = self.held(request.cookies.get(self.get_cookie_name(app)))
        return self.session_class(deepcopy(held))  # flash() appends to a list in it

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if session.modified:  # `Vary: Cookie` says nothing more where nothing may be stored anyway
            super().save_session(app, session, response)

    def _open(self, cookie: str) -> tuple[dict[str, Any], datetime]:
        content, signed_at = self._signer.loads(cookie, return_timestamp=True)
        return content, signed_at


class CompiledTemplates(FileSystemBytecodeCache):
    """Kept over a restart: to compile those of one page takes as long as a hundred of its requests."""

    def __init__(self, data_dir: Path) -> None:
        place = data_dir / "compiled"
        place.mkdir(mode=0o700, exist_ok=True)
        super().__init__(str(place))

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):  # a full disk must not keep a page from being seen
            super().dump_bytecode(bucket)


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
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url),
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
    app.session_interface = SignedCookie(app)
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.bytecode_cache = CompiledTemplates(settings.data_dir)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions["vault"] = Vault(settings.encryption_keys)
    log.follow_requests(app)  # first of all hooks, so that a refusal has an id too
    db.init_app(app)
    csrf.init_app(app)
    htmx.init_app(app)
    # init_app would look for a remember-me cookie at every answer; there is none
    app.login_manager = login_manager  # type: ignore[attr-defined]
    app.context_processor(lambda: {"current_user": current_user})

    from . import assets, blueprints, cli, hook_reader, knocks, phone, polls, words

    # config is plain Python and knows no countries; whoever knows them is slow to load
    if settings.default_region != config.DEFAULT_REGION and not phone.is_region(settings.default_region):
        raise config.BadSetting("WA_DEFAULT_REGION", f"is no country: {settings.default_region!r}")

    babel.init_app(app, locale_selector=words.locale, timezone_selector=words.time_zone)
    words.register(app)
    assets.register(app)
    polls.register(app)  # inside the headers, which the blueprints put around it
    knocks.register(app)
    hook_reader.register(app)
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
