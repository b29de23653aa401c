"""A panel with a past, whose session can be put into any state to be looked at; no gateway is behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from running_panel import RunningPanel
from sqlalchemy import delete, select, update

from wa_admin import clock, create_app
from wa_admin.app import vault
from wa_admin.extensions import db, writing
from wa_admin.models import (
    AlertChannel,
    Call,
    Event,
    Gateway,
    LoginSession,
    Membership,
    Message,
    MessageStatus,
    Notice,
    NoticeStatus,
    Outage,
    Reason,
    Role,
    Status,
    Subscription,
    WhatsAppSession,
)
from wa_admin.services import (
    alerts,
    api_keys,
    gateway_settings,
    gateways,
    invitations,
    sample,
    subscriptions,
    tidings,
    users,
    workspaces,
)

NUMBER, OTHER_NUMBER = "6281234567890", "6281298765432"
UNTOUCHED: dict[str, Any] = {
    "name": sample.NAME,
    "description": "Sample data",
    "waiting_count": 0,
    "is_active": True,
    "paused_at": None,
    "phone_number": NUMBER,
    "linked_number": NUMBER,
    "profile_name": "Toko Sari",
    "sealed_qr": None,
    "sealed_pairing_code": None,
    "sealed_passkey_code": None,
    "qr_sequence": None,
    "qr_expires_at": None,
    "qr_lifetime_seconds": None,
    "is_scanned": False,
    "reconnect_attempts": 0,
    "reconnect_at": None,
    "ban_ends_at": None,
}


def ago(**span: float) -> Any:
    return clock.now() - timedelta(**span)


def ahead(**span: float) -> Any:
    return clock.now() + timedelta(**span)


def _down(reason: Reason | None, **more: Any) -> dict[str, Any]:
    return {"status": Status.DISCONNECTED, "reason": reason, **more}


def _unlinked(reason: Reason) -> dict[str, Any]:
    return _down(reason, linked_at=None)


def _code(**more: Any) -> dict[str, Any]:
    """A code that waits; its own text is nobody's business, only its length is that of a real one."""
    return {
        "status": Status.QR_PENDING,
        "reason": None,
        "linked_at": None,
        "linked_number": None,
        "sealed_qr": "2@" + "Qr0" * 78,
        "qr_sequence": 2,
        "qr_expires_at": ahead(seconds=18),
        "qr_lifetime_seconds": 20,
        **more,
    }


def states() -> dict[str, dict[str, Any]]:
    """What the row of a session holds in each state that a person can meet, and the edges of some."""
    never = {"linked_number": None, "phone_number": None, "profile_name": None, "linked_at": None}
    connected = {"status": Status.CONNECTED, "reason": None}
    connecting = {"status": Status.CONNECTING, "reason": None}
    asked = {"status": Status.CONNECTING, "reason": Reason.PASSKEY_REQUIRED, "linked_at": None}
    return {
        "never_linked": _down(Reason.NEVER_LINKED, **never),
        "starting": connecting | never | {"status_at": ago(seconds=4)},
        "starting_slow": connecting | never | {"status_at": ago(seconds=45)},
        "waiting_for_scan": _code(),
        "waiting_by_phone": _code(sealed_pairing_code="K7M2PX4D", qr_sequence=1),
        "finishing": connecting | {"is_scanned": True, "linked_at": None},
        "connected": connected,
        "wrong_number": connected | {"linked_number": OTHER_NUMBER},
        "paused": connected | {"paused_at": ago(minutes=12)},
        "silent": {"status": Status.CONNECTED, "reason": Reason.SILENT, "last_proof_at": ago(hours=3)},
        "reconnecting": _down(None, reconnect_attempts=2, reconnect_at=ahead(seconds=40)),
        "no_network": _down(Reason.NETWORK, reconnect_attempts=4, reconnect_at=ahead(minutes=4)),
        "engine_crashed": _down(Reason.NETWORK, gateway_word="crashed"),
        "gateway_unreachable": {"status": Status.CONNECTED, "reason": Reason.GATEWAY_UNREACHABLE},
        "unlinked": _unlinked(Reason.LOGGED_OUT),
        "qr_expired": _unlinked(Reason.QR_EXPIRED),
        "passkey_required": _unlinked(Reason.PASSKEY_REQUIRED),
        "passkey_asked": asked,
        "passkey_code": asked | {"sealed_passkey_code": "1234"},
        "auth_failure": _unlinked(Reason.AUTH_FAILURE),
        "replaced": _down(Reason.REPLACED),
        "banned": _down(Reason.BANNED, ban_ends_at=ahead(hours=23)),
        "outdated": _down(Reason.OUTDATED),
        "stopped": _down(Reason.STOPPED),
        "inactive": _down(Reason.STOPPED, is_active=False),
    }


