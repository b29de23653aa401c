# mypy: disable-error-code="import-untyped"
"""What we use of neonize, imported the one way that works on every machine and leaves our log alone."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from types import ModuleType


def _provide_magic() -> None:
    """neonize imports python-magic, which needs a system library, to guess types that we give it anyway."""
    try:
        import magic  # noqa: F401
    except ImportError:
        stub = ModuleType("magic")
        stub.from_buffer = stub.from_file = lambda *args, **kwargs: "application/octet-stream"  # type: ignore[attr-defined]
        sys.modules["magic"] = stub


_provide_magic()
# importing neonize calls logging.basicConfig, which does nothing once the root logger has a handler
logging.getLogger().addHandler(logging.NullHandler())

from neonize import events  # noqa: E402
from neonize.client import NewClient  # noqa: E402
from neonize.exc import (  # noqa: E402
    DownloadError,
    GetGroupInfoError,
    IsOnWhatsAppError,
    NeonizeError,
    UploadError,
)
from neonize.proto.Neonize_pb2 import JID  # noqa: E402
from neonize.proto.waCompanionReg.WAWebProtobufsCompanionReg_pb2 import DeviceProps  # noqa: E402
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import (  # noqa: E402
    DocumentMessage,
    ImageMessage,
    Message,
)
from neonize.utils.enum import MediaType  # noqa: E402

__all__ = [
    "JID",
    "DeviceProps",
    "DocumentMessage",
    "DownloadError",
    "GetGroupInfoError",
    "ImageMessage",
    "IsOnWhatsAppError",
    "MediaType",
    "Message",
    "NeonizeError",
    "NewClient",
    "UploadError",
    "events",
    "require_start_environment",
]


def require_start_environment() -> None:
    """Go reads the environment the process was started with; what Python sets later never gets there.

    Raises RuntimeError unless that had NEONIZE_BOT_TAG=off.
    """
    try:
        at_start = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        at_start = [f"{name}={value}".encode() for name, value in os.environ.items()]
    if b"NEONIZE_BOT_TAG=off" not in at_start:
        raise RuntimeError(
            "NEONIZE_BOT_TAG=off must be in the environment: else messages are marked as from a bot"
        )
