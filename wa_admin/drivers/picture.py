"""QR codes that a gateway hands out as a picture."""

from __future__ import annotations

from .contract import BadAnswer

MAX_BYTES = 512 * 1024


def mimetype(content: bytes) -> str | None:
    """What the first bytes say; None for anything but PNG, JPEG, GIF and WEBP. SVG can hold a script."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return None


def checked(content: bytes) -> bytes:
    """The same bytes. Raises BadAnswer when they are no picture or too many."""
    if len(content) > MAX_BYTES or mimetype(content) is None:
        raise BadAnswer("what came is not a QR image")
    return content