def _tell_an_app() -> None:
    """A webhook with calls in every state."""
    webhook, _secret = subscriptions.add(
        1, "orders-app", "https://93.184.216.34/", tidings.KINDS, actor="cli"
    )
    outcomes: list[dict[str, Any]] = [
        {"status": "failed", "attempts": 10, "answer_status": 503, "next_at": None},
        {"status": "waiting", "attempts": 3, "error": "timeout", "next_at": ahead(minutes=2)},
        {"status": "delivered", "attempts": 1, "answer_status": 204, "delivered_at": ago(minutes=1)},
        {"status": "waiting"},
    ]
    with writing():
        for number, outcome in enumerate(outcomes):
            values = {"uid": f"msg_{number:032x}", "kind": tidings.KINDS[number % 3], "payload": "{}"}
            values |= {"created_at": ago(minutes=9 - number), "next_at": ahead(days=1)} | outcome
            db.session.add(Call(subscription_id=webhook.id, **values))
    gone, _secret = subscriptions.add(1, "stock-app", "https://93.184.216.34/", tidings.KINDS, actor="cli")
    with writing():
        values = {"is_active": False, "failing_since": ago(days=6), "disabled_at": ago(hours=2)}
        db.session.execute(update(Subscription).filter_by(id=gone.id).values(**values))
        outage = {"workspace_id": 1, "subscription_id": gone.id, "reason": "webhook_worn_out"}
        db.session.add(Outage(**outage, began_at=ago(hours=2)))


def _add_alerts(session_id: int) -> None:
    """A channel that failed, one that is paused, and what they were told."""
    night = alerts.Manner(quiet_from=22 * 60, quiet_until=7 * 60, time_zone="Asia/Jakarta")
    channel = alerts.add(
        1, "On call", "tgram://123456789:abcdefg_hijklmnopqrstuv/12315544", night, actor="cli"
    )
    alerts.pause(1, alerts.add(1, "Sari", "ntfys://toko-sari", night, actor="cli").id, actor="cli")
    outage = {"workspace_id": 1, "session_id": session_id, "reason": "logged_out", "began_at": ago(hours=5)}
    with writing():
        over = Outage(**outage, ended_at=ago(hours=4))
        db.session.add_all([over, Outage(**outage)])
        db.session.get_one(AlertChannel, channel.id).last_error = "rejected:403"
        db.session.flush()
        told = {"outage_id": over.id, "channel_id": channel.id, "next_at": ago(hours=5)}
        db.session.add(Notice(**told, status=NoticeStatus.TOLD, told_at=ago(hours=5)))
        db.session.add(Notice(**told, status=NoticeStatus.FAILED, is_end=True, error="rejected:403"))


