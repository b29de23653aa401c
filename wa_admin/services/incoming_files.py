"""Files that people send: fetched from the gateway after their message is kept, looked at, and handed out.

waiting ─> kept              (its bytes say what it is; then it is dropped after some days: `retention`)
   └─> too_large, refused, failed    (the phone has it)

A link to a file is signed and works for some minutes, for whoever holds it.
"""

from __future__ import annotations

import hashlib
import logging
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import current_app
from flask_babel import lazy_gettext as _l
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy import select
from sqlalchemy.orm import undefer

from .. import clock
from ..app import settings
from ..drivers.contract import Downloaded, FileSeen, GatewayError, TooLarge
from ..extensions import db, writing
from ..models import Attachment, Chat, FileState, Gateway, IncomingFile, Line, WhatsAppSession
from ..refusal import Refusal
from . import gateways, last_lines
from .attachments import IMAGES, REFUSED, mimetype_of, plain_name

TRIES = 5
FIRST_RETRY_SECONDS = 10.0
LEASE = timedelta(minutes=2)  # longer than any download may take
LINK_LASTS_SECONDS = 15 * 60
SHOWN = (*IMAGES, "image/gif")  # what a browser may draw: pictures of dots, which cannot hold a script

_log = logging.getLogger(__name__)


class FileNotThere(Refusal):
    code = "file_not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__(_l("There is no such file, or its link has run out. Open the chat again."))


def note(line: Line, seen: FileSeen, now: datetime) -> None:
    """A message came with a file; inside the caller's transaction. Bytes that came along are kept at once."""
    file = db.session.scalar(select(IncomingFile).filter_by(line_id=line.id))
    if file is None:
        file = IncomingFile(
            line_id=line.id,
            session_id=line.session_id,
            filename=_name(seen.filename, seen.mimetype, line.kind),
            mimetype=seen.mimetype[:120],
            size_bytes=seen.size_bytes,
            source=dict(seen.source),
            state=FileState.WAITING if seen.source else FileState.FAILED,
            next_at=now if seen.source else None,
            created_at=now,
        )
        db.session.add(file)
    if file.state in (FileState.KEPT, FileState.DROPPED):
        return
    if seen.content is not None:
        _keep(file, Downloaded(seen.content, seen.filename), now)
    elif file.state == FileState.WAITING and (seen.size_bytes or 0) > most_bytes():
        file.state = FileState.TOO_LARGE
    db.session.flush()


def fetch(now: datetime | None = None) -> int:
    """Fetch what is due, one file after the other; how many were tried."""
    tried = 0
    while (wanted := _claim(now or clock.now())) is not None:
        tried += 1
        if wanted.tries > TRIES:  # they ended with the process, or with a fault of ours
            _record_failure(wanted, GatewayError(), now or clock.now())
            continue
        try:
            found = _download(wanted)
        except GatewayError as error:
            _record_failure(wanted, error, now or clock.now())
        else:
            _record(wanted, found, now or clock.now())
    return tried


def most_bytes() -> int:
    return settings().media_max_mb * 1024 * 1024


# --- handing out ---------------------------------------------------------------------------------


def pass_for(workspace_id: int, chat_id: int, id: int) -> str:
    """What opens a file of this chat for some minutes. Raises FileNotThere."""
    query = (
        select(IncomingFile.id)
        .join(Line, Line.id == IncomingFile.line_id)
        .join(Chat, Chat.id == Line.chat_id)
        .where(Chat.workspace_id == workspace_id, Chat.id == chat_id, IncomingFile.id == id)
        .where(IncomingFile.state == FileState.KEPT)
    )
    if db.session.scalar(query) is None:
        raise FileNotThere
    return pass_to(id)


def pass_to(id: int) -> str:
    return _signer().dumps(id)


def opened(token: str) -> tuple[Attachment, bool]:
    """The file that a link is for, and whether a browser may draw it. Raises FileNotThere."""
    try:
        id = _signer().loads(token, max_age=LINK_LASTS_SECONDS)
    except BadSignature as error:
        raise FileNotThere from error
    query = select(Attachment).join(IncomingFile, IncomingFile.attachment_id == Attachment.id)
    query = query.where(IncomingFile.id == id).options(undefer(Attachment.content))
    found = db.session.scalar(query)
    if found is None:
        raise FileNotThere
    return found, found.mimetype in SHOWN


