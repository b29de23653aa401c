"""Tells one channel one thing, as a process of its own: `python -m wa_admin.teller`, JSON in and out.

apprise is large, knows no deadline and dials whatever its URL names. Here it costs the panel nothing, may
hang and be ended, and every connection is held against the addresses that are allowed. It outlives a
scheduler that is killed while it talks: what came of it lies in its receipts, so nothing is told twice.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .drivers.addresses import is_forbidden

TOLD, UNREADABLE, NOT_ALLOWED, LATE, UNREACHABLE, REJECTED, FAILED = (
    "told", "unreadable", "not_allowed", "late", "unreachable", "rejected", "failed",
)  # fmt: skip
SECONDS = 20
START_SECONDS = 10  # of Python and apprise, on a busy machine
# nothing of the environment goes along but what programs need to run and to know whom to trust
ENVIRONMENT = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "VIRTUAL_ENV")
# kinds that would speak to the machine we run on instead of to somebody
LOCAL_KINDS = frozenset({"dbus", "kde", "qt", "glib", "gnome", "macosx", "windows", "syslog", "blink1"})

_STATUS = re.compile(r"error=(\d{3})|refused: (\d{3})|\((\d{3}), b['\"]")
_NO_ANSWER = re.compile(r"timed? ?out|connection|resolve|name or service|unreachable|getaddrinfo", re.I)


@dataclass(frozen=True)
class Errand:
    """What to say where. `url` is apprise's and secret; without a body it is only looked at."""

    url: str
    title: str = ""
    body: str = ""
    allow_private: bool = False
    seconds: float = SECONDS
    receipts: list[str] = field(default_factory=list)  # files for what comes of it


@dataclass(frozen=True)
class Outcome:
    """`word` is one of those above; `status` what the other side answered, `kind` what the URL is for."""

    word: str
    kind: str = ""
    status: str = ""

    @property
    def is_told(self) -> bool:
        return self.word == TOLD

    @property
    def code(self) -> str:
        """In a column: rejected:403"""
        return f"{self.word}:{self.status}" if self.status else self.word


def run(errand: Errand) -> Outcome:
    """Have it done and wait for it, at most its seconds and the time a process needs to start."""
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # apprise may name what it was given
        env=environment,
        start_new_session=True,  # Ctrl-C is not for it
    )
    try:
        said, _ = process.communicate(json.dumps(asdict(errand)).encode(), errand.seconds + START_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Outcome(LATE)
    return read(said) or Outcome(FAILED)


def read(said: bytes) -> Outcome | None:
    """What a process or a receipt tells; None when it is not whole."""
    try:
        return Outcome(**json.loads(said))
    except (ValueError, TypeError):
        return None


# --- in the process itself -----------------------------------------------------------------------


def main() -> None:
    errand = Errand(**json.load(sys.stdin))

    def give_up(*_: Any) -> None:
        _report(errand, Outcome(LATE))
        os._exit(0)

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, errand.seconds)
    outcome = _tell(errand)
    signal.setitimer(signal.ITIMER_REAL, 0)
    _report(errand, outcome)


def _tell(errand: Errand) -> Outcome:
    import apprise

    said = _Said()
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    logging.getLogger("apprise").addHandler(said)
    # its persistent store would write tokens into a home directory
    asset = apprise.AppriseAsset(storage_mode="memory", async_mode=False)
    target = apprise.Apprise.instantiate(errand.url, asset=asset, suppress_exceptions=True)
    kind = errand.url.partition(":")[0].lower()
    if target is None or kind in LOCAL_KINDS:
        return Outcome(UNREADABLE)
    kind = str(target.schema if hasattr(target, "schema") and target.schema else kind)
    if not errand.body:
        return Outcome(TOLD, kind)
    target.redirects = False
    refused: list[str] = []
    _guard(errand.allow_private, refused)
    is_told = target.notify(title=errand.title, body=errand.body, body_format=apprise.NotifyFormat.TEXT)
    return Outcome(TOLD, kind) if is_told else _why(said.lines, refused, kind)


def _guard(allow_private: bool, refused: list[str]) -> None:
    """From now on this process connects to nothing but allowed addresses, and starts no other one."""

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto"):
            address = arguments[1]
            host = address[0] if isinstance(address, tuple) else ""
            if is_forbidden(str(host), allow_private):
                refused.append(str(host))
                raise PermissionError("this address is not allowed")
        elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"):
            raise PermissionError("no programs are run for an alert")

    sys.addaudithook(hear)


class _Said(logging.Handler):
    """Keeps what apprise logs: it tells only there what went wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _why(lines: Sequence[str], refused: Sequence[str], kind: str) -> Outcome:
    """Never the words themselves: they may hold what is secret, or what a stranger wrote."""
    if refused:
        return Outcome(NOT_ALLOWED, kind)
    statuses = [match for line in lines for match in _STATUS.findall(line)]
    if statuses:
        return Outcome(REJECTED, kind, "".join(statuses[-1])[:3])
    if any(_NO_ANSWER.search(line) for line in lines):
        return Outcome(UNREACHABLE, kind)
    return Outcome(FAILED, kind)


def _report(errand: Errand, outcome: Outcome) -> None:
    told = json.dumps(asdict(outcome))
    for receipt in errand.receipts:
        Path(receipt).write_text(told)
    print(told, flush=True)


if __name__ == "__main__":
    main()