# what there is to look at beside the home page; {failed} stands for a message that has failed
PAGES = {
    "messages": "/messages",
    "messages_failed": "/messages?status=failed",
    "messages_nothing_here": "/messages?status=waiting",
    "messages_found": "/messages?q=pesanan",
    "messages_nothing_found": "/messages?q=no+such+words&status=failed&day=2026-01-02",
    "chats": "/chats",
    "chats_unread": "/chats?unread=1",
    "chats_found": "/chats?q=kue",
    "chats_nothing_found": "/chats?q=xylophon",
    "chat": "/chats/1",
    "chat_with_a_file": "/chats/4",
    "chat_of_a_group": "/chats/3",
    "chat_not_to_be_answered": "/chats/1?line=1",
    "erase_person": "/chats/1/removal",
    "compose": "/messages/new",
    **{f"message_{status}": f"/messages/{{{status}}}" for status in MessageStatus},
    "message_send_again": "/messages/{uncertain}/deliveries",
    "doubts": "/messages/doubts",
    "activity": "/activity",
    "health": "/health",
    "audit": "/activity/audit",
    "account": "/settings/account",
    "second_factor": "/settings/second-factor",
    "authenticator_app": "/settings/second-factor/app",
    "remove_app": "/settings/second-factor/app/removal",
    "keys": "/settings/keys",
    "revoke_key": "/settings/keys/1/revocation",
    "gateways": "/settings/gateways",
    "gateway": "/settings/gateways/2",
    "gateway_kinds": "/settings/gateways/new",
    "add_gateway": "/settings/gateways/new/waha",
    "add_gateway_of_urls": "/settings/gateways/new/webhook",
    "edit_gateway": "/settings/gateways/2/edit",
    "gateway_key": "/settings/gateways/2/key",
    "gateway_secret": "/settings/gateways/2/webhooks/secret",
    "remove_gateway": "/settings/gateways/2/removal",
    "move_session": "/sessions/1/gateway",
    "alerts": "/settings/alerts",
    "add_alert_channel": "/settings/alerts/new/email",
    "edit_alert_channel": "/settings/alerts/1",
    "remove_alert_channel": "/settings/alerts/1/removal",
    "link_pass": "/sessions/1/link/pass",
    "people": "/settings/people",
    "person": "/settings/people/2",
    "person_of_some_sessions": "/settings/people/3",
    "add_person": "/settings/people/new",
    "workspaces": "/settings/workspaces",
    "workspace": "/settings/workspaces/1",
    "remove_workspace": "/settings/workspaces/1/removal",
    "webhooks": "/settings/webhooks",
    "webhook": "/settings/webhooks/1",
    "webhook_switched_off": "/settings/webhooks/2",
    "webhook_edit": "/settings/webhooks/1/edit",
    "webhook_rotation": "/settings/webhooks/1/rotation",
    "webhook_removal": "/settings/webhooks/1/removal",
    "password_again": "/confirm",
    "own_page": "/sessions/1",
    "spread": "/settings/spread",
    "edit_session": "/sessions/1/edit",
    "add_session": "/sessions/new",
    "delete_session": "/sessions/1/delete",
    "existing_session": "/sessions/1/existing",
    "disconnect": "/sessions/1/confirm/disconnect",
    "unlink": "/sessions/1/confirm/logout",
    "another_number": "/sessions/1/confirm/replace",
    "api_docs": "/api/docs",
    "not_found": "/nowhere",
}
STATES = tuple(states())
LINKING = (
    "starting_slow",
    "waiting_for_scan",
    "waiting_by_phone",
    "finishing",
    "connected",
    "wrong_number",
    "qr_expired",
    "passkey_required",
    "passkey_asked",
    "passkey_code",
    "gateway_unreachable",
    "banned",
)
# every page and every state of those that have several, by name
VIEWS = (*(f"home_{state}" for state in STATES), *(f"link_{state}" for state in LINKING), *PAGES)