def _signer() -> URLSafeTimedSerializer:
    """Its signatures are long enough for `log` to take them for the secrets that they are."""
    more = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="incoming-file", signer_kwargs=more)


# --- steps of fetching ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    file_id: int
    gateway_id: int
    instance: str
    source: Mapping[str, str]
    tries: int


def _claim(now: datetime) -> Wanted | None:
    """The file that is due the longest; its try is on disk before the gateway is asked."""
    due = (
        select(IncomingFile, WhatsAppSession.gateway_id, WhatsAppSession.instance)
        .join(WhatsAppSession, WhatsAppSession.id == IncomingFile.session_id)
        .where(IncomingFile.state == FileState.WAITING, IncomingFile.next_at <= now)
        .order_by(IncomingFile.next_at, IncomingFile.id)
        .limit(1)
        .with_for_update(of=IncomingFile, skip_locked=True)  # SQLite has one writer at a time anyway
    )
    with writing():
        row = db.session.execute(due).first()
        if row is None:
            return None
        file, gateway_id, instance = row
        file.tries += 1
        file.next_at = now + LEASE
        return Wanted(file.id, gateway_id, instance, dict(file.source), file.tries)


def _download(wanted: Wanted) -> Downloaded:
    driver = gateways.driver(db.session.get_one(Gateway, wanted.gateway_id))
    db.session.rollback()  # no transaction stays open while HTTP is under way
    return driver.download(wanted.instance, wanted.source, most_bytes())


def _record(wanted: Wanted, found: Downloaded, now: datetime) -> None:
    with writing():
        file = db.session.get(IncomingFile, wanted.file_id)
        if file is not None and file.state == FileState.WAITING:
            _keep(file, found, now)
            _tell(file)


def _record_failure(wanted: Wanted, error: GatewayError, now: datetime) -> None:
    with writing():
        file = db.session.get(IncomingFile, wanted.file_id)
        if file is None or file.state != FileState.WAITING:
            return
        if isinstance(error, TooLarge):
            file.state = FileState.TOO_LARGE
        elif error.permanent or file.tries >= TRIES:
            _log.warning("file %s could not be fetched: %s", file.id, error.code)
            file.state = FileState.FAILED
        else:
            file.next_at = now + timedelta(seconds=FIRST_RETRY_SECONDS * 3 ** (file.tries - 1))
            return
        _tell(file)


def _keep(file: IncomingFile, found: Downloaded, now: datetime) -> None:
    """What it is, its bytes say; what a browser would run is not kept."""
    mimetype = mimetype_of(found.content)
    if len(found.content) > most_bytes():
        file.state = FileState.TOO_LARGE
    elif mimetype in REFUSED:
        file.state = FileState.REFUSED
    else:
        if found.filename and not file.filename:
            file.filename = plain_name(found.filename, "file")
        attachment = Attachment(
            kind="image" if mimetype in SHOWN else "document",
            filename=file.filename,
            mimetype=mimetype[:120],
            size_bytes=len(found.content),
            content=found.content,
            created_at=now,
        )
        db.session.add(attachment)
        db.session.flush()
        file.state, file.attachment_id = FileState.KEPT, attachment.id
        file.mimetype, file.size_bytes = mimetype[:120], len(found.content)


def _tell(file: IncomingFile) -> None:
    """Whoever looks at the chat sees it with the next poll."""
    last_lines.changed(db.session.scalars(select(Line.chat_id).filter_by(id=file.line_id)).one())


def _name(filename: str | None, mimetype: str, kind: str) -> str:
    """The sender's name for it, made harmless; or what it is."""
    if filename:
        return plain_name(filename, kind)
    ending = mimetypes.guess_extension(mimetype.partition(";")[0].strip()) or ""
    return f"{kind}{ending}"[-120:]
