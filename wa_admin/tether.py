"""Runs a module as a program that ends with its parent, even with one that was killed.

`python -m wa_admin.tether wa_admin.panel`: the parent holds the other end of stdin and never writes; the
kernel closes it however the parent ends.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

GRACE_SECONDS = 15.0


def main() -> None:
    module = sys.argv.pop(1)
    threading.Thread(target=_end_with_parent, name="tether", daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