class Gallery:
    """`data_dir` is migrated and has people; the session, number 1, has two weeks of sample data.

    More keywords are more environment of its panel.
    """

    def __init__(self, data_dir: Path, **environ: str) -> None:
        self.app = create_app({"WA_DATA_DIR": str(data_dir), "WA_ENGINE": "simulator"})
        with self.app.app_context():
            gateways.ensure()
            gateway_settings.add(1, kind="waha", name="WAHA", base_url="https://93.184.216.34", actor="cli")
            wa_session = sample.session(1, actor="cli")
        self.show("connected")
        with self.app.app_context():
            sample.fill(db.session.get_one(WhatsAppSession, wa_session.id))
            api_keys.issue(1, "orders-api", actor="admin@example.com")
            users.assign(1, "operator@example.com", [wa_session.id], actor="admin@example.com")
            self.invitation = invitations.issue(1, "dewi@toko.id", Role.OPERATOR, actor="admin@example.com")[
                1
            ]
            _add_alerts(wa_session.id)
            _tell_an_app()
        self.panel = RunningPanel(data_dir, key="none", WA_POLL_SECONDS="1", **environ)
        self.url = f"http://127.0.0.1:{self.panel.port}"

    def show(self, state: str, **more: Any) -> None:
        """Put the session into this state."""
        with self._changing():
            defaults = UNTOUCHED | {"status_at": ago(minutes=23), "linked_at": ago(days=9)}
            now = {
                "checked_at": ago(seconds=8),
                "connected_at": ago(hours=8),
                "last_proof_at": ago(minutes=2),
            }
            columns = defaults | now | {"last_proof": "delivery"} | states()[state] | more
            for name in ("sealed_qr", "sealed_pairing_code", "sealed_passkey_code"):
                columns[name] = columns[name] and vault().seal(columns[name])
            db.session.execute(
                update(WhatsAppSession).values(**columns, rev=WhatsAppSession.rev + 1, updated_at=clock.now())
            )
            is_failing = state == "gateway_unreachable"
            db.session.execute(
                update(Gateway).values(
                    failing_since=ago(minutes=3) if is_failing else None,
                    failure="gateway_unreachable" if is_failing else None,
                    checked_at=ago(minutes=3 if is_failing else 0, seconds=8),
                    latency_ms=14,
                    version="2.3.7",
                )
            )

    def prepare(self, view: str) -> str:
        """Make ready what one of VIEWS shows; its path."""
        kind, _, state = view.partition("_")
        if view in PAGES:
            self.show("connected")
            path = PAGES[view]
            statuses = [status for status in MessageStatus if f"{{{status}}}" in path]
            return path.format(**{status: self.message(status) for status in statuses})
        self.show(state)
        by = "?by=phone" if state == "waiting_by_phone" else ""
        return "/" if kind == "home" else f"/sessions/1/link{by}"

    def message(self, status: str) -> int:
        """The number of a message in this status, made from another when there is none."""
        with self._changing():
            found = db.session.scalar(select(Message.id).filter_by(status=status).limit(1))
            if found is None:
                found = db.session.scalars(select(Message.id).filter_by(status="read").limit(1)).one()
                db.session.execute(update(Message).filter_by(id=found).values(status=status))
            return found

    def add_message(self) -> None:
        """One more, as if an app had sent it just now."""
        with self._changing():
            latest = db.session.scalars(select(Message).order_by(Message.id.desc()).limit(1)).one()
            copied = ("workspace_id", "session_id", "session_name", "typed", "recipient", "source", "status")
            values = {name: getattr(latest, name) for name in copied}
            now = clock.now()
            db.session.add(Message(**values, body="One more", created_at=now, status_at=now))

    def end_logins(self, role: str) -> None:
        with self._changing():
            theirs = select(Membership.user_id).filter_by(role=role)
            db.session.execute(delete(LoginSession).where(LoginSession.user_id.in_(theirs)))

    def add_workspace(self, name: str) -> None:
        """A second one, of which the admin is a member too."""
        with self.app.app_context():
            added = workspaces.add(name, actor="cli")
            users.add_known(added.id, "admin@example.com", Role.ADMIN, actor="cli")

    def forget_everything(self) -> None:
        """No session, no message, nothing in the activity."""
        with self._changing():
            for table in (Message, Event, WhatsAppSession):
                db.session.query(table).delete()

    def close(self) -> None:
        self.panel.close()
        with self.app.app_context():
            gateways.close_all()
            db.session.remove()
            db.engine.dispose()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self.app.app_context(), writing():
            yield
