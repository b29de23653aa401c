import json

from chatting import BUDI, hear
from sqlalchemy import select

from wa_admin.extensions import db
from wa_admin.models import Event, Line


def test_what_is_kept_of_a_person_is_printed_as_json(runner, connected):
    hear(connected, text="Halo, masih buka?")
    result = runner.invoke(args=["contacts", "export", "0811-1000-222"])
    told = json.loads(result.output)
    assert told["addresses"] == [BUDI] and told["written"][0]["text"] == "Halo, masih buka?"


def test_a_person_is_erased_once_somebody_said_yes(runner, connected):
    hear(connected)
    result = runner.invoke(args=["contacts", "erase", BUDI], input="n\n")
    assert result.exit_code == 1 and db.session.query(Line).count() == 1
    result = runner.invoke(args=["contacts", "erase", BUDI, "--yes"])
    db.session.rollback()
    assert "Erased: 1 messages that came in" in result.output and db.session.query(Line).count() == 0
    assert "contact_erased" in db.session.scalars(select(Event.kind)).all()


def test_a_number_of_which_nothing_is_kept_is_said(runner, connected):
    result = runner.invoke(args=["contacts", "erase", "0812-0000-0000", "--yes"])
    assert result.exit_code == 1 and "Nothing is kept of this number." in result.output
