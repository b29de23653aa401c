from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..extensions import Base
from .message import Attachment
from .session import WhatsAppSession
from .types import Key, Moment, PartialIndex, UtcDateTime, Word, one_of

GROUP = "@g.us"
LID = "@lid"
# what finds words in `chat_line.text`: a table of FTS5 and its shadows on SQLite, an index on PostgreSQL.
# No model of ours: the migration makes it, the database keeps it.
SEARCH = "chat_line_text"


class Contact(Base):
    """A person who writes to us. WhatsApp names them by number, by LID or by both; one is never the other."""

    __tablename__ = "contact"
    __table_args__ = (
        UniqueConstraint("workspace_id", "phone", name="uq_contact_phone"),
        UniqueConstraint("workspace_id", "lid", name="uq_contact_lid"),
    )

    id: Mapped[Key]
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    phone: Mapped[str | None] = mapped_column(String(20))  # E.164 digits
    lid: Mapped[str | None] = mapped_column(String(64))  # …@lid
    name: Mapped[str] = mapped_column(String(120), default="")  # what they call themselves
    created_at: Mapped[Moment]


class Chat(Base):
    """What one of our numbers and a person or a group write to each other.

    `address` is what a message to it has as recipient: digits, …@g.us or …@lid. The last line and the number
    of unread ones are kept here, so that a list reads no lines. `rev` rises with all that a list shows.
    """

    __tablename__ = "chat"
    __table_args__ = (
        UniqueConstraint("session_id", "address", name="uq_chat"),
        Index("ix_chat_list", "workspace_id", "last_at", "id"),
        PartialIndex("ix_chat_unread", "workspace_id", "last_at", "id", where="unread_count > 0"),
        PartialIndex("ix_chat_nameless", "id", where="contact_id IS NULL AND name = ''"),
    )

    id: Mapped[Key]
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    session_id: Mapped[int | None] = mapped_column(ForeignKey("whatsapp_session.id", ondelete="SET NULL"))
    session_name: Mapped[str] = mapped_column(String(80))  # kept when the session is gone
    address: Mapped[str] = mapped_column(String(128))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contact.id"), index=True)  # None: a group
    name: Mapped[str] = mapped_column(String(120), default="")  # of a group
    name_asked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # by the scheduler, of its gateway
    unread_count: Mapped[int] = mapped_column(default=0)
    last_text: Mapped[str] = mapped_column(String(200), default="")
    last_kind: Mapped[str] = mapped_column(String(20), default="text")
    last_from_me: Mapped[bool] = mapped_column(default=False)
    last_at: Mapped[Moment]
    created_at: Mapped[Moment]
    rev: Mapped[int] = mapped_column(default=1)

    session: Mapped[WhatsAppSession | None] = relationship()
    contact: Mapped[Contact | None] = relationship()

    @property
    def is_group(self) -> bool:
        return self.address.endswith(GROUP)

    @property
    def phone(self) -> str | None:
        """The number of the person; None for a group, and while WhatsApp tells only a LID."""
        return self.address if self.address.isdecimal() else None


class Line(Base):
    """What came in, or was written on the phone itself. What we send is a `Message`."""

    __tablename__ = "chat_line"
    __table_args__ = (
        # a gateway may tell twice; one that names no message leaves the id out
        UniqueConstraint("session_id", "provider_id", name="uq_chat_line"),
        Index("ix_chat_line", "chat_id", "id"),
    )

    id: Mapped[Key]
    chat_id: Mapped[int] = mapped_column(ForeignKey("chat.id", ondelete="CASCADE"))
    session_id: Mapped[int | None] = mapped_column(ForeignKey("whatsapp_session.id", ondelete="SET NULL"))
    provider_id: Mapped[str | None] = mapped_column(String(128))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contact.id"), index=True)  # who, in a group
    from_me: Mapped[bool] = mapped_column(default=False)
    kind: Mapped[str] = mapped_column(String(20), default="text")
    text: Mapped[str] = mapped_column(Text, default="")
    quoted: Mapped[str] = mapped_column(String(300), default="")  # the beginning of what it answers
    at: Mapped[Moment]

    contact: Mapped[Contact | None] = relationship()
    file: Mapped[IncomingFile | None] = relationship(back_populates="line")


class FileState(StrEnum):
    WAITING = "waiting"  # to be fetched from the gateway
    KEPT = "kept"
    TOO_LARGE = "too_large"
    REFUSED = "refused"  # of a type that a browser would run
    FAILED = "failed"  # the gateway does not give it
    DROPPED = "dropped"  # its time is over


class IncomingFile(Base):
    """The file of a line, and how far the fetching of it has come. `source` is the driver's own affair."""

    __tablename__ = "incoming_file"
    __table_args__ = (
        UniqueConstraint("line_id", name="uq_incoming_file"),
        CheckConstraint(one_of("state", FileState), name="ck_incoming_file_state"),
        PartialIndex("ix_incoming_file_due", "next_at", "id", where="state = 'waiting'"),
    )

    id: Mapped[Key]
    line_id: Mapped[int] = mapped_column(ForeignKey("chat_line.id", ondelete="CASCADE"))
    session_id: Mapped[int | None] = mapped_column(ForeignKey("whatsapp_session.id", ondelete="SET NULL"))
    state: Mapped[FileState] = mapped_column(Word(FileState), default=FileState.WAITING)
    filename: Mapped[str] = mapped_column(String(120))
    mimetype: Mapped[str] = mapped_column(String(120))  # as told; once kept, as read from its bytes
    size_bytes: Mapped[int | None]
    source: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    attachment_id: Mapped[int | None] = mapped_column(ForeignKey("attachment.id"), index=True)
    tries: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[Moment]

    line: Mapped[Line] = relationship(back_populates="file")
    attachment: Mapped[Attachment | None] = relationship()


class Bookmark(Base):
    """How far a duty has come that goes through a table in stretches."""

    __tablename__ = "bookmark"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    position: Mapped[int] = mapped_column(default=0)
