"""What a gateway and a network do wrong: R4, R5 and R6 of docs/promises.md."""

from __future__ import annotations

import random
import socket
import time

from waiting import until

from wa_admin.extensions import db, writing
from wa_admin.models import Message, MessageStatus

from . import phone
from .outcome import Figure, Outcome
from .phone import JSON, Fate, Handed, Phone, breaks_off_after, drips, says
from .place import SEND_SECONDS, Make, Place

QUEUED, FAILED, UNCERTAIN = MessageStatus.QUEUED, MessageStatus.FAILED, MessageStatus.UNCERTAIN
GRACE_SECONDS = 0.5
MESSAGES, RECIPIENTS, DRAINERS = 200, 5, 4
FAILING = 0.2
DRAINED, PACE_SECONDS = 14, 0.25


def _head(length: int) -> bytes:
    return f"HTTP/1.1 201 Created\r\n{JSON}\r\nContent-Length: {length}\r\n\r\n".encode()


CELLS: dict[str, tuple[Fate, MessageStatus]] = {
    "500": (says("500 Internal Server Error"), UNCERTAIN),
    "503 with Retry-After": (says("503 Service Unavailable", JSON, "Retry-After: 60"), QUEUED),
    "429": (says("429 Too Many Requests", JSON, "Retry-After: 60"), QUEUED),
    "400": (says("400 Bad Request", body='{"response":{"message":["Text is required"]}}'), FAILED),
    "413": (says("413 Content Too Large"), FAILED),
    "422": (says("422 Unprocessable Content"), FAILED),
    "timeout": (phone.keeps_silent, UNCERTAIN),
    "reset before the answer": (breaks_off_after(b""), UNCERTAIN),
    "reset before the body": (breaks_off_after(_head(500)), UNCERTAIN),
    "half a body": (breaks_off_after(_head(500) + b'{"key":{"id":'), UNCERTAIN),
    "garbage": (breaks_off_after(b"\x16\x03\x01 not HTTP at all\r\n\r\n"), UNCERTAIN),
    "null": (says("200 OK", body="null"), UNCERTAIN),
    "no message id": (says("201 Created", body='{"key":{}}'), UNCERTAIN),
    "HTML with 200": (says("200 OK", "Content-Type: text/html", body="<html>Welcome</html>"), UNCERTAIN),
    "10 MiB": (says("200 OK", body=" " * 10 * 2**20), UNCERTAIN),
    "redirect": (says("307 Temporary Redirect", JSON, "Location: /elsewhere"), UNCERTAIN),
    "401": (says("401 Unauthorized"), QUEUED),  # everything waits for the right key: so it comes last
}


def each_in_its_cell(make: Make) -> Outcome:
    """R4: one message for each fault, to a gateway without references; and one to nobody."""
    with make(kind="evolution") as place:
        place.session()
        worker = place.worker()
        wrong = []
        for name, (fate, expected) in CELLS.items():
            place.phone.fate = fate
            (text,) = place.accept(1, recipients=1)
            worker.drain()
            if place.statuses()[text] != expected:
                wrong.append(f"{name}: {place.statuses()[text]}")
            _out_of_the_way()
        place.session("Nobody", place.gateway_at(_port_of_nobody()))
        (text,) = place.accept(1, "Nobody")
        worker.drain()
        if place.statuses()[text] != QUEUED:
            wrong.append(f"connection refused: {place.statuses()[text]}")
        _out_of_the_way()
        print("".join(f"    wrong cell: {cell}\n" for cell in wrong), end="")
        cells = len(CELLS) + 1
        return place.outcome(Figure("cells as specified, share", 1 - len(wrong) / cells, 1.0, is_least=True))


def _out_of_the_way() -> None:
    """What still waits as it should: the next message must not wait behind it."""
    with writing():
        db.session.query(Message).filter_by(status=QUEUED).update({"status": MessageStatus.CANCELLED})


def _port_of_nobody() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def none_outlives_its_deadline(make: Make) -> Outcome:
    """R5: a gateway whose header drips, then its body; the session of another goes on at its pace."""
    with make(pace_seconds=PACE_SECONDS) as place:
        slow = Phone()
        fates = iter([drips(b"HTTP/1.1 201 Created\r\n", b"X-Slow: yes\r\n"), drips(_head(500), b" ")] * 2)
        slow.fate = lambda phone, handed: next(fates)(phone, handed)
        place.session()
        place.session("Slow", place.gateway_at(slow.port))
        scheduler = place.run("schedule")
        try:
            alone = _rate(place)
            place.accept(4, "Slow", recipients=4)
            beside = _rate(place)
            assert until(lambda: len(slow.held_seconds) == 4 and place.has_settled(), 40)
        finally:
            scheduler.terminate()
            scheduler.wait(20)
            slow.stop()
        return place.outcome(
            Figure("longest call, seconds", max(slow.held_seconds), SEND_SECONDS + GRACE_SECONDS),
            Figure("rate of the other session, to alone", beside / alone, 0.95, is_least=True, of_clock=True),
        )


def _rate(place: Place) -> float:
    """Messages a second of the session that nothing is wrong with."""
    before = len(place.phone.arrived)
    place.accept(DRAINED)
    assert until(lambda: len(place.phone.arrived) == before + DRAINED, 60)
    times = sorted(arrival.at for arrival in place.phone.arrived[before:])
    return (DRAINED - 1) / (times[-1] - times[0])


def order_is_kept(make: Make) -> Outcome:
    """R6: few recipients, one in five hand-overs told to come again, and several that drain."""
    with make() as place:
        place.session()
        worker = place.worker()
        place.accept(MESSAGES, recipients=RECIPIENTS)
        place.phone.fate = _fails_some()
        ends = time.monotonic() + 60
        while not place.has_settled() and time.monotonic() < ends:
            worker.drain(seconds=3, at_once=DRAINERS)
        turn = {text: number for number, text in enumerate(place.accepted)}
        last: dict[str, int] = {}
        inversions = 0
        for arrival in place.phone.arrived:
            inversions += turn[arrival.text] < last.get(arrival.to, -1)
            last[arrival.to] = turn[arrival.text]
        return place.outcome(Figure("inversions", inversions, 0))


def _fails_some() -> Fate:
    chance = random.Random(6)
    again = says("503 Service Unavailable", JSON, "Retry-After: 0")

    def fate(phone_: Phone, handed: Handed) -> None:
        (again if chance.random() < FAILING else phone.taken)(phone_, handed)

    return fate
