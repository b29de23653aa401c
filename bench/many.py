"""What a thousand sessions cost, beside ten: the list, a round of checks, and memory.

Run as a process of its own for each number of sessions, so that its memory is its own:
`python -m bench.many DATA_DIR COUNT` prints one line of JSON.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import psutil

from wa_admin.clock import now
from wa_admin.drivers.signatures import token_of
from wa_admin.extensions import db, writing
from wa_admin.models import Gateway, WhatsAppSession
from wa_admin.services import gateways, watch

from . import rounds, stub, subjects
from .figure import Figure, clock, count

FEW, MANY = 10, 1000
GATEWAY_SECONDS = 0.05


@dataclass(frozen=True)
class Cost:
    """Of one number of sessions, times in seconds; `h_seconds` is the bare request of the same process."""

    page_seconds: float
    unchanged_seconds: float
    news_seconds: float
    h_seconds: float
    tick_seconds: float
    rss_bytes: int
    page_queries: int
    news_queries: int
    calls: int  # that the gateway got for one round of checks


def figures(place: Path) -> Iterator[Figure]:
    few, thousand = costs(place)
    page_of_few, page_of_many = few.page_seconds / few.h_seconds, thousand.page_seconds / thousand.h_seconds
    # fifty rows beside ten cards, which get cheaper too: the cost itself is what may fail
    yield Figure("list_page_of_1000_per_10", page_of_many / page_of_few, 1.3)
    yield Figure("list_page_of_1000_per_h", page_of_many, fails_past=150.0)
    yield count("list_page_queries", thousand.page_queries, 3, 4)
    yield Figure("list_news_of_10_per_h", few.news_seconds / few.h_seconds, 8.0, 12.0)
    yield count("list_news_queries", thousand.news_queries, 2, 3)
    yield Figure("list_unchanged_of_10_per_h", few.unchanged_seconds / few.h_seconds, 3.5, 4.5)
    yield Figure("list_unchanged_of_1000_per_h", thousand.unchanged_seconds / thousand.h_seconds)
    yield clock("check_of_1000_seconds", thousand.tick_seconds, 10.0)
    yield count("check_of_1000_calls_per_session", thousand.calls / MANY, 1.0, 1.25)
    yield Figure("rss_of_1000_per_10", thousand.rss_bytes / few.rss_bytes, 1.2, 1.35)


def costs(place: Path) -> tuple[Cost, Cost]:
    """Of ten sessions and of a thousand."""
    return _measured(place / "few", FEW), _measured(place / "many", MANY)


def _measured(data_dir: Path, sessions: int) -> Cost:
    command = [sys.executable, "-m", "bench.many", str(data_dir), str(sessions)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def main(data_dir: Path, sessions: int) -> None:
    panel = subjects.Panel(data_dir, max_sessions=sessions)
    calls = itertools.count()
    with panel.app.app_context(), _gateway(calls) as url:
        first = add(sessions - 1, url)
        page = panel.home()
        looks = {
            "bare": panel.bare(),
            "page": page,
            "unchanged": panel.poll(_poll_path(page)),
            "news": panel.poll(_outdated(_poll_path(page))),
        }
        subjects.check(looks)
        page_queries, news_queries = panel.queries(page), panel.queries(looks["news"])
        cpu = rounds.cpu_seconds(looks)
        before = next(calls)
        began = time.monotonic()
        watch.reconcile()
        tick_seconds = time.monotonic() - began
        asked = next(calls) - before - 1
        _check_that_all_were_asked(first)
    cost = Cost(
        page_seconds=cpu["page"],
        unchanged_seconds=cpu["unchanged"],
        news_seconds=cpu["news"],
        h_seconds=cpu["bare"],
        tick_seconds=tick_seconds,
        rss_bytes=psutil.Process().memory_info().rss,
        page_queries=page_queries,
        news_queries=news_queries,
        calls=asked,
    )
    print(json.dumps(asdict(cost)))


def add(number: int, url: str) -> WhatsAppSession:
    """So many linked sessions more, all on a gateway that takes its time."""
    moment = now()
    with writing():
        gateway = gateways.of_workspace()
        gateway.base_url = url
        first = db.session.query(WhatsAppSession).one()
        kept = {column.key: getattr(first, column.key) for column in WhatsAppSession.__table__.columns}
        del kept["id"]
        for nth in range(number):
            name = f"bench_{nth}"
            own = {"name": name, "name_key": name, "session_id": name, "instance": name, "is_default": False}
            stale = {"checked_at": moment - timedelta(minutes=1), "last_proof_at": moment}
            db.session.add(WhatsAppSession(**kept | own | stale))
    return first


def _poll_path(page: subjects.Subject) -> str:
    _, body = page()
    (path,) = re.findall(r'id="lineup-poll"[^>]* hx-get="(/sessions/news\?[^"]*)"', body.decode())
    return path.replace("&amp;", "&")


def _outdated(path: str) -> str:
    """As of somebody who has not seen the last change of the first line."""
    return re.sub(r"(v=[0-9a-f]+\.[0-9a-f]{2})[0-9a-f]{5}", r"\g<1>zzzzz", path, count=1)


def _check_that_all_were_asked(first: WhatsAppSession) -> None:
    query = db.session.query(WhatsAppSession).filter(
        WhatsAppSession.checked_at < now() - timedelta(seconds=50)
    )
    assert query.count() == 0, "some sessions were not checked"
    assert db.session.get(Gateway, first.gateway_id).failure is None  # type: ignore[union-attr]


def _gateway(calls: Iterator[int]) -> AbstractContextManager[str]:
    """One on which every session is connected and reports to us; each call of it takes a number."""
    ours = gateways.of_workspace()
    url, key = gateways.hook_url(ours), gateways.access(ours).sign_keys[0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            next(calls)
            time.sleep(GATEWAY_SECONDS)
            body = json.dumps(_said(self.path, url, key)).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

        do_GET = do_POST = _serve

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return stub.running(Handler)


def _said(path: str, hook_url: str, key: str) -> object:
    name = path.rsplit("/", 1)[1]
    if "fetchInstances" in path:
        return []  # the dearest case: each session is asked for
    if "connectionState" in path:
        return {"instance": {"instanceName": name, "state": "open", "number": "6281234567890"}}
    if "webhook" in path:
        headers = {"Authorization": token_of(name, key)}
        return {"url": hook_url, "headers": headers, "enabled": True, "events": []}
    return {"status": 200, "message": "Welcome", "version": "2.3.6"}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
