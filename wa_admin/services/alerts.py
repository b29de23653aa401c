"""Where a workspace is told of trouble: channels, each one address in apprise's form, kept sealed."""

from __future__ import annotations

from dataclasses import dataclass

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from .. import clock, plain, teller
from ..app import vault
from ..extensions import db, writing
from ..models import AlertChannel, Notice, NoticeStatus, Outage
from ..refusal import Refusal
from ..teller import Errand, Outcome
from . import alert_texts, notices, timeline
from .alert_urls import BadAddress

LONGEST_NAME = 80
MOST_CHANNELS = 20

SENTENCES = {
    teller.TOLD: _l("It arrived."),
    teller.UNREADABLE: _l("This is no address that alerts can be sent to."),
    teller.NOT_ALLOWED: _l(
        "It leads to a private address, which is not allowed. Allow it for this channel if it is yours."
    ),
    teller.LATE: _l("There was no answer in time."),
    teller.UNREACHABLE: _l("It could not be reached. Check the address, and that this machine is online."),
    teller.REJECTED: _l("It was refused. Check the address, the user and the password or token."),
    teller.FAILED: _l("It could not be sent. Check the address and try the test again."),
}
KINDS = {
    "mailto": _l("E-mail"), "tgram": "Telegram", "slack": "Slack", "json": _l("Webhook"),
    "discord": "Discord", "ntfy": "ntfy",
}  # fmt: skip
_PLAIN_KIND = {"mailtos": "mailto", "jsons": "json", "ntfys": "ntfy", "https": "json", "http": "json"}


class ChannelNotFound(Refusal):
    code = "alert_channel_not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__(_l("There is no such alert channel."))


class TooManyChannels(Refusal):
    code = "too_many_channels"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("There are %(count)s channels already. Remove one first.", count=MOST_CHANNELS))


@dataclass(frozen=True)
class Manner:
    """How a channel wants to be told; minutes after midnight in its own zone."""

    language: str | None = None
    time_zone: str | None = None
    quiet_from: int | None = None
    quiet_until: int | None = None
    allow_private: bool = False


@dataclass(frozen=True)
class Told:
    """One line of what was told lately."""

    notice: Notice
    channel: AlertChannel
    outage: Outage


def add(workspace_id: int, name: str, url: str, manner: Manner, *, actor: str) -> AlertChannel:
    """A new channel. Raises UnfitText, BadAddress, TooManyChannels."""
    name = plain.line(name, LONGEST_NAME, field="name")
    kind = _kind(url)
    with writing():
        count = select(func.count()).select_from(AlertChannel).filter_by(workspace_id=workspace_id)
        if (db.session.scalar(count) or 0) >= MOST_CHANNELS:
            raise TooManyChannels
        channel = AlertChannel(
            workspace_id=workspace_id,
            name=name,
            kind=kind,
            sealed_url=vault().seal(url),
            created_at=clock.now(),
            **vars(manner),
        )
        db.session.add(channel)
        _say(channel, "channel_added", actor)
    return channel


def edit(workspace_id: int, id: int, name: str, manner: Manner, url: str = "", *, actor: str) -> AlertChannel:
    """Change a channel; its address stays where `url` is empty. Raises ChannelNotFound and as `add`."""
    name = plain.line(name, LONGEST_NAME, field="name")
    kind = _kind(url) if url else ""
    with writing():
        channel = find(workspace_id, id)
        channel.name = name
        for field, value in vars(manner).items():
            setattr(channel, field, value)
        if url:
            channel.kind, channel.sealed_url, channel.last_error = kind, vault().seal(url), None
        _say(channel, "channel_edited", actor)
    return channel


def pause(workspace_id: int, id: int, *, actor: str) -> AlertChannel:
    """Tell it nothing until it is resumed; what waits for it is dropped. Raises ChannelNotFound."""
    with writing():
        channel = find(workspace_id, id)
        channel.is_active = False
        notices.forget(channel.id)
        _say(channel, "channel_paused", actor)
    return channel


def resume(workspace_id: int, id: int, *, actor: str) -> AlertChannel:
    """Tell it what happens from now on. Raises ChannelNotFound."""
    with writing():
        channel = find(workspace_id, id)
        channel.is_active = True
        _say(channel, "channel_resumed", actor)
    return channel


def remove(workspace_id: int, id: int, *, actor: str) -> AlertChannel:
    """Raises ChannelNotFound."""
    with writing():
        channel = find(workspace_id, id)
        db.session.delete(channel)
        _say(channel, "channel_removed", actor)
    return channel


def test(workspace_id: int, id: int) -> Outcome:
    """Send it a word right now, whatever the hour, and wait for what comes of it. Raises ChannelNotFound."""
    channel = find(workspace_id, id)
    with alert_texts.written_for(channel):
        text = alert_texts.test()
    url = vault().open(channel.sealed_url)
    outcome = teller.run(Errand(url, text.title, text.body, allow_private=channel.allow_private))
    with writing():
        notices.note(db.session.get(AlertChannel, id), outcome)
    return outcome


def find(workspace_id: int, key: int | str) -> AlertChannel:
    """The channel with this number or name. Raises ChannelNotFound."""
    named = {"id": key} if isinstance(key, int) else {"name": key}
    query = select(AlertChannel).filter_by(workspace_id=workspace_id, **named).order_by(AlertChannel.id)
    found = db.session.scalars(query.limit(1)).first()
    if found is None:
        raise ChannelNotFound
    return found


def listed(workspace_id: int) -> list[AlertChannel]:
    """The oldest first."""
    query = select(AlertChannel).filter_by(workspace_id=workspace_id).order_by(AlertChannel.id)
    return list(db.session.scalars(query))


def latest(workspace_id: int, limit: int = 10) -> list[Told]:
    """What was told lately or still waits to be, the newest first."""
    query = (
        select(Notice, AlertChannel, Outage)
        .join(AlertChannel, AlertChannel.id == Notice.channel_id)
        .join(Outage, Outage.id == Notice.outage_id)
        .where(AlertChannel.workspace_id == workspace_id, Notice.status != NoticeStatus.NEEDLESS)
        .order_by(Notice.id.desc())
        .limit(limit)
    )
    return [Told(*row) for row in db.session.execute(query)]


def last_four(channel: AlertChannel) -> str:
    """All of its address that is ever shown."""
    return vault().open(channel.sealed_url).rstrip("/").partition("?")[0][-4:]


def sentence(code: str | None) -> str:
    """What came of an attempt, in words; nothing for none."""
    if not code:
        return ""
    word, _colon, status = code.partition(":")
    told = str(SENTENCES.get(word, SENTENCES[teller.FAILED]))
    return f"{told} ({status})" if status else told


def kind_word(kind: str) -> str:
    return str(KINDS.get(kind, kind))


def _kind(url: str) -> str:
    """What the address is for, as apprise reads it; nothing is sent. Raises BadAddress."""
    outcome = teller.run(Errand(url))
    if not outcome.is_told:
        raise BadAddress
    return _PLAIN_KIND.get(outcome.kind, outcome.kind)[:32]


def _say(channel: AlertChannel, kind: str, actor: str) -> None:
    timeline.record(None, kind, workspace_id=channel.workspace_id, actor=actor, name=channel.name)
