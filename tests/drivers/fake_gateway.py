"""What all fake gateways share: a real HTTP server, lines that a pretend phone links, faults on demand.

A fake subclasses FakeGateway, answers routes, and tells its webhooks in `on_state`, `on_message` and
`on_receipt`. Tests act as the phone (`scan`, `unlink`, `drop`, `write`, `acknowledge`) and as bad luck
(`fail`). By hand: `python tests/drivers/fake_<kind>.py --port 9999`, then the same acts by
`curl -X POST 'http://127.0.0.1:9999/_fake/scan?instance=main'`.
"""

from __future__ import annotations

import argparse
import io
import json
import queue
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
import qrcode
from qrcode.image.pure import PyPNGImage

from wa_admin.drivers.contract import Access

# status, body[, headers]; bytes and str go out as they are, everything else as JSON. None hangs up.
Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]] | None
PHONE, ANNA, STRANGER = "6281234567890", "628111222333", "628999000111"
FAULTS = ("hang", "hang_after", "drop", "html", "redirect", "nonsense")
ACTS = ("scan", "unlink", "drop", "write", "acknowledge", "fail", "heal")


@dataclass
class Asked:
    method: str
    path: str  # as it came, percent-encoded
    query: dict[str, str]
    headers: Message  # .get() knows no case
    raw: bytes
    target: str = ""  # path and query

    @property
    def body(self) -> Any:
        return json.loads(self.raw) if self.raw else None

    @property
    def form(self) -> dict[str, Any]:
        """A multipart or urlencoded form: texts, and files as (filename, mimetype, content)."""
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/"):
            return dict(parse_qsl(self.raw.decode(), keep_blank_values=True))
        said = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + self.raw)
        parts = [part for part in said.walk() if not part.is_multipart()]
        return {str(part.get_param("name", header="content-disposition")): _field(part) for part in parts}


@dataclass
class Line:
    """One session at the fake. `state`: new, qr, connected, offline (login kept) or unlinked."""

    instance: str
    state: str = "new"
    number: str | None = None
    profile_name: str | None = None
    code: str = ""
    codes_shown: int = 0
    hook_url: str | None = None
    more: dict[str, Any] = field(default_factory=dict)  # what only one kind knows


@dataclass
class Sent:
    instance: str
    to: str  # as the gateway was asked
    text: str
    provider_id: str
    attached: bytes | None = None
    at: int = field(default_factory=lambda: int(time.time()))  # WhatsApp tells whole seconds


def route(method: str, pattern: str) -> Callable[[Any], Any]:
    """Answer this; `{name}` in the pattern is one segment of the path, given by name, decoded."""

    def mark(handler: Any) -> Any:
        handler.routes = [*getattr(handler, "routes", []), (method, pattern)]
        return handler

    return mark


def picture(text: str) -> bytes:
    """A QR code as PNG."""
    stream = io.BytesIO()
    qrcode.make(text, image_factory=PyPNGImage, box_size=3).save(stream)
    return stream.getvalue()


