"""Gateways that answer what was recorded from a running one, on no network at all."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from wa_admin.drivers import DRIVERS
from wa_admin.drivers.contract import Access, Driver

PAYLOADS = Path(__file__).parent / "payloads"
KEY = "gateway-key-of-the-tests"


def recording(name: str) -> dict[str, Any]:
    kind = "bundled" if (PAYLOADS / "bundled" / f"{name}.json").exists() else "evolution"
    found: dict[str, Any] = json.loads((PAYLOADS / kind / f"{name}.json").read_text())
    return found


class Replay:
    """Answers each request with what was recorded for its method and path, in turn; the last one stays.

    A request that nobody recorded fails the test. `requests` are those that came.
    """

    def __init__(self, *names: str) -> None:
        self.requests: list[httpx.Request] = []
        self._answers: dict[str, deque[tuple[int, Any]]] = {}
        for name in names:
            said = recording(name)
            route = f"{said['request']['method']} {said['request']['path'].partition('?')[0]}"
            self.say(route, said["response"]["body"], said["response"]["status"])

    def say(self, route: str, body: Any, status: int = 200) -> None:
        """Answer this, after what there is to answer already."""
        self._answers.setdefault(route, deque()).append((status, body))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answers = self._answers[_route(request)]
        status, body = answers.popleft() if len(answers) > 1 else answers[0]
        # not json=, which takes null for nothing
        return httpx.Response(status, text=json.dumps(body), headers={"Content-Type": "application/json"})

    @property
    def routes(self) -> list[str]:
        return [_route(request) for request in self.requests]

    def body(self, position: int = -1) -> Any:
        return json.loads(self.requests[position].content)


def _route(request: httpx.Request) -> str:
    return f"{request.method} {request.url.raw_path.decode().partition('?')[0]}"


@pytest.fixture
def pauses() -> list[float]:
    """The seconds that a driver wanted to wait, without waiting them."""
    return []


@pytest.fixture
def make_driver(pauses: list[float]) -> Iterator[Callable[..., Driver]]:
    made: list[Driver] = []

    def make(kind: str, gateway: Callable[[httpx.Request], httpx.Response], **more: Any) -> Driver:
        transport = httpx.MockTransport(gateway)
        more = {"pause": pauses.append, **more}
        access = Access("http://gateway.test", KEY, sign_keys=("sign-key",))
        made.append(DRIVERS[kind](access, transport=transport, **more))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


@pytest.fixture
def replay(make_driver: Callable[..., Driver]) -> Callable[..., tuple[Driver, Replay]]:
    def start(kind: str, *names: str, **more: Any) -> tuple[Driver, Replay]:
        gateway = Replay(*names)
        return make_driver(kind, gateway, **more), gateway

    return start


@pytest.fixture
def record() -> Callable[[str], dict[str, Any]]:
    return recording
