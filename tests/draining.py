"""A process that hands over what waits, to be killed."""

import os

from forked import start

DRAIN = """
from wa_admin import create_app
from wa_admin.services import deliveries
with create_app().app_context():
    print("ready", flush=True)
    deliveries.drain()
"""


def start_draining(environ, crash_at=""):
    reader, writer = os.pipe()
    with os.fdopen(reader) as said:
        with os.fdopen(writer, "w") as stdout:
            whole = {**os.environ, "WA_ADMIN_CRASH_AT": crash_at, **environ}
            worker = start(["-c", DRAIN], whole, stdout=stdout)
        assert said.readline() == "ready\n"
    return worker
