"""What the API has accepted survives kill -9, and the same key is the same message."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from locked_database import locked
from running_gateway import wait_until

from wa_admin.extensions import db
from wa_admin.models import Message


def test_an_id_returned_is_on_disk_whenever_the_panel_is_killed(panel):
    accepted, stop = [], threading.Event()

    def keep_sending(number):
        for turn in range(10_000):
            if stop.is_set():
                return
            try:
                answer = panel.send(f"{number}-{turn}")
                if answer.status_code == 202:
                    accepted.append(answer.json()["data"]["id"])
            except httpx.TransportError:
                time.sleep(0.02)

    senders = [threading.Thread(target=keep_sending, args=(number,)) for number in range(4)]
    for sender in senders:
        sender.start()
    for kill in (1, 2, 3, 4):
        wait_until(lambda wanted=15 * kill: len(accepted) > wanted, 60)
        time.sleep(random.uniform(0, 0.1))
        panel.kill()
        panel.start()
    stop.set()
    for sender in senders:
        sender.join()
    on_disk = set(db.session.scalars(db.select(Message.id)))
    assert set(accepted) <= on_disk


@pytest.mark.sqlite
def test_a_commit_waits_for_the_disk(app):
    pragmas = [db.session.scalar(db.text(f"PRAGMA {name}")) for name in ("synchronous", "journal_mode")]
    assert pragmas == [2, "wal"]  # FULL: with NORMAL a power cut takes the last commits along


def test_fifty_callers_with_one_key_get_one_message(panel):
    def send(_):
        return panel.send(**{"Idempotency-Key": "order-1"})

    with ThreadPoolExecutor(50) as callers:
        answers = list(callers.map(send, range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["data"]["id"] for answer in answers}) == 1


def test_a_key_is_remembered_over_a_restart(panel):
    first = panel.send(**{"Idempotency-Key": "order-1"})
    panel.kill()
    panel.start()
    again = panel.send(**{"Idempotency-Key": "order-1"})
    other = panel.send("Other words", **{"Idempotency-Key": "order-1"})
    assert again.json()["data"]["id"] == first.json()["data"]["id"]
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")


@pytest.mark.sqlite
def test_a_database_locked_for_a_while_is_a_wait(panel):
    with locked(panel.data_dir, 3), ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: panel.send(), range(8)))
    assert {answer.status_code for answer in answers} == {202}


@pytest.mark.sqlite
def test_a_database_locked_for_long_is_told_and_not_hidden(panel):
    panel.send()  # once a minute the use of the key is noted, which would wait as well
    with locked(panel.data_dir, 8):
        answer = panel.send()
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["error"]["code"]
    assert "Traceback" not in answer.text
