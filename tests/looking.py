"""What tests of pages about sessions share."""

from contextlib import contextmanager

from sqlalchemy import event

from wa_admin.extensions import db, writing
from wa_admin.models import Status, WhatsAppSession

HTMX = {"HX-Request": "true"}
OFF = {"status": Status.DISCONNECTED}
NEVER = {"linked_at": None, "linked_number": None}


def change(wa_session, **columns):
    with writing():
        row = db.session.get_one(WhatsAppSession, wa_session.id)
        for name, value in columns.items():
            setattr(row, name, value)


@contextmanager
def queries():
    seen = []

    def note(_connection, _cursor, statement, *_):
        if statement != "BEGIN":
            seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
