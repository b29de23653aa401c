"""Addresses of static files that change with their content, so that browsers may keep them for ever."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Flask, current_app


def register(app: Flask) -> None:
    app.jinja_env.globals["asset"] = asset


def asset(name: str) -> str:
    """The address of a file below static/."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    if app.debug:
        _address.cache_clear()
    return _address(app, name)


@lru_cache(maxsize=256)
def _address(app: Flask, name: str) -> str:
    content = Path(str(app.static_folder), name).read_bytes()
    return f"{app.static_url_path}/{name}?v={hashlib.sha256(content).hexdigest()[:10]}"
