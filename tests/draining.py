"""A process that hands over what waits, to be killed."""

import os
import subprocess
import sys

DRAIN = """
from wa_admin import create_app
from wa_admin.services import deliveries
with create_app().app_context():
    print("ready", flush=True)
    deliveries.drain()
"""


def start_draining(environ, crash_at=""):
    worker = subprocess.Popen(
        [sys.executable, "-c", DRAIN],
        env={**os.environ, "WA_ADMIN_CRASH_AT": crash_at, **environ},
        stdout=subprocess.PIPE,
        text=True,
    )
    with worker.stdout as said:
        assert said.readline() == "ready\n"
    return worker
