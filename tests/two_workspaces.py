"""Another company's workspace beside ours, full of things that must never be seen from here.

Each of its rows has the same number, which nothing of ours has: whatever kind of thing a route asks for by
number, this is one of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from wa_admin import clock
from wa_admin.extensions import Base, db, writing
from wa_admin.models import (
    AlertChannel,
    ApiKey,
    Call,
    Chat,
    Contact,
    Event,
    Invitation,
    Line,
    LoginSession,
    Membership,
    Message,
    MessageStatus,
    Outage,
    Role,
    Status,
    Subscription,
    User,
    WhatsAppSession,
    Workspace,
)
from wa_admin.services import gateways

THEIRS = 777
# none of it may be in any answer; a number may be written with spaces and dashes
MARKS = ("zebra", "89990001", "89990002")
# a form or a call with all that any of them asks for; each takes what it knows
FORM = {
    "name": "Budi", "email": "budi@toko.id", "role": "operator", "sees": "some", "sessions": str(THEIRS),
    "scopes": "look", "expires": "never", "recipient": "081234567890", "message": "Halo",
    "session_id": str(THEIRS), "gateway_id": "1", "gateway": "1", "phone": "081234567890",
}  # fmt: skip
ENDS_THE_LOGIN = ("auth.logout",)
NEEDED: dict[str, dict[str, Any]] = {
    "/api/v1/sessions/move/": {"gateway": "bundled"},
    "/api/v1/sessions/passkey/answer/": {"assertion": {}},
    "/api/v1/sessions/passkey/confirm/": {"is_same": True},
}


def furnish_other_workspace() -> None:
    """Sessions, messages, people, keys and all the rest, of Zebra Ltd."""
    now = clock.now()
    same = {"id": THEIRS, "workspace_id": THEIRS, "created_at": now}
    password_hash = db.session.scalars(select(User.password_hash).limit(1)).one()
    with writing():
        _add(Workspace(id=THEIRS, name="Zebra Ltd", created_at=now))
        _add(
            User(
                id=THEIRS,
                email="zebra@zebra.example",
                name="Zebra Person",
                password_hash=password_hash,
                created_at=now,
                last_login_at=now,
            )
        )
        _add(Membership(user_id=THEIRS, workspace_id=THEIRS, role=Role.ADMIN, created_at=now))
        _add(_session(same, now))
        _add(_message(same, now))
        _furnish_chat(same, now)
        _add(
            Event(
                id=THEIRS,
                workspace_id=THEIRS,
                session_id=THEIRS,
                session_name="Zebra line",
                kind="linked",
                actor="zebra@zebra.example",
                detail={"number": "6289990001777"},
                at=now,
            )
        )
        _add(
            ApiKey(
                **same,
                name="zebra-key",
                key_hash="z",
                last_four="zebr",
                scopes="look",
                created_by="zebra@zebra.example",
            )
        )
        _add(
            Invitation(
                **same,
                email="guest@zebra.example",
                role=Role.OPERATOR,
                token_hash="zebra",
                invited_by="zebra@zebra.example",
                expires_at=now + timedelta(hours=1),
            )
        )
        _add(AlertChannel(**same, name="Zebra alerts", kind="mailto", sealed_url="zebra"))
        _add(Outage(id=THEIRS, workspace_id=THEIRS, session_id=THEIRS, reason="zebra", began_at=now))
        _add(
            Subscription(
                **same,
                name="Zebra hook",
                sealed_url="zebra",
                host="zebra.example",
                events="message.received",
                sealed_secret="zebra",
                created_by="zebra@zebra.example",
            )
        )
        _add(Call(id=THEIRS, subscription_id=THEIRS, uid="zebra", kind="k", payload="zebra", created_at=now))
        _add(
            LoginSession(
                id=THEIRS,
                token_hash="zebra",
                user_id=THEIRS,
                workspace_id=THEIRS,
                created_at=now,
                seen_at=now,
                proved_at=now,
                address="::7",
                agent="zebra",
            )
        )


def snapshot() -> dict[str, list[Any]]:
    """Every row of theirs, table by table."""
    db.session.rollback()
    rows = {}
    for table in Base.metadata.sorted_tables:
        column = table.c.get("workspace_id")
        if column is None and table.name not in ("whatsapp_session", "subscription", "call", "user"):
            continue
        of_theirs = table.c.id == THEIRS if column is None else column == THEIRS
        rows[table.name] = sorted(map(repr, db.session.execute(select(table).where(of_theirs))))
    return rows


def routes(app: Flask, number: int = THEIRS) -> Iterator[tuple[str, str, str, bool]]:
    """(method, endpoint, path, whether a number of theirs is in it) of all there are."""
    for rule in app.url_map.iter_rules():
        choices = {name: getattr(kind, "items", None) for name, kind in rule._converters.items()}
        values = {name: sorted(some)[0] if some else str(number) for name, some in choices.items()}
        asks = any(some is None for some in choices.values())
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            if rule.endpoint not in (*ENDS_THE_LOGIN, "static"):
                yield method, rule.endpoint, (rule.build(values, False) or ("", ""))[1], asks


def ask(client: FlaskClient, method: str, path: str, **more: Any) -> TestResponse:
    if path.startswith("/api/"):
        body = next((one for start, one in NEEDED.items() if path.startswith(start)), {})
        return client.open(path, method=method, json=None if method == "GET" else body, **more)
    return client.open(path, method=method, data=None if method == "GET" else FORM, **more)


def _add(row: Any) -> None:
    db.session.add(row)
    db.session.flush()


def _furnish_chat(same: dict[str, Any], now: Any) -> None:
    _add(Contact(**same, phone="6289990002777", name="Zebra Customer"))
    _add(
        Chat(
            **same,
            session_id=THEIRS,
            session_name="Zebra line",
            address="6289990002777",
            contact_id=THEIRS,
            unread_count=1,
            last_text="Zebra asks",
            last_at=now,
        )
    )
    _add(Line(id=THEIRS, chat_id=THEIRS, session_id=THEIRS, provider_id="zebra", text="Zebra asks", at=now))


def _session(same: dict[str, Any], now: Any) -> WhatsAppSession:
    return WhatsAppSession(
        **same,
        gateway_id=gateways.of_workspace().id,
        name="Zebra line",
        name_key="zebra line",
        session_id="zebra_line",
        status=Status.CONNECTED,
        linked_number="6289990001777",
        profile_name="Zebra shop",
        description="Zebra support",
        linked_at=now,
        connected_at=now,
        checked_at=now,
        status_at=now,
        is_default=True,
        updated_at=now,
    )


def _message(same: dict[str, Any], now: Any) -> Message:
    return Message(
        **same,
        session_id=THEIRS,
        session_name="Zebra line",
        typed="6289990002777",
        recipient="6289990002777",
        body="A zebra crossing",
        source="key:zebra-key",
        idempotency_key="zebra-order",
        status=MessageStatus.FAILED,
        error_code="rejected",
        error_detail="zebra says no",
        status_at=now,
    )
