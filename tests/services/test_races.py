"""Two writers at once, as real processes: the invariants hold and the loser is told."""

import json
import os

import forked
import pytest

from wa_admin.extensions import db
from wa_admin.models import AuditEntry, Event, WhatsAppSession
from wa_admin.services import audit

RACE = """
import json, sys
from multiprocessing import get_context
from wa_admin import create_app
from wa_admin.refusal import Refusal
from wa_admin.services import api_keys, outbox, sessions

def write(writer):
    answers = []
    with app.app_context():
        all_ready.wait(60)
        for number in range(times):
            try:
                answers.append({ACT})
            except Refusal as refusal:
                answers.append(refusal.code)
    all_answers.put(answers)

app, fork = create_app(), get_context("fork")
writers, times = map(int, sys.argv[1:])
all_ready, all_answers = fork.Barrier(writers), fork.SimpleQueue()
started = [fork.Process(target=write, args=[writer]) for writer in range(writers)]
for one in started:
    one.start()
for one in started:
    one.join()
    assert one.exitcode == 0
print(json.dumps([all_answers.get() for _ in started]))
"""


@pytest.fixture
def race(app, data_dir, make_app):
    """Run an act in several processes that start at the same moment; what each of them got."""

    def run(act: str, writers: int = 2, times: int = 1, **environ: str) -> list[list]:
        settings = os.environ | {"WA_DATA_DIR": str(data_dir), "WA_ENGINE": "simulator", **environ}
        done = forked.run(["-c", RACE.replace("{ACT}", act), str(writers), str(times)], settings)
        assert done.returncode == 0, done.stderr
        answers = json.loads(done.stdout)
        assert [len(some) for some in answers] == [times] * writers
        return answers

    return run


@pytest.mark.parametrize("limit", [1, 5])
def test_creates_at_once_never_pass_the_limit(race, limit):
    act = "sessions.create(1, f'Line {writer}-{number}', actor='cli').name"
    answers = race(act, writers=4, times=5, WA_MAX_SESSIONS=str(limit))
    assert sum(answer == "session_limit" for some in answers for answer in some) == 20 - limit
    assert WhatsAppSession.count(1) == limit
    assert db.session.query(WhatsAppSession).filter_by(is_default=True).count() == 1


def test_the_same_name_at_once_has_one_winner(race):
    answers = race("sessions.create(1, 'Support', actor='cli').name", writers=4, WA_MAX_SESSIONS="10")
    assert sorted(answer for some in answers for answer in some) == ["Support", *["name_taken"] * 3]


def test_toggling_the_default_leaves_exactly_one(race, make_session):
    one, two = make_session(), make_session("Other")
    act = f"sessions.make_default(1, ({one.id}, {two.id})[number % 2], actor='cli').is_default"
    answers = race(act, times=200)
    assert {answer for some in answers for answer in some} <= {True, "changed_meanwhile"}
    assert db.session.query(WhatsAppSession).filter_by(is_default=True).count() == 1


def test_one_key_from_many_writers_is_one_message(race, connected):
    act = "outbox.send(1, '081299998888', 'Halo', key='order-1', source='cli').id"
    answers = race(act, writers=4, times=10)
    assert len({answer for some in answers for answer in some}) == 1


def test_counters_lose_no_update(race, connected):
    race("outbox.send(1, '081299998888', 'Halo', source='cli').id", writers=3, times=50)
    db.session.expire_all()
    assert connected.waiting_count == 150
    assert db.session.query(Event).filter_by(kind="session_created").count() == 0


def test_acts_at_once_are_one_chain(race):
    race("api_keys.issue(1, f'{writer}-{number}', actor='cli') and 1", writers=4, times=10)
    assert db.session.query(AuditEntry).filter_by(action="key_added").count() == 40
    assert audit.verify().broken_id is None
