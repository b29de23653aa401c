"""Every code that a call can be refused with: its status, and what it means."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l


class Known(NamedTuple):
    status: int
    meaning: Any


CATALOGUE: dict[str, Known] = {
    # the call itself
    "bad_request": Known(400, _l("The request cannot be read.")),
    "bad_json": Known(400, _l("The body is not valid JSON.")),
    "duplicate_name": Known(400, _l("A name is given twice.")),
    "missing": Known(400, _l("A field that is needed is not there.")),
    "unknown_field": Known(400, _l("There is no such field.")),
    "wrong_type": Known(400, _l("A value has the wrong type.")),
    "empty": Known(400, _l("A value is empty.")),
    "too_long": Known(400, _l("A value is too long.")),
    "bad_characters": Known(400, _l("A value holds control characters.")),
    "out_of_range": Known(400, _l("A number is too small or too large.")),
    "not_a_choice": Known(400, _l("A value is none of those that can be used.")),
    "bad_base64": Known(400, _l("A file is not base64.")),
    "key_bad": Known(400, _l("The Idempotency-Key is empty, too long or not printable ASCII.")),
    "unauthorized": Known(401, _l("There is no API key, or it is unknown, revoked or expired.")),
    "csrf": Known(400, _l("A call with a cookie lacks the header X-CSRFToken.")),
    "cross_site": Known(403, _l("A call with a cookie comes from another site.")),
    "forbidden": Known(403, _l("This account, or this API key by its scopes, may not do that.")),
    "proof_needed": Known(403, _l("A call with a cookie, and the password was typed too long ago.")),
    "second_factor_needed": Known(403, _l("A call with a cookie of somebody who lacks a second factor.")),
    "changed_meanwhile": Known(409, _l("Somebody else changed it at the same time: look again.")),
    "wrong_host": Known(400, _l("The panel does not go by the name in the address.")),
    "not_found": Known(404, _l("There is nothing at this address.")),
    "method_not_allowed": Known(405, _l("The address does not take this method.")),
    "too_large": Known(413, _l("The request is too large.")),
    "unsupported_media_type": Known(415, _l("The body is not sent as application/json.")),
    "too_many_requests": Known(429, _l("Too many requests: Retry-After says how many seconds to wait.")),
    "server_error": Known(500, _l("It failed here; the log tells more.")),
    "database_busy": Known(503, _l("The database is busy and nothing was stored: try again.")),
    "storage_full": Known(503, _l("No room is left on the disk and nothing was stored.")),
    "storage_read_only": Known(503, _l("The database can only be read and nothing was stored.")),
    # sessions
    "session_not_found": Known(404, _l("No session has this id; the sentence lists the names there are.")),
    "session_ambiguous": Known(
        409, _l("It is the number, session_id or name of more than one session; the sentence lists them.")
    ),
    "no_session": Known(409, _l("There is no session to send from yet.")),
    "session_inactive": Known(409, _l("The session is switched off.")),
    "spread_off": Known(409, _l("“auto” is switched off.")),
    "session_limit": Known(409, _l("The panel has as many sessions as WA_MAX_SESSIONS allows.")),
    "name_taken": Known(409, _l("Another session has this name.")),
    "name_bad": Known(400, _l("The name holds characters that cannot be shown.")),
    "session_id_taken": Known(409, _l("Another session has this session_id.")),
    "session_id_bad": Known(400, _l("A session_id has 1 to 64 small letters, digits, “-” and “_”.")),
    "session_id_fixed": Known(400, _l("The session_id is fixed once a phone was linked.")),
    "already_connected": Known(409, _l("The session is connected: unlink it first.")),
    "not_connected": Known(409, _l("The session is not connected.")),
    "default_session": Known(409, _l("It is the default session.")),
    "no_passkey_asked": Known(409, _l("WhatsApp asks for no passkey now.")),
    "passkey_refused": Known(409, _l("WhatsApp did not take what the passkey signed, or the code.")),
    "bad_assertion": Known(400, _l("This is not what a passkey answers.")),
    "no_code": Known(409, _l("No code waits for the phone.")),
    "no_gateway": Known(503, _l("No gateway is set up yet.")),
    "unknown_gateway": Known(400, _l("There is no gateway of this name.")),
    "unsupported": Known(501, _l("This gateway or version cannot do that.")),
    "gateway_error": Known(502, _l("The gateway could not do it.")),
    "not_on_whatsapp": Known(409, _l("The number is not on WhatsApp.")),
    "gateway_unreachable": Known(503, _l("The gateway does not answer.")),
    "gateway_not_trusted": Known(503, _l("The gateway's certificate is not trusted.")),
    "gateway_address": Known(503, _l("The gateway's name leads to an address that is not allowed.")),
    "gateway_timeout": Known(504, _l("The gateway did not answer in time.")),
    "gateway_bad_answer": Known(502, _l("The gateway answered nonsense.")),
    "outcome_unknown": Known(502, _l("The gateway lost track of it: it may have been done.")),
    "gateway_unlicensed": Known(409, _l("The gateway serves nobody until its licence is in order.")),
    "gateway_auth": Known(409, _l("The gateway refuses our key.")),
    "gateway_not_found": Known(409, _l("The gateway does not know the session.")),
    "rate_limited": Known(503, _l("The gateway wants to be asked less often.")),
    "rejected": Known(409, _l("The gateway or WhatsApp refuses this.")),
    "file_too_large": Known(409, _l("The file is too large.")),
    # webhooks
    "webhook_not_found": Known(404, _l("There is no such webhook.")),
    "webhook_name_taken": Known(409, _l("Another webhook has this name.")),
    "webhook_limit": Known(409, _l("There are as many webhooks as there may be.")),
    "webhook_paused": Known(409, _l("The webhook is paused or was switched off.")),
    "call_not_found": Known(404, _l("The webhook has no such call.")),
    "url_bad": Known(400, _l("The address cannot be called.")),
    "unfit_text": Known(422, _l("A text cannot be used: the sentence says why.")),
    # messages
    "bad_number": Known(400, _l("This is no phone number.")),
    "number_missing": Known(400, _l("There is no phone number.")),
    "group_id": Known(400, _l("A person's number is needed, and this is a group.")),
    "bad_group_id": Known(400, _l("This is no group id.")),
    "chat_not_found": Known(404, _l("There is no such chat.")),
    "bad_cursor": Known(400, _l("The cursor is none that an answer gave.")),
    "message_not_found": Known(404, _l("There is no such message.")),
    "message_missing": Known(400, _l("There is neither a text nor a file.")),
    "message_too_long": Known(400, _l("The text is too long.")),
    "idempotency_key_reused": Known(409, _l("This key was used for a different message.")),
    "wrong_state": Known(409, _l("The message is in a state that does not allow it.")),
    "media_empty": Known(400, _l("The file is empty.")),
    "media_too_large": Known(400, _l("The file is too large.")),
    "media_refused": Known(400, _l("Files of this type cannot be sent.")),
    "media_not_image": Known(400, _l("The file is no picture.")),
}

# what any call can be refused with
ALWAYS = (
    "bad_request", "wrong_host", "missing", "unknown_field", "wrong_type", "empty", "too_long",
    "bad_characters", "out_of_range", "not_a_choice", "duplicate_name", "unauthorized", "forbidden", "csrf",
    "cross_site", "proof_needed", "second_factor_needed", "too_many_requests", "changed_meanwhile",
    "server_error", "database_busy", "storage_full", "storage_read_only",
)  # fmt: skip
WITH_BODY = ("bad_json", "too_large", "unsupported_media_type")
# what a call that reaches for the gateway can be refused with
GATEWAY = (
    "gateway_unreachable", "gateway_not_trusted", "gateway_address", "gateway_timeout", "gateway_auth",
    "gateway_unlicensed", "gateway_bad_answer", "gateway_not_found", "outcome_unknown", "not_connected",
    "rate_limited", "rejected", "unsupported",
)  # fmt: skip
