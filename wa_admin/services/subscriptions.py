"""Outgoing webhooks: the addresses of apps that want to hear what happens, and the secrets they check."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Collection
from datetime import timedelta

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, func, select

from .. import clock, plain
from ..app import settings, vault
from ..extensions import db, writing
from ..models import Call, Subscription
from ..refusal import Refusal
from . import scope, tidings, timeline

LONGEST_NAME = 80
LONGEST_URL = 2000
MOST = 20  # of one workspace
OVERLAP = timedelta(hours=24)  # for so long both secrets sign after a rotation
LOOK_UP_SECONDS = 2.0


class SubscriptionNotFound(Refusal):
    code = "webhook_not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__(_l("There is no such webhook."))


class BadUrl(Refusal):
    code = "url_bad"


class NameTaken(Refusal):
    code = "webhook_name_taken"
    status = 409

    def __init__(self, name: str) -> None:
        super().__init__(_l("Another webhook is called %(name)s.", name=name), field="name")


class TooMany(Refusal):
    code = "webhook_limit"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("There may be %(count)s webhooks at most: remove one first.", count=MOST))


class NothingToHear(Refusal):
    code = "empty"

    def __init__(self) -> None:
        super().__init__(_l("Choose at least one kind of event."), field="events")


class Paused(Refusal):
    code = "webhook_paused"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("The webhook is paused: resume it first."))


class WholeWorkspace(Refusal):
    code = "forbidden"
    status = 403

    def __init__(self) -> None:
        super().__init__(_l("Webhooks hear of every session, so they are for who may see every session."))


def listed(workspace_id: int) -> list[Subscription]:
    """All of them, the oldest first. Raises WholeWorkspace."""
    _refuse_who_sees_a_part()
    query = select(Subscription).filter_by(workspace_id=workspace_id)
    return list(db.session.scalars(query.order_by(Subscription.id)))


def find(workspace_id: int, subscription: int | str) -> Subscription:
    """By number or name. Raises SubscriptionNotFound, WholeWorkspace."""
    _refuse_who_sees_a_part()
    by = {"id": subscription} if isinstance(subscription, int) else {"name": subscription.strip()}
    found = db.session.scalar(select(Subscription).filter_by(workspace_id=workspace_id, **by))
    if found is None:
        raise SubscriptionNotFound
    return found


def add(
    workspace_id: int, name: str, url: str, events: Collection[str], *, actor: str
) -> tuple[Subscription, str]:
    """A new one and its secret `whsec_…`, which is not shown again.

    Raises UnfitText, BadUrl, NothingToHear, NameTaken, TooMany, WholeWorkspace.
    """
    _refuse_who_sees_a_part()
    name, host = plain.line(name, LONGEST_NAME, field="name"), checked_host(url)
    secret = _new_secret()
    with writing():
        query = select(func.count()).select_from(Subscription).filter_by(workspace_id=workspace_id)
        if (db.session.scalar(query) or 0) >= MOST:
            raise TooMany
        _refuse_taken(workspace_id, name)
        added = Subscription(
            workspace_id=workspace_id,
            name=name,
            sealed_url=vault().seal(url.strip()),
            host=host,
            events=_joined(events),
            sealed_secret=vault().seal(secret),
            created_by=actor,
            created_at=clock.now(),
        )
        db.session.add(added)
        _record("webhook_added", added, actor)
    return added, secret


def edit(
    workspace_id: int,
    subscription: int | str,
    *,
    name: str | None = None,
    url: str | None = None,
    events: Collection[str] | None = None,
    actor: str,
) -> Subscription:
    """Change what is given. Raises as `add` does, and SubscriptionNotFound."""
    name = None if name is None else plain.line(name, LONGEST_NAME, field="name")
    host = checked_host(url) if url else None
    with writing():
        found = find(workspace_id, subscription)
        if name is not None and name != found.name:
            _refuse_taken(workspace_id, name)
            found.name = name
        if url and host:
            found.sealed_url, found.host = vault().seal(url.strip()), host
        if events is not None:
            found.events = _joined(events)
        _record("webhook_edited", found, actor)
    return found


def pause(workspace_id: int, subscription: int | str, *, actor: str) -> Subscription:
    """Tell it nothing more; what already waits for it goes on waiting. Raises SubscriptionNotFound."""
    with writing():
        found = find(workspace_id, subscription)
        if found.is_active:
            found.is_active = False
            _record("webhook_paused", found, actor)
    return found


def resume(workspace_id: int, subscription: int | str, *, actor: str) -> Subscription:
    """Tell it what happens from now on. Raises SubscriptionNotFound."""
    with writing():
        found = find(workspace_id, subscription)
        if not found.is_active:
            found.is_active, found.disabled_at, found.failing_since = True, None, None
            _record("webhook_resumed", found, actor)
    return found


def remove(workspace_id: int, subscription: int | str, *, actor: str) -> Subscription:
    """And all that waits for it. Raises SubscriptionNotFound."""
    with writing():
        found = find(workspace_id, subscription)
        db.session.execute(delete(Call).filter_by(subscription_id=found.id))
        db.session.delete(found)
        _record("webhook_removed", found, actor)
    return found


def rotate_secret(workspace_id: int, subscription: int | str, *, actor: str) -> tuple[Subscription, str]:
    """Another secret, not shown again; the old one signs beside it for a day. Raises SubscriptionNotFound."""
    secret = _new_secret()
    with writing():
        found = find(workspace_id, subscription)
        found.sealed_old_secret, found.old_secret_until = found.sealed_secret, clock.now() + OVERLAP
        found.sealed_secret = vault().seal(secret)
        _record("webhook_secret_rotated", found, actor)
    return found, secret


def test(workspace_id: int, subscription: int | str) -> Call:
    """Send it an event to try its receiver with. Raises SubscriptionNotFound, Paused."""
    with writing():
        found = find(workspace_id, subscription)
        if not found.is_active:
            raise Paused
        return tidings.test(found)


def checked_host(url: str) -> str:
    """The host of a URL that we may call. Raises BadUrl.

    A name is looked up for a quick answer only: each call looks anew, and connects to what it has checked.
    """
    import httpcore  # slow to load, and only needed when somebody types a URL

    from ..drivers import addresses
    from ..drivers.http import whole_url

    allowed = settings().webhook_allow_cidrs
    if len(url) > LONGEST_URL:
        raise BadUrl(_l("Use at most %(count)s characters.", count=LONGEST_URL), field="url")
    try:
        parts = whole_url(url)
    except ValueError as error:
        sentence = _l("Give a whole address, such as https://app.example.com/whatsapp, without user or “#”.")
        raise BadUrl(sentence, field="url") from error
    if parts.scheme != "https" and not allowed:
        raise BadUrl(_l("Use https://, since what is told holds messages."), field="url")
    try:
        found = addresses.look_up(parts.host, parts.port or 443, LOOK_UP_SECONDS)
    except (httpcore.ConnectError, httpcore.ConnectTimeout):
        found = []  # no name yet: the log of its calls will say so
    if any(addresses.is_forbidden(one, False, allowed) for one in found):
        raise BadUrl(
            _l("This leads to a private address. The operator can allow a network: WA_WEBHOOK_ALLOW_CIDRS."),
            field="url",
        )
    return parts.host[:255]


def _joined(events: Collection[str]) -> str:
    chosen = [kind for kind in tidings.KINDS if kind in events]
    if not chosen:
        raise NothingToHear
    return ",".join(chosen)


def _refuse_taken(workspace_id: int, name: str) -> None:
    if db.session.scalar(select(Subscription.id).filter_by(workspace_id=workspace_id, name=name)) is not None:
        raise NameTaken(name)


def _refuse_who_sees_a_part() -> None:
    if scope.is_limited():
        raise WholeWorkspace


def _record(kind: str, subscription: Subscription, actor: str) -> None:
    timeline.record(None, kind, workspace_id=subscription.workspace_id, actor=actor, name=subscription.name)


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
