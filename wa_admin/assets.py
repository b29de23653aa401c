"""Addresses of static files that change with their content, so that browsers may keep them for ever."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Flask, current_app, url_for


def register(app: Flask) -> None:
    app.jinja_env.globals["asset"] = asset


def asset(name: str) -> str:
    """The address of a file below static/."""
    if current_app.debug:
        _address.cache_clear()
    return _address(str(current_app.static_folder), name)


@lru_cache(maxsize=256)
def _address(folder: str, name: str) -> str:
    fingerprint = hashlib.sha256(Path(folder, name).read_bytes()).hexdigest()[:10]
    return url_for("static", filename=name, v=fingerprint)
