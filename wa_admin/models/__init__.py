"""Tables, and the questions a row can answer about itself."""

from .event import Event, Lease
from .gateway import Gateway
from .message import Attachment, DailyCount, Delivery, Message, MessageStatus, Outcome, Receipt
from .session import NEEDS_A_LINK, NEEDS_A_PERSON, Look, Reason, Status, WhatsAppSession
from .user import ApiKey, LoginAttempt, LoginSession, Role, SetupToken, User
from .workspace import Workspace

__all__ = [
    "NEEDS_A_LINK",
    "NEEDS_A_PERSON",
    "ApiKey",
    "Attachment",
    "DailyCount",
    "Delivery",
    "Event",
    "Gateway",
    "Lease",
    "LoginAttempt",
    "LoginSession",
    "Look",
    "Message",
    "MessageStatus",
    "Outcome",
    "Reason",
    "Receipt",
    "Role",
    "SetupToken",
    "Status",
    "User",
    "WhatsAppSession",
    "Workspace",
]
