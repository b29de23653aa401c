"""What a gateway was told is taken has its one effect: through kill -9, repetitions and a locked database."""

import json
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import httpx
import pytest
from forked import run
from locked_database import locked
from running_gateway import wait_until
from signed import address, bearing

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Call, HookCall, Receipt
from wa_admin.services import gateways, inbox, subscriptions, tidings

READ_LEFT_OVER = """
from wa_admin import create_app
from wa_admin.services import inbox
with create_app().app_context():
    inbox.read_left_over()
"""


@pytest.fixture
def report(app, panel):
    """What the gateway posts to the panel that runs just now."""
    path, headers = address(), bearing()
    return lambda said: panel.client.post(path, json=said, headers=headers)


def event(name, number, data):
    at = f"2026-11-21T02:{number // 60000 % 60:02}:{number // 1000 % 60:02}.{number % 1000:03}Z"
    return {"event": name, "instance": "support_line", "data": data, "date_time": at}


def receipt(number):
    return event("messages.update", number, {"keyId": f"3EB{number}", "fromMe": True, "status": "READ"})


def message(number):
    key = {"id": f"3EA{number}", "remoteJid": "62811222333@s.whatsapp.net", "fromMe": False}
    data = {"key": key, "messageType": "conversation", "message": {"conversation": "Halo"}}
    return event("messages.upsert", number, data)


def seen():
    db.session.rollback()
    return sorted(db.session.scalars(db.select(Receipt.provider_id)))


def unread():
    db.session.rollback()
    return db.session.query(HookCall).filter(HookCall.sealed_body.is_not(None)).order_by(HookCall.id).all()


def leases_run_out():
    with writing():
        db.session.query(HookCall).update({"next_at": clock.now() - timedelta(seconds=1)})


def read_left_over(data_dir, **environ):
    """A scheduler's turn, in a process of its own."""
    ours = {"WA_DATA_DIR": str(data_dir), "WA_ENGINE": "simulator", **environ}
    return run(["-c", READ_LEFT_OVER], os.environ | ours).returncode


def test_what_was_answered_with_ok_is_read_whenever_the_panel_is_killed(panel, report):
    accepted, stop = [], threading.Event()

    def keep_posting(first):
        for number in range(first, first + 100_000):
            if stop.is_set():
                return
            try:
                if report(receipt(number)).status_code == 200:
                    accepted.append(f"3EB{number}")
            except httpx.TransportError:
                time.sleep(0.02)

    posting = [threading.Thread(target=keep_posting, args=(100_000 * turn,)) for turn in range(4)]
    for thread in posting:
        thread.start()
    for kill in (1, 2, 3):
        wait_until(lambda wanted=15 * kill: len(accepted) > wanted, 60)
        time.sleep(random.uniform(0, 0.1))
        panel.kill()
        panel.start()
    stop.set()
    for thread in posting:
        thread.join()
    panel.kill()
    leases_run_out()
    inbox.read_left_over()
    assert set(accepted) <= set(seen())
    assert len(set(seen())) == len(seen())
    assert unread() == []


@pytest.mark.parametrize(("point", "answers"), [("after_hook_kept", 0), ("before_hook_read", 1)])
def test_one_that_was_under_way_at_a_kill_is_read_once(panel, report, point, answers):
    panel.kill()
    panel.environ["WA_ADMIN_CRASH_AT"] = point
    panel.start()
    answered = []
    with suppress(httpx.TransportError):  # without an answer it sends it again
        answered.append(report(receipt(1)).status_code)
    assert len(answered) == answers
    assert panel.process.wait(60) == 137
    del panel.environ["WA_ADMIN_CRASH_AT"]
    panel.start()
    leases_run_out()
    assert report(receipt(1)).status_code == 200
    wait_until(lambda: seen() == ["3EB1"])
    assert unread() == []


def test_every_event_five_times_at_once_has_one_effect(panel, report, connected):
    subscriptions.add(1, "orders-app", "https://app.example.com/", [tidings.RECEIVED], actor="cli")
    events = [make(number) for number in range(15) for make in (receipt, message)] * 5
    random.shuffle(events)
    with ThreadPoolExecutor(10) as gateway:
        answers = list(gateway.map(lambda said: report(said).status_code, events))
    assert set(answers) == {200}
    wait_until(lambda: not unread())
    assert seen() == sorted(f"3EB{number}" for number in range(15))
    assert sorted(
        json.loads(call.payload)["data"]["provider_id"] for call in db.session.query(Call)
    ) == sorted(f"3EA{number}" for number in range(15))


def test_one_that_ends_every_process_is_put_aside_and_the_next_is_read(data_dir, app, connected):
    for number in (1, 2):
        body = json.dumps(receipt(number)).encode()
        inbox.keep(gateways.of_workspace(), body, clock.now())
    for kill in (1, 2):
        assert read_left_over(data_dir, WA_ADMIN_CRASH_AT="before_hook_read") == 137
        leases_run_out()
        assert unread()[0].tries == kill
    with writing():
        unread()[0].tries = len(inbox.WAITS_SECONDS)
    inbox.read_left_over()
    assert seen() == ["3EB2"]
    assert [(one.error_code, one.tries) for one in unread()] == [("interrupted", 3)]


@pytest.mark.sqlite
def test_a_database_locked_for_a_while_is_a_wait(panel, report):
    with locked(panel.data_dir, 3), ThreadPoolExecutor(8) as gateway:
        answers = list(gateway.map(lambda number: report(receipt(number)), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    wait_until(lambda: len(seen()) == 8)


@pytest.mark.sqlite
def test_a_database_locked_for_long_has_the_gateway_come_again(panel, report):
    with locked(panel.data_dir, 8):
        answer = report(receipt(1))
        page = panel.client.get("/login")
    assert (answer.status_code, page.status_code) == (503, 200)
    assert int(answer.headers["Retry-After"]) > 0
    assert "Traceback" not in answer.text
    assert report(receipt(1)).status_code == 200