class FakeGateway:
    """`asked` are the requests that came, `sent` the messages that left, `told` the webhooks posted.

    `key` is what it wants, `sign_key` what it signs with, `hook_url` where a gateway with one webhook for all
    sends to. Numbers in `strangers` are not on WhatsApp.
    """

    kind: ClassVar[str]
    # the paths of requests that make a message leave, for faults
    send_paths: ClassVar[str] = "send"
    acts: ClassVar[tuple[str, ...]] = ACTS
    key = "gateway-key-of-the-tests"
    sign_key = "sign-key-of-the-tests-0123456789"

    def __init__(self, port: int = 0, hook_url: str | None = None) -> None:
        self.hook_url = hook_url
        self.lines: dict[str, Line] = {}
        self.asked: list[Asked] = []
        self.sent: list[Sent] = []
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.strangers = {STRANGER}
        self.lock = threading.RLock()
        self._faults: list[list[Any]] = []  # [how, pattern, times left]
        self._over = threading.Event()
        self._outbox: queue.Queue[tuple[str, dict[str, str], bytes] | None] = queue.Queue()
        self._routes = _routes(type(self))
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True),
            threading.Thread(target=self._post_hooks, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def access(self, **more: Any) -> Access:
        """How a driver reaches this; keywords change it."""
        return Access(**{"base_url": self.url, "key": self.key, "sign_keys": (self.sign_key,), **more})

    def of_stranger(self) -> Access:
        """With a wrong key."""
        return self.access(key="a wrong key")

    def stop(self) -> None:
        self._over.set()
        self._outbox.put(None)
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- the phone and the people on the other side ---

    def line(self, instance: str) -> Line:
        return self.lines[instance]

    def show_code(self, line: Line) -> str:
        """The next code; for `connect` routes and for codes that run out."""
        line.codes_shown += 1
        line.state = "qr"
        line.code = f"2@fake{line.codes_shown:03},{line.instance.encode().hex()},bm9pc2U=,aWQ="
        return line.code

    def scan(self, instance: str, phone: str = PHONE, name: str = "Sari") -> None:
        """The phone scans the code that is shown."""
        with self.lock:
            line = self.line(instance)
            assert line.state == "qr", f"no code is shown: {line.state}"
            line.state, line.number, line.profile_name, line.code = "connected", phone, name, ""
            self.on_state(line)

    def texts(self, instance: str) -> list[str]:
        """What left from it, in order."""
        return [sent.text for sent in self.sent if sent.instance == instance]

    def left_to(self, instance: str, to: str) -> list[Sent]:
        """What left to somebody, however it was addressed, the newest first."""
        user = to.partition("@")[0]
        sent = [one for one in self.sent if one.instance == instance and one.to.partition("@")[0] == user]
        return sent[::-1]

    def unlink(self, instance: str) -> None:
        """The owner removes the linked device on the phone."""
        with self.lock:
            line = self.line(instance)
            line.state, line.number, line.profile_name, line.code = "unlinked", None, None, ""
            self.on_state(line)

    def drop(self, instance: str) -> None:
        """The network goes; the login is kept."""
        with self.lock:
            line = self.line(instance)
            line.state = "offline"
            self.on_state(line)

    def write(self, instance: str, text: str, sender: str = ANNA) -> None:
        """Somebody writes to us."""
        with self.lock:
            self.on_message(self.line(instance), sender, text)

    def acknowledge(self, instance: str, provider_id: str, kind: str = "delivered") -> None:
        """WhatsApp tells what became of a message: sent, delivered, read, played or failed."""
        with self.lock:
            self.on_receipt(self.line(instance), provider_id, kind)

    def leave(self, line: Line, to: str, text: str, attached: bytes | None = None) -> str:
        """A message leaves; for the send routes. Its id."""
        provider_id = f"3EB0{len(self.sent):016X}"
        self.sent.append(Sent(line.instance, to, text, provider_id, attached))
        return provider_id

    def on_state(self, line: Line) -> None:
        """Tell the webhook that the state changed, where this gateway does."""

    def on_message(self, line: Line, sender: str, text: str) -> None: ...

    def on_receipt(self, line: Line, provider_id: str, kind: str) -> None: ...

    # --- webhooks ---

    def tell(self, url: str | None, body: Any, headers: dict[str, str] | None = None) -> None:
        """Post a webhook, in order and in the background; without a URL it is only kept in `told`."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        self.told.append((headers, raw))
        if url:
            self._outbox.put((url, headers, raw))

    def flush(self) -> None:
        """Wait until every webhook is delivered."""
        self._outbox.join()

    def _post_hooks(self) -> None:
        with httpx.Client(trust_env=False, verify=False, timeout=5) as client:
            while (item := self._outbox.get()) is not None:
                url, headers, raw = item
                with suppress(httpx.HTTPError):  # a webhook that fails is the other side's affair
                    client.post(url, content=raw, headers=headers)
                self._outbox.task_done()

    # --- bad luck ---

    def fail(self, how: str | Answer, on: str = "", times: int = 1_000_000) -> None:
        """From now on requests whose "METHOD /path" matches `on` go wrong: `how` is one of FAULTS or the
        answer itself."""
        assert not isinstance(how, str) or how in FAULTS
        self._faults.append([how, re.compile(on), int(times)])

    def heal(self) -> None:
        self._faults.clear()

    def _fault(self, asked: Asked) -> Any:
        for fault in self._faults:
            how, pattern, left = fault
            if left > 0 and pattern.search(f"{asked.method} {asked.path}"):
                fault[2] -= 1
                return how
        return ""

    # --- requests ---

    def refuse(self, asked: Asked) -> Answer | str:
        """The answer for a wrong key; "" when the key is right."""
        return ""

    def missing(self, asked: Asked) -> Answer:
        """There is no such route."""
        return 404, {"error": "Not Found"}

    def serve(self, asked: Asked) -> Answer:
        if asked.path.startswith("/_fake/"):
            return self._act(asked)
        with self.lock:
            self.asked.append(asked)
            how = self._fault(asked)
            if how and not isinstance(how, str) or how is None:
                return how
            answer = self._answer(asked) if how in ("", "hang_after") else None
        if how in ("hang", "hang_after"):
            self._over.wait(60)
            return None
        return {
            "": answer,
            "drop": None,
            "html": (200, "<!doctype html><title>Welcome</title>", {"Content-Type": "text/html"}),
            "redirect": (302, "", {"Location": f"{self.url}/elsewhere"}),
            "nonsense": (200, '{"half": ', {"Content-Type": "application/json"}),
        }[how]

    def _answer(self, asked: Asked) -> Answer:
        refusal = self.refuse(asked)
        if not isinstance(refusal, str):
            return refusal
        for method, pattern, name in self._routes:
            if method == asked.method and (found := pattern.fullmatch(asked.path)):
                answer: Answer = getattr(self, name)(
                    asked, **{k: unquote(v) for k, v in found.groupdict().items()}
                )
                return answer
        return self.missing(asked)

    def _act(self, asked: Asked) -> Answer:
        act = asked.path.removeprefix("/_fake/")
        if asked.method != "POST" or act not in self.acts:
            return 404, {"acts": self.acts, "lines": sorted(self.lines)}
        try:
            getattr(self, act)(**asked.query)
        except (AssertionError, KeyError, TypeError) as error:
            return 400, {"error": str(error)}
        return 200, {"done": act}


class Panel:
    """Where webhooks arrive: `url`, and `hooks` with the headers and raw body of each."""

    def __init__(self) -> None:
        self.hooks: list[tuple[dict[str, str], bytes]] = []
        hooks = self.hooks

        class Inbox(FakeGateway):
            kind = "panel"

            def serve(self, asked: Asked) -> Answer:
                hooks.append((dict(asked.headers.items()), asked.raw))
                return 200, {}

        self._server = Inbox()
        self.url = f"{self._server.url}/hooks/1"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()


def by_hand(fake: type[FakeGateway]) -> None:
    """Run it until Ctrl-C, for a look at the screens."""
    parser = argparse.ArgumentParser(description=fake.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--hook-url", help="where a gateway with one webhook for all sends to")
    options = parser.parse_args()
    with fake(options.port, options.hook_url) as running, suppress(KeyboardInterrupt):
        print(f"{fake.kind}: {running.url}  key {running.key}  signs with {running.sign_key}")  # noqa: T201
        print(f"act: curl -X POST '{running.url}/_fake/scan?instance=…'  ({', '.join(fake.acts)})")  # noqa: T201
        threading.Event().wait()


def _handler(fake: FakeGateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # head and body in one packet: two would wait 40 ms for each other
        wbufsize = -1
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            split = urlsplit(self.path)
            query = dict(parse_qsl(split.query, keep_blank_values=True))
            answer = fake.serve(Asked(self.command, split.path, query, self.headers, raw, self.path))
            with suppress(ConnectionError):  # the driver had enough
                self._say(answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def _say(self, answer: Answer) -> None:
            if answer is None:
                self.close_connection = True
                return
            status, body, *more = answer
            headers = {"Content-Type": "application/json", **(more[0] if more else {})}
            if isinstance(body, str):
                body = body.encode()
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler


def _routes(fake: type[FakeGateway]) -> list[tuple[str, re.Pattern[str], str]]:
    found = []
    for name in dir(fake):
        for method, pattern in getattr(getattr(fake, name), "routes", []):
            named = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(pattern))
            found.append((method, re.compile(named), name))
    # what is spelled out comes before what is a name
    return sorted(found, key=lambda one: one[1].groups)


def _field(part: Message) -> Any:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    if filename := part.get_filename():
        return filename, part.get_content_type(), content
    return content.decode()
