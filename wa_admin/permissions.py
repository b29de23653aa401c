"""What each role may do: the one table that pages, API and tests read."""

from __future__ import annotations

from enum import StrEnum

from .models import Role


class Permission(StrEnum):
    LOOK = "look"  # status, messages, chats, activity
    SEND = "send"  # write messages, answer chats and mark them read, and decide about uncertain ones
    PAUSE = "pause"  # hold the sending of a session
    LINK = "link"  # codes, going online and offline, unlinking
    MANAGE = "manage"  # sessions, people, keys, alerts, webhooks of the workspace
    OWN = "own"  # gateways and workspaces: an owner's, whatever the role


GRANTS: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(
        {Permission.LOOK, Permission.SEND, Permission.PAUSE, Permission.LINK, Permission.MANAGE}
    ),
    Role.SUPERVISOR: frozenset({Permission.LOOK, Permission.PAUSE}),
    Role.OPERATOR: frozenset({Permission.LOOK, Permission.SEND}),
}


def holders(permission: Permission) -> list[Role]:
    """The roles that have it, the mightiest first."""
    return [role for role, granted in GRANTS.items() if permission in granted]


# what an app's key can be given
KEY_SCOPES = (Permission.LOOK, Permission.SEND, Permission.LINK, Permission.MANAGE)
