import json

import pytest
from running_gateway import wait_until

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.hook_reader import HookReader
from wa_admin.models import HookCall
from wa_admin.services import gateways, inbox


@pytest.fixture
def reader(app):
    reader = HookReader(app)
    yield reader
    reader.stop()


def keep(count):
    gateway = gateways.of_workspace()
    for number in range(count):
        said = {"event": "x", "instance": "support_line", "data": {}, "date_time": f"{number}"}
        inbox.keep(gateway, json.dumps(said).encode(), clock.now())
    return gateway.id


def unread():
    db.session.rollback()
    return db.session.query(HookCall).filter(HookCall.sealed_body.is_not(None)).count()


def test_all_that_came_is_read_beside_whoever_answers(reader, connected):
    reader.start()
    reader.came(keep(2 * inbox.BATCH + 1))
    wait_until(lambda: unread() == 0)


def test_where_nobody_started_it_whoever_answers_reads(reader, connected):
    reader.came(keep(1))
    assert unread() == 0


def test_what_comes_after_a_failure_is_read(reader, connected, caplog):
    reader.start()
    with writing():
        db.session.execute(db.text("ALTER TABLE hook_call RENAME TO elsewhere"))
    reader.came(gateways.of_workspace().id)
    wait_until(lambda: "have to wait" in caplog.text)
    with writing():
        db.session.execute(db.text("ALTER TABLE elsewhere RENAME TO hook_call"))
    reader.came(keep(1))
    wait_until(lambda: unread() == 0)


def test_once_stopped_it_leaves_what_comes_to_the_scheduler(reader, connected):
    reader.start()
    reader.stop()
    reader.came(keep(1))
    assert unread() == 1
