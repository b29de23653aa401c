"""A gateway on a real socket that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]


@dataclass
class Asked:
    method: str
    path: str
    body: Any
    headers: dict[str, str]


@dataclass
class StubGateway:
    """Speaks enough of Evolution's dialect to link, report a state and send; `script` overrides a route.

    `script["sendText"]` is a list of answers used up in turn, or a function of the request. None as an
    answer closes the connection without one.
    """

    state: str = "open"
    reason: str | None = None
    script: dict[str, Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    webhook: dict[str, Any] | None = None
    deleted: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                stub._serve(self)

            do_GET = do_POST = do_DELETE = _serve

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        self.sent: dict[str, list[str]] = defaultdict(list)
        self._lock = threading.Lock()

    @property
    def texts(self) -> list[str]:
        """What reached the contacts, in order."""
        return [asked.body["text"] for asked in self.asked if "sendText" in asked.path]

    def routes_asked(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked]

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        raw = handler.rfile.read(length)
        path = unquote(urlsplit(handler.path).path)
        asked = Asked(handler.command, path, json.loads(raw) if raw else None, dict(handler.headers))
        with self._lock:
            self.asked.append(asked)
        answer = self._answer(asked)
        if answer is None:
            handler.close_connection = True
            handler.connection.close()
            return
        status, body, *more = answer
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        headers = {"Content-Type": "application/json", **(more[0] if more else {})}
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            handler.send_header(name, value)
        with suppress(BrokenPipeError):  # who asked did not wait for the answer
            handler.end_headers()
            handler.wfile.write(content)

    def _answer(self, asked: Asked) -> Answer | None:
        parts = [part for part in asked.path.split("/") if part]
        name = parts[1] if len(parts) > 1 else (parts or [""])[0]
        scripted: Any = self.script.get(name)
        if callable(scripted):
            return scripted(asked)
        if scripted:
            return scripted.pop(0)
        usual: Callable[[Asked], Answer] = getattr(self, f"_{name.replace('-', '_')}", self._root)
        return usual(asked)

    def _root(self, _: Asked) -> Answer:
        return 200, {"status": 200, "message": "Welcome", "version": "2.3.6", "clientName": "wa-admin"}

    def _verify_creds(self, _: Asked) -> Answer:
        return 200, {"status": 200, "message": "Credentials are valid"}

    def _fetchInstances(self, _: Asked) -> Answer:
        return 200, []

    def _create(self, asked: Asked) -> Answer:
        return 201, {"instance": {"instanceName": asked.body["instanceName"], "status": "close"}, "hash": "T"}

    def _connectionState(self, asked: Asked) -> Answer:
        name = asked.path.rsplit("/", 1)[1]
        if name in self.deleted:
            return 404, {"status": 404, "response": {"message": [f'The "{name}" instance does not exist']}}
        number = "6281234567890" if self.state == "open" else None
        instance = {"instanceName": name, "state": self.state, "reason": self.reason, "number": number}
        return 200, {"instance": instance}

    def _connect(self, asked: Asked) -> Answer:
        if self.state == "open":
            return self._connectionState(asked)
        self.state = "connecting"
        return 200, {
            "pairingCode": None,
            "code": "2@a,b,c,d",
            "base64": "",
            "count": 1,
            "lifetimeSeconds": 60,
        }

    def _restart(self, asked: Asked) -> Answer:
        return self._connectionState(asked)

    def _stop(self, asked: Asked) -> Answer:
        self.state = "close"
        return self._connectionState(asked)

    def _logout(self, _: Asked) -> Answer:
        self.state = "close"
        return 200, {"status": "SUCCESS", "error": False, "response": {"message": "Instance logged out"}}

    def _delete(self, asked: Asked) -> Answer:
        self.deleted.add(asked.path.rsplit("/", 1)[1])
        return 200, {"status": "SUCCESS", "error": False, "response": {"message": "Instance deleted"}}

    def _set(self, asked: Asked) -> Answer:
        self.webhook = {**asked.body["webhook"], "webhookByEvents": False}
        return 201, self.webhook

    def _find(self, _: Asked) -> Answer:
        return 200, self.webhook

    def _sendText(self, asked: Asked) -> Answer:
        number = asked.body["number"]
        self.sent[number].append(asked.body["text"])
        return 201, {
            "key": {"remoteJid": f"{number}@s.whatsapp.net", "fromMe": True, "id": f"3EB0{len(self.asked)}"}
        }

    def _sendMedia(self, asked: Asked) -> Answer:
        self.sent[asked.body["number"]].append(asked.body.get("caption", ""))
        return 201, {"key": {"remoteJid": "x", "fromMe": True, "id": f"3EB0{len(self.asked)}"}}

    def _whatsappNumbers(self, asked: Asked) -> Answer:
        return 200, [
            {"jid": f"{n}@s.whatsapp.net", "exists": True, "number": n} for n in asked.body["numbers"]
        ]
