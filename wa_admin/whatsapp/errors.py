"""The errors of the helper, one family."""

from __future__ import annotations

import math


class WhatsAppError(Exception):
    """What every helper raises: `code` is stable, `field` names the argument it is about, and `str()` says
    what to do.

        WhatsAppError               catch this one to catch them all
        ├── Refused                 understood, and turned down: mend the call
        │   ├── BadRecipient        not a number, a group id or a WhatsApp id
        │   ├── BadMessage          empty, too long, or a file that cannot be sent
        │   ├── UnknownSession      no session has that name, or several; the sentence lists them
        │   ├── SessionInactive     that session is switched off; likewise
        │   ├── NoSession           nothing to send from: no session was added yet
        │   └── KeyReused           the same `key` came before with another recipient or text
        ├── LinkFailed              the phone was not linked: nobody scanned in time, or WhatsApp refused
        └── PanelError              we could not get an answer from wa-admin
            ├── NotConfigured       WA_PANEL_URL or WA_API_KEY is missing or unusable
            ├── NotAllowed          the API key is wrong, revoked, or may not do that
            ├── PanelUnreachable    no connection; its `key` makes a later try of the same send safe
            ├── PanelBusy           too many requests, or the database is busy: later
            └── BadAnswer           what answers there is not wa-admin, or it failed
    """

    def __init__(self, sentence: str, *, code: str = "whatsapp_error", field: str | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.field = field


class Refused(WhatsAppError):
    pass


class BadRecipient(Refused):
    pass


class BadMessage(Refused):
    pass


class UnknownSession(Refused):
    pass


class SessionInactive(Refused):
    pass


class NoSession(Refused):
    pass


class KeyReused(Refused):
    pass


class LinkFailed(WhatsAppError):
    pass


class PanelError(WhatsAppError):
    pass


class NotConfigured(PanelError):
    pass


class NotAllowed(PanelError):
    pass


class PanelUnreachable(PanelError):
    """`key` is the idempotency key of the send that got no answer: sending again with it cannot double."""

    def __init__(self, sentence: str, *, key: str | None = None) -> None:
        super().__init__(sentence, code="panel_unreachable")
        self.key = key


class PanelBusy(PanelError):
    pass


class BadAnswer(PanelError):
    pass


def finite(seconds: float, field: str) -> None:
    """Raises Refused unless these are seconds: not-a-number and infinity would wait for ever."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise Refused("Give a number of seconds.", code="wrong_type", field=field)
    if not math.isfinite(seconds):
        raise Refused("Give a number of seconds that ends some day.", code="out_of_range", field=field)


def is_text(value: str, field: str, *, code: str = "wrong_type") -> None:
    """Raises Refused unless it is."""
    if not isinstance(value, str):
        raise Refused(f"Give the {field} as text.", code=code, field=field)


def refused(status: int, code: str, sentence: str, field: str | None = None) -> WhatsAppError:
    """The member of the family for a refusal of the panel, whichever way it came."""
    family = _BY_CODE.get(code) or _BY_STATUS.get(status) or _BY_FIELD.get(field or "", Refused)
    if family is Refused and status >= 500:
        family = PanelError
    return family(sentence, code=code, field=field)


_BY_CODE: dict[str, type[WhatsAppError]] = {
    "bad_number": BadRecipient,
    "number_missing": BadRecipient,
    "group_id": BadRecipient,
    "bad_group_id": BadRecipient,
    "session_not_found": UnknownSession,
    "session_ambiguous": UnknownSession,
    "session_inactive": SessionInactive,
    "no_session": NoSession,
    "idempotency_key_reused": KeyReused,
}
_BY_STATUS: dict[int, type[WhatsAppError]] = {
    401: NotAllowed,
    403: NotAllowed,
    429: PanelBusy,
    503: PanelBusy,
}
_BY_FIELD: dict[str, type[WhatsAppError]] = {
    "recipient": BadRecipient,
    "to": BadRecipient,
    "message": BadMessage,
    "text": BadMessage,
    "media": BadMessage,
}
