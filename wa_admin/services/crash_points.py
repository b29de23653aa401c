"""Marked points at which a test may end the process for real: WA_ADMIN_CRASH_AT=after_claim."""

import os


def reach(name: str) -> None:
    if os.environ.get("WA_ADMIN_CRASH_AT") == name:
        os._exit(137)
