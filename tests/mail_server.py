"""A real SMTP server on a free port: it keeps what arrives, and refuses what it is told to."""

from __future__ import annotations

import email
import socketserver
import threading
from email.message import Message
from typing import Any


class MailServer:
    """`mails` in the order of arrival; `refuses` answers MAIL FROM with 550."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.refuses = False
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 post office")
                while line := self.rfile.readline().decode().strip().upper():
                    if line.startswith("DATA"):
                        self._say("354 go on")
                        self._take()
                    elif line.startswith("QUIT"):
                        self._say("221 bye")
                        return
                    elif line.startswith("MAIL") and server.refuses:
                        self._say("550 not from you")
                        continue
                    self._say("250 fine")

            def _take(self) -> None:
                lines = []
                while (line := self.rfile.readline()) != b".\r\n":
                    lines.append(line)
                server.mails.append(email.message_from_bytes(b"".join(lines)))

            def _say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def texts(self) -> list[str]:
        return [_text(mail) for mail in self.mails]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _text(mail: Message) -> str:
    parts: list[Any] = [part for part in mail.walk() if part.get_content_type() == "text/plain"]
    return str(parts[0].get_payload(decode=True).decode())
