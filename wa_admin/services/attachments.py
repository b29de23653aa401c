"""Files to send: what they are is read from their bytes, not believed from their name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from flask_babel import lazy_gettext as _l

from ..models import Attachment
from ..refusal import Refusal

LARGEST_BYTES = 16 * 1024 * 1024
# what WhatsApp shows as a picture; anything else goes as a document
IMAGES = ("image/jpeg", "image/png", "image/webp")
# a page or script that a browser would run is no document to hand around, nor is a program
PROGRAM = "application/x-executable"
REFUSED = ("image/svg+xml", "text/html", "application/xhtml+xml", PROGRAM)
# of Windows, of Linux, of macOS (the last one for two kinds of processors)
PROGRAMS = (b"MZ", b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")


@dataclass(frozen=True)
class NewAttachment:
    """`kind` is image or document."""

    kind: str
    filename: str
    mimetype: str
    content: bytes = field(repr=False)

    @classmethod
    def read(cls, content: bytes, filename: str, kind: str | None = None) -> NewAttachment:
        """Look at the bytes and decide. Raises Refusal about the field `media`."""
        if not content:
            raise Refusal(_l("The file is empty."), code="media_empty", field="media")
        if len(content) > LARGEST_BYTES:
            raise Refusal(_l("A file may have 16 MB at most."), code="media_too_large", field="media")
        mimetype = mimetype_of(content)
        if mimetype in REFUSED:
            raise Refusal(_l("Files of this type cannot be sent."), code="media_refused", field="media")
        if kind == "image" and mimetype not in IMAGES:
            raise Refusal(
                _l("This is no JPEG, PNG or WebP picture. Send it as a document."),
                code="media_not_image",
                field="media",
            )
        chosen = kind or ("image" if mimetype in IMAGES else "document")
        return cls(chosen, plain_name(filename, chosen), mimetype, content)

    @classmethod
    def copy_of(cls, stored: Attachment) -> NewAttachment:
        """Raises Refusal when its bytes were dropped already."""
        if not stored.content:
            raise Refusal(
                _l("The file is no longer kept. Attach it again."), code="media_gone", field="media"
            )
        return cls(stored.kind, stored.filename, stored.mimetype, stored.content)

    def columns(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "filename": self.filename,
            "mimetype": self.mimetype,
            "size_bytes": len(self.content),
            "content": self.content,
        }


def mimetype_of(content: bytes) -> str:
    """What the bytes are, whatever they are called; `application/octet-stream` when nobody can tell."""
    head = content[:512].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html", b"<script")):
        return "text/html"
    if b"<svg" in head:
        return "image/svg+xml"
    if content.startswith(PROGRAMS) and not _is_text(content):
        return PROGRAM
    import puremagic  # reads its tables when loaded, and few messages have a file

    try:
        return puremagic.from_string(content, mime=True) or "application/octet-stream"
    except puremagic.PureError:
        return "text/plain" if _is_text(content) else "application/octet-stream"


def _is_text(content: bytes) -> bool:
    try:
        content[:4096].decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in content[:4096]


def plain_name(filename: str, kind: str) -> str:
    """A name without a path and without what a file system or a header stumbles over."""
    name = PurePath(filename.replace("\\", "/")).name
    name = re.sub(r"[\x00-\x1f\x7f<>:\"|?*]", "", name).strip(". ")
    return name[-120:] or kind
