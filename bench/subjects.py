"""What is measured inside this process: each subject is one request, ready to be made again and again."""

from __future__ import annotations

import gzip
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from flask import Flask
from sqlalchemy import event, func, select
from two_workspaces import routes
from werkzeug.test import EnvironBuilder, run_wsgi_app

from wa_admin import clock, create_app, passwords, up
from wa_admin.drivers.signatures import token_of
from wa_admin.extensions import db, writing
from wa_admin.models import HookCall, Message, MessageStatus, Role, Status, WhatsAppSession
from wa_admin.services import api_keys, gateways, inbox, logins, users

PASSWORD = "correct horse battery staple"
MESSAGE = {"recipient": "+62 812-3456-7890", "message": "Your order 4711 is on its way."}

Subject = Callable[[], Any]


class Panel:
    """A panel with one linked session, a person who looks at it and an app that sends through it."""

    def __init__(self, data_dir: Path, max_sessions: int = 1, **settings: str) -> None:
        places = {"WA_DATA_DIR": str(data_dir), "WA_MAX_SESSIONS": str(max_sessions)}
        self.app = create_app(places | settings)
        with self.app.app_context():
            up.prepare()
            self.session_id = _linked_session()
            users.add(1, "bench@example.com", "Bench", PASSWORD, Role.ADMIN, actor="cli")
            self.cookie = self._signed_in()
            self._as_browser = {"Cookie": self.cookie}
            _, self.key = api_keys.issue(1, "bench", actor="cli")

    def close(self) -> None:
        """Leave the database alone."""
        with self.app.app_context():
            db.engine.dispose()

    def bare(self) -> Subject:
        """H: the same framework, a view that returns 1 KB."""
        app = Flask("bare")
        app.add_url_rule("/", view_func=lambda: "x" * 1024)
        return request(app, "/")

    def fragment(self) -> Subject:
        """The status, changed since the last look."""
        return self.poll(self.fragment_path())

    def unchanged(self) -> Subject:
        """The same poll when there is nothing new: 204."""
        return self.poll(self.unchanged_path())

    def fragment_path(self) -> str:
        return f"/sessions/{self.session_id}/status?v=0&was=connected"

    def unchanged_path(self) -> str:
        _, body = self.fragment()()
        (path,) = re.findall(rf'hx-get="(/sessions/{self.session_id}/status\?[^"]*)"', body.decode())
        return path.replace("&amp;", "&")

    def home(self) -> Subject:
        return request(self.app, "/", headers=self._as_browser)

    def accept(self) -> Subject:
        """An app's message, checked, stored with fsync, counted, and answered."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return request(self.app, "/api/v1/messages/send/", headers=headers, json=MESSAGE)

    def forged(self) -> Subject:
        """A webhook with a wrong secret."""
        return request(self.app, "/hooks/1/forged", json={"event": "connection.update"})

    def webhook(self) -> Subject:
        """A receipt, each time another one: sealed, stored with fsync and answered, but not read yet."""
        with self.app.app_context():
            path, headers = hook()
        numbers = count()
        return request(
            self.app, path, headers=headers, json={}, body=lambda: _receipt(next(numbers)), reads=False
        )

    def read_webhooks(self) -> float:
        """CPU seconds of reading one of those receipts, each of a message of ours."""
        with self.app.app_context():
            kept = db.session.scalar(select(func.count()).select_from(HookCall)) or 0
            with writing():
                db.session.add_all(_sent_message(number, self.session_id) for number in range(kept))
            began = time.process_time()
            inbox.read_left_over()
            taken = time.process_time() - began
            arrived = select(func.count()).where(Message.status == MessageStatus.DELIVERED)
            assert db.session.scalar(arrived) == kept, "not all of them were read"
        return taken / kept

    def login(self) -> Subject:
        """From a password to the token of a new login."""
        return self._inside(
            lambda: logins.log_in("bench@example.com", PASSWORD, address="127.0.0.1", agent="bench")
        )

    def password(self) -> Subject:
        """What no login can do without: argon2."""
        stored = passwords.hashed(PASSWORD)
        return self._inside(lambda: passwords.fits(stored, PASSWORD))

    def pages(self) -> dict[str, Subject]:
        """By their addresses, of the first of whatever there are several of."""
        every = [
            path
            for method, name, path, _ in routes(self.app, 1)
            if (method, name in NO_PAGES) == ("GET", False)
        ]
        return {path: request(self.app, path, headers=self._as_browser) for path in every}

    def weight(self, path: str) -> int:
        """Bytes of the answer to a poll, with its headers."""
        sent = self._as_browser | {"HX-Request": "true"}
        environ = EnvironBuilder(path, headers=list(sent.items())).get_environ()
        body, status, headers = run_wsgi_app(self.app.wsgi_app, environ, buffered=True)
        return len(f"HTTP/1.1 {status}\r\n{headers}") + len(b"".join(body))

    def first_visit(self) -> int:
        """Bytes of the home page with all that it loads, compressed as by a proxy."""
        _, page = self.home()()
        files = set(re.findall(r'(?:src|href)="(/static/[^"?#]+)', page.decode()))
        root = Path(str(self.app.static_folder))
        kept = [(root / name.removeprefix("/static/")).read_bytes() for name in files]
        return sum(len(gzip.compress(content)) for content in [page, *kept])

    def queries(self, look: Subject) -> int:
        """How many statements it takes, of somebody who is there already."""
        look()
        with self._counted_queries() as queries:
            look()
        return len(queries)

    @contextmanager
    def _counted_queries(self) -> Iterator[list[str]]:
        """The statements that reach the database meanwhile."""
        seen: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            seen.append(statement)

        with self.app.app_context():
            engine = db.engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            event.remove(engine, "before_cursor_execute", note)
            seen[:] = [one for one in seen if not one.startswith("BEGIN")]

    def poll(self, path: str) -> Subject:
        return request(self.app, path, headers=self._as_browser | {"HX-Request": "true"})

    def _inside(self, act: Subject) -> Subject:
        def call() -> Any:
            with self.app.app_context():
                return act()

        return call

    def _signed_in(self) -> str:
        token = logins.log_in("bench@example.com", PASSWORD, address="127.0.0.1", agent="bench")
        # a connection that a browser would call secure: the cookie is kept for those
        client = self.app.test_client()
        with client.session_transaction(base_url="https://localhost") as cookie:
            cookie[logins.COOKIE_KEY] = token
        client.get("/", base_url="https://localhost")  # who polls has opened the page, with its CSRF token
        name = self.app.config["SESSION_COOKIE_NAME"]
        kept = client.get_cookie(name)
        assert kept is not None
        return f"{name}={kept.value}"


def direct_call(base_url: str) -> tuple[httpx.Client, Subject]:
    """What an app would do without us: one kept-alive call to the gateway."""
    client = httpx.Client(base_url=base_url, headers={"apikey": "x" * 32}, timeout=10)
    body = {"number": "6281234567890", "text": MESSAGE["message"]}
    return client, lambda: client.post("/message/sendText/bench", json=body).json()["key"]["id"]


def hook() -> tuple[str, dict[str, str]]:
    """Where the gateway reports to about the session, and what proves it."""
    gateway = gateways.of_workspace()
    key = gateways.access(gateway).sign_keys[0]
    return urlsplit(gateways.hook_url(gateway)).path, {"Authorization": token_of("bench", key)}


def request(
    app: Flask, path: str, *, body: Callable[[], bytes] | None = None, reads: bool = True, **more: Any
) -> Subject:
    """One WSGI call without a server, giving status and body. With `body` each sends another one; without
    `reads`, what is done after the answer is left out."""
    method = "POST" if "json" in more else "GET"
    with_body = EnvironBuilder(path, method=method, **more)
    environ = with_body.get_environ()
    sent = environ["wsgi.input"].read()
    status = ""

    def start_response(line: str, *_: Any) -> Callable[[bytes], None]:
        nonlocal status
        status = line
        return lambda _: None

    def call() -> tuple[str, bytes]:
        said = body() if body else sent
        given = {**environ, "wsgi.input": io.BytesIO(said), "CONTENT_LENGTH": str(len(said))}
        answer = app.wsgi_app(given, start_response)
        try:
            return status, b"".join(answer)
        finally:
            if reads and hasattr(answer, "close"):
                answer.close()

    return call


# for machines
NO_PAGES = {"probes.healthz", "probes.metrics", "probes.readyz"}
EXPECTED = {
    "bare": "200", "fragment": "200", "unchanged": "204", "accept": "202", "forged": "404", "page": "200",
    "news": "200", "webhook": "200",
}  # fmt: skip


def check(subjects: dict[str, Subject]) -> None:
    """Each does what it is measured for. Raises AssertionError."""
    for name, subject in subjects.items():
        line, body = subject()
        assert line.startswith(EXPECTED[name]), f"{name}: {line} {body[:200]!r}"


def _receipt(number: int) -> bytes:
    data = {"keyId": f"3EB{number}", "fromMe": True, "status": "DELIVERY_ACK"}
    at = clock.now().isoformat()
    said = {"event": "messages.update", "instance": "bench", "data": data, "date_time": at}
    return json.dumps(said).encode()


def _sent_message(number: int, session_id: int) -> Message:
    at = clock.now()
    return Message(
        workspace_id=1,
        session_id=session_id,
        session_name="Bench",
        typed="bench",
        recipient="6281234567890",
        body=MESSAGE["message"],
        source="bench",
        status=MessageStatus.SENT,
        provider_id=f"3EB{number}",
        created_at=at,
        status_at=at,
        sent_at=at,
    )


def _linked_session() -> int:
    now = clock.now()
    with writing():
        wa_session = WhatsAppSession(
            workspace_id=1,
            gateway_id=gateways.of_workspace().id,
            name="Bench",
            name_key="bench",
            session_id="bench",
            status=Status.CONNECTED,
            reason=None,
            linked_number="6281234567890",
            linked_at=now - timedelta(days=9),
            connected_at=now - timedelta(hours=3),
            checked_at=now,
            status_at=now - timedelta(hours=3),
            is_default=True,
            created_at=now - timedelta(days=9),
            updated_at=now,
        )
        db.session.add(wa_session)
    return wa_session.id
