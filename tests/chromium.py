"""Which Chromium the tests and the bench drive, and how it is started."""

from __future__ import annotations

import shutil

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def path() -> str:
    """The first that is installed."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, "Chromium is not here: make browser"
    return found
