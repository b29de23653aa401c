"""Tables, and the questions a row can answer about itself."""

from .alert import AlertChannel, Notice, NoticeStatus, Outage
from .audit import AuditEntry
from .chat import Bookmark, Chat, Contact, FileState, IncomingFile, Line
from .event import Event, Lease
from .gateway import Gateway
from .inbox import HookCall
from .link_pass import LinkPass
from .message import Attachment, DailyCount, Delivery, Message, MessageStatus, Outcome, Receipt
from .session import NEEDS_A_LINK, NEEDS_A_PERSON, Look, Reason, Status, WhatsAppSession
from .subscription import Call, CallStatus, Subscription, SwitchedOff
from .user import (
    ApiKey,
    Assignment,
    Invitation,
    KeySession,
    LoginAttempt,
    LoginSession,
    Membership,
    Passkey,
    RecoveryCode,
    Role,
    SetupToken,
    User,
)
from .workspace import Workspace

__all__ = [
    "NEEDS_A_LINK",
    "NEEDS_A_PERSON",
    "AlertChannel",
    "ApiKey",
    "Assignment",
    "Attachment",
    "AuditEntry",
    "Bookmark",
    "Call",
    "CallStatus",
    "Chat",
    "Contact",
    "DailyCount",
    "Delivery",
    "Event",
    "FileState",
    "Gateway",
    "HookCall",
    "IncomingFile",
    "Invitation",
    "KeySession",
    "Lease",
    "Line",
    "LinkPass",
    "LoginAttempt",
    "LoginSession",
    "Look",
    "Membership",
    "Message",
    "MessageStatus",
    "Notice",
    "NoticeStatus",
    "Outage",
    "Outcome",
    "Passkey",
    "Reason",
    "Receipt",
    "RecoveryCode",
    "Role",
    "SetupToken",
    "Status",
    "Subscription",
    "SwitchedOff",
    "User",
    "WhatsAppSession",
    "Workspace",
]
