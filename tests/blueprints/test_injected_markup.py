"""What customers, gateways and the people who set things up may write is text on every page."""

import pytest
from chatting import hear
from markup import read
from sqlalchemy import update
from two_workspaces import ask, routes

from wa_admin.drivers.contract import FileSeen
from wa_admin.extensions import Base, db, writing
from wa_admin.models import Role
from wa_admin.services import api_keys, subscriptions

EVIL = """"'><zebra-x hx-get=/evil hx-trigger=load zebra-on=1>{{7*7}}</script><zebra-x>&#60;zebra-x&#62;"""
# what a customer, a gateway or an app decides; beside these, what people of the panel call things
WRITTEN = {
    "contact": ("name", "lid"),
    "chat": ("name", "last_text", "last_kind", "session_name"),
    "chat_line": ("text", "quoted", "kind"),
    "incoming_file": ("filename", "mimetype"),
    "whatsapp_session": ("name", "description", "profile_name", "gateway_word"),
    "message": ("typed", "body", "session_name", "source", "idempotency_key", "provider_id", "error_detail"),
    "delivery": ("error_detail",),
    "receipt": ("provider_id",),
    "gateway": ("name", "version", "failure"),
    "event": ("session_name", "actor"),
    "subscription": ("name", "created_by"),
    "call": ("error",),
    "api_key": ("name", "created_by"),
    "user": ("name",),
    "workspace": ("name",),
    "login_session": ("agent", "address"),
}


@pytest.fixture
def poisoned(app, stub, connected, make_message):
    """One of everything, with markup in every place where a stranger can put it."""
    message = make_message(connected, status="failed", error_code="rejected")
    file = FileSeen("image/png", "a.png", content=b"\x89PNG\r\n\x1a\n" + b"0" * 600)
    hear(connected, "1")
    hear(connected, "2", chat="120363000000000001@g.us", kind="image", file=file)
    api_keys.issue(1, "orders-api", actor="cli")
    app.test_client().post("/login", data={"email": f"{EVIL}@example.com", "password": EVIL})
    subscriptions.add(1, "orders-app", "https://93.184.216.34/hook", ["message.status"], actor="cli")
    return message


def poison():
    """Returns how many places there were."""
    count = 0
    for table in Base.metadata.sorted_tables:
        for name in WRITTEN.get(table.name, ()):
            with writing():
                db.session.execute(update(table).values({name: EVIL[: table.c[name].type.length or 500]}))
            count += 1
    return count


def made_of_it(page):
    """Elements and attributes that came out of it."""
    elements = list(read(page)._within())
    names = [name for one in elements for name in (one.tag, *one.attributes) if "zebra" in name]
    return names + [
        one["hx-get"] for one in elements if (one.attributes.get("hx-get") or "").startswith("/evil")
    ]


def test_no_page_takes_it_for_markup(app, poisoned, signed_in):
    admin = signed_in(Role.ADMIN)
    assert set(WRITTEN) <= set(Base.metadata.tables) and poison() > 25
    wrong, shown = [], 0
    for method, _endpoint, path, _asks in routes(app, 1):
        for headers in ({}, {"HX-Request": "true"}) if method == "GET" else ():
            response = ask(admin, method, path, headers=headers)
            if response.mimetype == "text/html" and response.location is None:
                shown += "zebra" in response.text
                wrong += [(path, one) for one in made_of_it(response.text)]
                wrong += [(path, "evaluated")] * ("&gt;49&lt;" in response.text)
    assert wrong == [] and shown > 25
