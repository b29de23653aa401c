"""What goes out through neonize: to whom, and a text, an image or a document."""

from __future__ import annotations

import io
import re
from typing import Any

from PIL import Image  # comes with neonize

from wa_admin.gateway.engines.contract import EngineError
from wa_admin.gateway.engines.neonize_library import (
    JID,
    DocumentMessage,
    ImageMessage,
    MediaType,
    Message,
    NewClient,
    UploadError,
)
from wa_admin.gateway.engines.neonize_texts import upload_failure

THUMBNAIL_PIXELS = 100


def recipient(to: str) -> JID:
    """Digits are a phone number. A JID keeps its server; a device part has no place in a recipient.

    Raises EngineError.
    """
    found = re.fullmatch(r"([0-9]{5,20})|([0-9-]{5,40})@(s\.whatsapp\.net|lid|g\.us)", to)
    if not found:
        raise EngineError("bad_request", "the recipient is neither a number nor the id of a chat")
    user, server = found[1] or found[2], found[3] or "s.whatsapp.net"
    return JID(User=user, Server=server, Device=0, RawAgent=0, Integrator=0, IsEmpty=False)


def text(content: str) -> Message:
    """A str would go out as extendedTextMessage, with each @12345 in it a mention. Raises EngineError."""
    return _build(Message, conversation=content)


def image(client: NewClient, data: bytes, mimetype: str, caption: str | None) -> Message:
    """Uploads it. Raises EngineError."""
    look = _look_of(data)
    uploaded = _upload(client, data, MediaType.MediaImage)
    return Message(imageMessage=_build(ImageMessage, mimetype=mimetype, caption=caption, **look, **uploaded))


def document(
    client: NewClient, data: bytes, mimetype: str, filename: str | None, caption: str | None
) -> Message:
    """Uploads it. Raises EngineError."""
    named = {"mimetype": mimetype, "caption": caption, "fileName": filename, "title": filename}
    uploaded = _upload(client, data, MediaType.MediaDocument)
    return Message(documentMessage=_build(DocumentMessage, **named, **uploaded))


def _build(message: Any, **content: Any) -> Any:
    try:
        return message(**content)
    except UnicodeEncodeError:
        raise EngineError("bad_request", "the text is not valid Unicode") from None


def _look_of(data: bytes) -> dict[str, Any]:
    """Size and thumbnail of an image, which phones show until it is downloaded."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            image.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
            thumbnail = io.BytesIO()
            image.convert("RGB").save(thumbnail, format="JPEG")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise EngineError("bad_request", "this is not an image that can be read") from None
    return {"width": width, "height": height, "JPEGThumbnail": thumbnail.getvalue()}


def _upload(client: NewClient, data: bytes, kind: MediaType) -> dict[str, Any]:
    try:
        uploaded = client.upload(data, kind)
    except UploadError as error:
        raise upload_failure(str(error)) from None
    return {
        "URL": uploaded.url,
        "directPath": uploaded.DirectPath,
        "mediaKey": uploaded.MediaKey,
        "fileEncSHA256": uploaded.FileEncSHA256,
        "fileSHA256": uploaded.FileSHA256,
        "fileLength": uploaded.FileLength,
    }
