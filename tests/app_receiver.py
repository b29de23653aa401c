"""The receiver of an app on a free port: it checks signatures as apps do, and misbehaves as it is told to."""

from __future__ import annotations

import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

# receivers speak no TLS, and certificates to trust take longer to read than to call one
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class AppReceiver:
    """`answers` are given one after the other, the last one for ever: a status, (status, headers), `hang`,
    `hang_up`, `drip` or `flood`. `requests` holds (headers in small letters, raw body) as they came."""

    def __init__(self) -> None:
        self.answers: list[Any] = [204]
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.requests.append((headers, body))
                receiver._answer(self)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/whatsapp?token=hush"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.requests]

    def verified(self, secret: str, number: int = -1) -> Any:
        """The body of a request, checked with the library that apps use. Raises when it is not ours."""
        headers, body = self.requests[number]
        return Webhook(secret).verify(body, headers)

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer in ("hang", "hang_up"):
            if answer == "hang":
                self.released.wait(120)
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        status, headers = (
            answer if isinstance(answer, tuple) else (200 if isinstance(answer, str) else answer, {})
        )
        handler.send_response(status)
        length = {"drip": 1000, "flood": 50_000_000}.get(answer, 0) if isinstance(answer, str) else 0
        for name, value in {**headers, "Content-Length": str(length)}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if answer == "drip":
            handler.wfile.write(b"x")
            self.released.wait(120)
            handler.close_connection = True
        if answer == "flood":
            self._flood(handler)

    def _flood(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        try:
            for _ in range(50):
                handler.wfile.write(b"x" * 1_000_000)
        except OSError:
            return  # hung up on, as it should be
