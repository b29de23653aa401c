"""Much of everything: R19 and R21 of docs/promises.md."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial

import psutil
from running_panel import RunningPanel
from sqlalchemy import insert, text
from waiting import until

from wa_admin import clock
from wa_admin.crypto import new_token
from wa_admin.extensions import db, writing
from wa_admin.models import Message, MessageStatus, Reason, Status, WhatsAppSession
from wa_admin.services import outbox, progress, sessions, watch

from .others import Others
from .outcome import Figure, Outcome
from .place import Make, Place

HOUR_SECONDS = 3600.0
MANY, PACE_SECONDS, WATCHED = 10_000, 0.2, 25
TURNS, LOOKS = 4, 100


def no_hammering(make: Make) -> Outcome:
    """R19: a session that does not come back is started ever less often; one that needs a person, never."""
    with make() as place:
        session_id = place.session()
        place.phone.state = "close"
        place.phone.script["connect"] = lambda asked: (500, {"response": {"message": "not now"}})
        calls = _starts_in_an_hour(place, session_id, Reason.NETWORK)
        after_logout = _starts_in_an_hour(place, session_id, Reason.LOGGED_OUT)
        return place.outcome(
            Figure("starts in an hour", calls, 15), Figure("starts after a logout", after_logout, 0)
        )


def _starts_in_an_hour(place: Place, session_id: int, reason: Reason) -> int:
    """With the shortest waits that chance allows; the hour passes as fast as it can."""
    asked, passed = len(_starts(place)), 0.0
    while passed < HOUR_SECONDS:
        with writing():
            row = db.session.get_one(WhatsAppSession, session_id)
            row.status, row.reason, row.starting_until = Status.DISCONNECTED, reason, None
            if row.reconnect_at is not None:
                row.reconnect_at = clock.now()
        watch.reconnect_due(jitter=lambda: 0.0)
        db.session.expire_all()
        next_at = db.session.get_one(WhatsAppSession, session_id).reconnect_at
        wait = (next_at - clock.now()).total_seconds() if next_at else 0.0
        passed += wait if wait > 0 else 60.0  # it was not tried: look again in a minute
    return len(_starts(place)) - asked


def _starts(place: Place) -> list[str]:
    return [one for one in place.phone.routes_asked() if "/instance/connect/" in one or "/restart/" in one]


def many_wait(make: Make) -> Outcome:
    """R21: ten thousand wait, some leave at their pace while the panel is used, the rest is taken back."""
    with make(pace_seconds=PACE_SECONDS) as place:
        session_id = place.session()
        panel = place.panel()
        scheduler = place.scheduler()
        assert until(scheduler.leads), scheduler.said()
        process = psutil.Process(scheduler.process.pid)
        place.accept(10)
        assert until(place.has_settled)
        _answers(panel)  # both load what they are for
        rss = process.memory_info().rss
        _queue(place, session_id)
        slowed_down = _slowed_down(place, panel, session_id)
        off = min(_off_pace(place, panel) for _ in range(3))[1]
        growth = process.memory_info().rss / rss - 1
        began = time.monotonic()
        with writing():
            outbox.cancel_all(db.session.get_one(WhatsAppSession, session_id), actor="faults")
        took = time.monotonic() - began
        assert until(place.has_settled), "some are left"
        return place.outcome(
            Figure("pace kept, deviation", off, 0.05, of_clock=True),
            Figure("memory of the scheduler, growth", growth, 0.10),
            Figure("cancelling all, seconds", took, 2.0, of_clock=True),
            Figure("slowest answers of the panel, to idle", slowed_down, 2.0, of_clock=True),
        )


def _queue(place: Place, session_id: int) -> None:
    """As `accept`, all in one statement."""
    now, run = clock.now(), new_token()[:8]
    texts = [f"{run} {number}" for number in range(MANY)]
    usual = {
        "workspace_id": 1,
        "session_id": session_id,
        "session_name": "Support line",
        "source": "faults",
        "status": MessageStatus.QUEUED,
        "next_at": now,
        "queued_at": now,
        "created_at": now,
        "status_at": now,
        "valid_until": now + timedelta(days=1),
        "attempts": 0,
        "rev": 1,
    }
    rows = [
        usual | {"body": text, "typed": to, "recipient": to, "reference": new_token()}
        for number, text in enumerate(texts)
        for to in [f"62812{number:08}"]
    ]
    with writing():
        db.session.execute(insert(Message), rows)
        progress.count_waiting(session_id, MANY)
        if not place.is_sqlite:  # autovacuum would, which is switched off here
            db.session.execute(text("ANALYZE message"))
    place.accepted |= dict.fromkeys(texts, time.monotonic())


def _slowed_down(place: Place, panel: RunningPanel, session_id: int) -> float:
    """How much longer the slowest of a hundred looks takes while messages leave than while they only wait: at
    the same list, and in turns, so that what else the machine does is in both."""
    idle: list[float] = []
    busy: list[float] = []
    for _ in range(TURNS):
        sessions.pause(1, session_id, actor="faults")
        assert until(lambda: MessageStatus.SENDING not in place.statuses().values())
        idle += _answers(panel)
        has_begun = partial(_have_left, place, len(place.phone.arrived))
        sessions.resume(1, session_id, actor="faults")
        assert until(has_begun)
        busy += _answers(panel)
    return _slowest(busy) / _slowest(idle)


def _off_pace(place: Place, panel: RunningPanel) -> tuple[float, float]:
    """What others took of the processors meanwhile, and by how much the pace was missed."""
    begun, others = len(place.phone.arrived), Others()
    assert until(lambda: _answers(panel) and len(place.phone.arrived) > begun + WATCHED)
    times = sorted(arrival.at for arrival in place.phone.arrived[begun:])
    rate = (len(times) - 1) * PACE_SECONDS / (times[-1] - times[0])
    return others.share(), abs(1 - rate)


def _have_left(place: Place, before: int) -> bool:
    return len(place.phone.arrived) > before


def _slowest(seconds: list[float]) -> float:
    return sorted(seconds)[round(0.99 * len(seconds)) - 1]


def _answers(panel: RunningPanel) -> list[float]:
    """How long each of some looks at the list took, in seconds."""
    taken = []
    for _ in range(LOOKS):
        began = time.monotonic()
        answer = panel.client.get("/api/v1/messages/?limit=50")
        assert answer.status_code == 200, answer.text
        taken.append(time.monotonic() - began)
        time.sleep(0.01)
    return taken
