"""The database is locked, a gateway is gone, the panel was down: R16, R18 and R23 of docs/promises.md."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import httpx
import signed
from running_gateway import RunningGateway
from running_panel import RunningPanel
from waiting import until

from wa_admin.extensions import db
from wa_admin.models import Look, Reason, Receipt, Status, WhatsAppSession

from .kills import receipt
from .outcome import Figure, Outcome
from .phone import Phone
from .place import Make, Place

LOCKED_BRIEFLY, LOCKED_FOR_LONG = 3.0, 30.0
CALLERS = 4  # apps, and as many connections of a gateway
ANSWERED_WITHIN_SECONDS = 15.0  # 5 of them for the lock in the process, and 5 for that of the database
TOLD_WITHIN_SECONDS, OLDEST_SECONDS = 30.0, 60.0
RIGHT_WITHIN_SECONDS = 15.0
LINKED = "6281234567890"


@dataclass
class Answers:
    """What apps and gateways were told, and how long each answer took."""

    of: list[httpx.Response] = field(default_factory=list)

    @property
    def slowest(self) -> float:
        return max(one.elapsed.total_seconds() for one in self.of)

    def refused(self) -> list[httpx.Response]:
        return [one for one in self.of if one.status_code not in (200, 202)]

    def odd(self) -> list[httpx.Response]:
        """Neither taken nor told to come again in plain words."""
        return [
            one
            for one in self.refused()
            if one.status_code != 503 or not one.headers.get("Retry-After") or "Traceback" in one.text
        ]


def locked_is_a_wait(make: Make) -> Outcome:
    """R16: somebody else holds the lock for 3 s, then for 30 s, while apps send and a gateway tells, who
    come again when they are told to."""
    with make() as place:
        place.session()
        panel = place.panel()
        briefly = _answers_while_locked(place, panel, LOCKED_BRIEFLY)
        for_long = _answers_while_locked(place, panel, LOCKED_FOR_LONG)
        is_read = until(lambda: len(_read(place)) == 2 * CALLERS)
        place.worker().drain()
        return place.outcome(
            Figure("refused while locked for 3 s", len(briefly.refused()), 0),
            Figure("refused while locked for 30 s", len(for_long.refused()), CALLERS, is_least=True),
            Figure("answers that are no answer", len(briefly.odd() + for_long.odd()), 0),
            Figure("webhooks lost", 0 if is_read else 2 * CALLERS - len(_read(place)), 0),
            Figure("slowest answer, seconds", for_long.slowest, ANSWERED_WITHIN_SECONDS, of_clock=True),
        )


def _answers_while_locked(place: Place, panel: RunningPanel, seconds: float) -> Answers:
    answers, path, bearing = Answers(), signed.address(), signed.bearing()

    def send(number: int) -> None:
        text = f"locked for {seconds:g} s: {number}"
        place.accepted[text] = time.monotonic()
        _until_taken(answers, lambda: panel.send(text, **{"Idempotency-Key": text}))

    def tell(number: int) -> None:
        said = receipt(int(1000 * seconds) + number)
        _until_taken(answers, lambda: panel.client.post(path, json=said, headers=bearing))

    with place.locked(seconds), ThreadPoolExecutor(2 * CALLERS) as callers:
        work = [callers.submit(call, number) for number in range(CALLERS) for call in (send, tell)]
        for one in work:
            one.result()
    return answers


def _until_taken(answers: Answers, ask: Callable[[], httpx.Response]) -> None:
    while True:
        answer = ask()
        answers.of.append(answer)
        if answer.status_code in (200, 202):
            return
        time.sleep(float(answer.headers.get("Retry-After", 1)))


def _read(place: Place) -> list[str]:
    with place.engine.connect() as connection:
        return list(connection.scalars(db.select(Receipt.provider_id)))


def status_is_no_older_than_it_says(make: Make) -> Outcome:
    """R18: right after a check, with the usual settings, one gateway is gone, and another one begins to
    answer what nobody can read."""
    with make() as place:
        odd = Phone()
        place.session()
        place.session("Odd", place.gateway_at(odd.port))
        scheduler = place.scheduler()
        assert until(scheduler.leads), scheduler.said()
        seen = [one.checked_at for one in _sessions(place)]
        assert until(lambda: _are_checked_since(place, seen), 60), scheduler.said()
        for name in ("fetchInstances", "connectionState"):
            odd.script[name] = lambda asked: (200, b"<html>")
        good_at = time.monotonic()  # nothing it says from now on is news
        place.phone.stop()
        told, believed = _watch(place, good_at)
        odd.stop()
        return place.outcome(
            Figure("told that a gateway is gone after, seconds", told, TOLD_WITHIN_SECONDS, of_clock=True),
            Figure("age of what was called connected, seconds", believed, OLDEST_SECONDS, of_clock=True),
        )


def _watch(place: Place, good_at: float) -> tuple[float, float]:
    """When the first session is called unreachable, and until when the second is called connected."""
    told = believed = 0.0
    while (since := time.monotonic() - good_at) < 2 * OLDEST_SECONDS and not (told and believed):
        gone, odd = _sessions(place)
        if not told and gone.reason == Reason.GATEWAY_UNREACHABLE:
            told = since
        if not believed and odd.look != Look.CONNECTED:
            believed = since
        time.sleep(0.1)
    return told or since, believed or since


def _are_checked_since(place: Place, seen: list[datetime | None]) -> bool:
    pairs = zip(_sessions(place), seen, strict=True)
    return all(one.checked_at != before for one, before in pairs)


def _sessions(place: Place) -> list[WhatsAppSession]:
    db.session.rollback()
    query = db.select(WhatsAppSession).order_by(WhatsAppSession.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def missed_is_caught_up(make: Make) -> Outcome:
    """R23: while the panel is down the phone reads a message and unlinks; then it is started."""
    with make() as place, RunningGateway(place.data_dir / "gateway") as process:
        gateway = process.named("support_line")
        gateway.create()
        gateway.link(phone=LINKED)
        place.environ |= {"WA_GATEWAY_PORT": str(gateway.port), "WA_GATEWAY_KEY": gateway.key}
        place.session()
        panel = place.panel()
        scheduler = place.scheduler(WA_PORT=str(panel.port))
        assert until(lambda: (gateway.get("webhook/find").json() or {}).get("url")), scheduler.said()
        scheduler.kill()
        panel.kill()
        sent = gateway.send("Halo").json()["key"]["id"]
        gateway.simulate("receipt", id=sent, type="read")
        gateway.simulate("unlink")
        time.sleep(5)  # it has knocked some times
        began = time.monotonic()
        panel.start()
        place.scheduler(WA_PORT=str(panel.port))
        is_right = until(lambda: _is_unlinked(place) and sent in _read(place), 60)
        return place.outcome(
            Figure("told of it in the end", is_right, 1, is_least=True),
            Figure("right after, seconds", time.monotonic() - began, RIGHT_WITHIN_SECONDS, of_clock=True),
        )


def _is_unlinked(place: Place) -> bool:
    (one,) = _sessions(place)
    return (one.status, one.reason) == (Status.DISCONNECTED, Reason.LOGGED_OUT)
