"""The browser behind a log-in, as its owner would call it."""

from __future__ import annotations

from flask_babel import gettext as _

# the first match counts: Edge also claims to be Chrome, and Chrome to be Safari
PROGRAMS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox/", "Firefox"),
    ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
    ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


def browser(agent: str) -> str:
    """`Chrome on Android`, from what the browser says about itself."""
    program = next((name for mark, name in PROGRAMS if mark in agent), "")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    if program and system:
        return _("%(program)s on %(system)s", program=program, system=system)
    return program or system or _("An unknown browser")
