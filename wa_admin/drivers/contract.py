"""What every driver offers, and what it may answer.

A driver translates, both ways, and nothing else: our words to one gateway's HTTP, its answers and
webhooks to ours. It knows no database and no Flask. Everything that can go wrong leaves as one of

    GatewayError
    ├── Unreachable       it never left: no connection, no name
    │   ├── NotTrusted        its certificate is not one that we trust
    │   └── ForbiddenAddress  its name leads to an address where it may not live
    ├── TimedOut          it may have left: the answer did not come in time
    ├── BadAnswer         it may have left: the answer makes no sense
    ├── OutcomeUnknown    it may have left: the gateway itself lost track of it
    ├── BadKey            the gateway refuses our key
    │   └── Unlicensed        it serves nobody until its owner activates it
    ├── InstanceNotFound  the gateway does not know the session
    ├── NotConnected      the session is not online, nothing left
    ├── NotOnWhatsApp     the recipient has no WhatsApp account
    ├── Rejected          the gateway or WhatsApp refuses this very request
    │   └── TooLarge          what it would send us is more than we asked for
    ├── RateLimited       later: `retry_after_seconds`
    └── Unsupported       this gateway cannot do that
"""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import httpx

CAPABILITIES = (
    "qr",
    "pairing_code",
    "restart",
    "delete",
    "list",
    "set_webhook",
    "send_media",
    "check_number",
    "receipts",
    "ids_in_advance",
    "passkey",
    "download",
    "look_up_sent",
)


class GatewayError(Exception):
    """A gateway did not do what we asked.

    `permanent`: asking again the same way is pointless. `may_have_left`: a message may be on its way in
    spite of the error, so it must not be sent again blindly. `detail` is the gateway's own text, one
    short line without secrets, for the curious.
    """

    code: ClassVar[str] = "gateway_error"
    permanent: ClassVar[bool] = False
    may_have_left: ClassVar[bool] = False

    def __init__(self, detail: str = "", *, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail or self.code)
        self.detail = detail[:300]
        self.retry_after_seconds = retry_after_seconds


class Unreachable(GatewayError):
    code = "gateway_unreachable"


class NotTrusted(Unreachable):
    code = "gateway_not_trusted"


class ForbiddenAddress(Unreachable):
    code = "gateway_address"


class TimedOut(GatewayError):
    code = "gateway_timeout"
    may_have_left = True


class BadAnswer(GatewayError):
    code = "gateway_bad_answer"
    may_have_left = True


class OutcomeUnknown(GatewayError):
    code = "outcome_unknown"
    may_have_left = True


class BadKey(GatewayError):
    code = "gateway_auth"
    permanent = True


class Unlicensed(BadKey):
    code = "gateway_unlicensed"


class InstanceNotFound(GatewayError):
    code = "gateway_not_found"
    permanent = True


class NotConnected(GatewayError):
    code = "not_connected"


class NotOnWhatsApp(GatewayError):
    code = "not_on_whatsapp"
    permanent = True


class Rejected(GatewayError):
    code = "rejected"
    permanent = True


class TooLarge(Rejected):
    code = "file_too_large"


class RateLimited(GatewayError):
    code = "rate_limited"


class Unsupported(GatewayError):
    code = "unsupported"
    permanent = True


def _no_token(instance: str) -> str:
    raise Unsupported(f"this gateway gives no token to {instance}")


@dataclass(frozen=True)
class Access:
    """How to reach one gateway, and what proves that a webhook is its own.

    `extra_header` is sent with every call, for a proxy in front; `ca_pem` is the CA of a private
    certificate; `sign_keys`, the newest first, are what its webhooks are signed with, or their tokens made
    from, where it can; `urls` by action and `token_of` an instance are for a gateway that is nothing but a
    few URLs.
    """

    base_url: str
    key: str = field(default="", repr=False)
    extra_header: tuple[str, str] | None = field(default=None, repr=False)
    ca_pem: str | None = field(default=None, repr=False)
    allow_private: bool = True
    sign_keys: tuple[str, ...] = field(default=(), repr=False)
    urls: Mapping[str, str] = field(default_factory=dict, repr=False)
    token_of: Callable[[str], str] = field(default=_no_token, repr=False)


@dataclass(frozen=True)
class Created:
    """What a gateway calls the session, when it does not take our name for it."""

    instance: str
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class State:
    """What a gateway says of one session. `status`/`reason` are our words (models.session) as text.

    `status` is None when the gateway's word is unknown or missing: then nothing is concluded from it.
    """

    status: str | None
    reason: str | None = None
    word: str = ""
    number: str | None = None  # E.164 digits
    profile_name: str | None = None
    ban_ends_at: datetime | None = None
    passkey_code: str | None = field(default=None, repr=False)  # to compare with the phone's, then confirm


@dataclass(frozen=True)
class Code:
    """A code that waits for the phone. Secrets: never in a log, URL or error."""

    qr: str | None = field(repr=False)
    pairing_code: str | None = field(default=None, repr=False)  # 8 characters, no dash
    sequence: int | None = None  # from 1
    expires_at: datetime | None = None
    lifetime_seconds: int | None = None
    # from a gateway that only draws: what `picture.checked` let through, shown as it is in place of `qr`
    image: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Webhook:
    url: str
    is_enabled: bool
    events: frozenset[str]


@dataclass(frozen=True)
class Remote:
    """One session as the gateway lists it."""

    instance: str
    number: str | None
    profile_name: str | None


@dataclass(frozen=True)
class Attached:
    kind: str  # image, document
    content: bytes
    mimetype: str
    filename: str


@dataclass(frozen=True)
class Downloaded:
    """A file that came in; what it is called is the sender's word for it."""

    content: bytes = field(repr=False)
    filename: str | None = None


@dataclass(frozen=True)
class Checked:
    number: str  # as asked
    exists: bool
    jid: str | None = None


# --- events: what a webhook told us --------------------------------------------------------------


@dataclass(frozen=True)
class StateSeen:
    """`turn` is when, by a clock that cannot be believed but tells what came first."""

    instance: str
    state: State
    at: datetime | None = None
    turn: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class CodeShown:
    instance: str
    code: Code


@dataclass(frozen=True)
class ReceiptSeen:
    """`kind`: sent, delivered, read, played or failed."""

    instance: str
    provider_id: str
    kind: str
    at: datetime | None = None


@dataclass(frozen=True)
class SentSeen:
    """A message of ours left, by the gateway's own account. `text` is what it says, or under its file."""

    instance: str
    provider_id: str
    recipient: str  # JID
    at: datetime | None = None
    text: str = field(default="", repr=False)
    is_file: bool = False


@dataclass(frozen=True)
class FileSeen:
    """The file of a message that came in: all of it, or in `source` what `download` needs to fetch it.

    With neither it stays on the phone. Type, name and size are what the sender says.
    """

    mimetype: str = ""
    filename: str | None = None
    size_bytes: int | None = None
    source: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class MessageSeen:
    """Somebody wrote to us, or the owner wrote on the phone (`from_me`)."""

    instance: str
    provider_id: str
    chat: str  # JID
    sender_number: str | None  # E.164 digits, None when only a LID is known
    sender_lid: str | None
    push_name: str | None
    text: str = field(default="", repr=False)
    kind: str = "text"
    from_me: bool = False
    at: datetime | None = None
    chat_lid: str | None = None  # of the person whom the chat is with, where `chat` is the number
    group_name: str | None = None
    quoted: str = field(default="", repr=False)  # the text that it answers
    file: FileSeen | None = None


@dataclass(frozen=True)
class InstanceGone:
    """The session was deleted at the gateway."""

    instance: str


Seen = StateSeen | CodeShown | ReceiptSeen | SentSeen | MessageSeen | InstanceGone


class Driver(ABC):
    """One gateway's HTTP. `instance` is its name of a session; `to` is E.164 digits or a JID.

    Every method may raise GatewayError.
    """

    kind: ClassVar[str]
    capabilities: ClassVar[frozenset[str]]
    hook_events: ClassVar[frozenset[str]] = frozenset()  # what `Webhook.events` must hold
    # what `is_genuine` goes by: a "signature" of the body, the "token" of its session, both by our own keys,
    # or the gateway's "key"; "" where it sends no webhooks
    hook_proof: ClassVar[str]
    # so long it may still knock as it was told before, with what it could not deliver then
    hook_retries_seconds: ClassVar[float] = 0.0
    # while a phone is being linked: whether codes and states come as events, or have to be asked for
    tells_codes: ClassVar[bool] = True
    # QR codes in a set, 1 where no second one follows by itself; None where the gateway's owner decides it
    codes: ClassVar[int | None] = None
    # whether `send_media` too drops a reference that it has seen; where it has `ids_in_advance`
    files_in_advance: ClassVar[bool] = False
    # so long a start may go on at the gateway, and a second one meanwhile would do harm; 0 where it would not
    starts_for_seconds: ClassVar[float] = 0.0
    # so long it may be "connecting" by itself between "connected" and "connected", which nobody need know of
    reopens_within_seconds: ClassVar[float] = 0.0
    # whether `receipts_of` can be asked
    keeps_receipts: ClassVar[bool] = False
    # keys that stand in the gateway's own examples, or that it uses when none is set
    weak_keys: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def __init__(self, access: Access, *, transport: httpx.BaseTransport | None = None) -> None:
        """`transport` stands in for the network. Raises ValueError for a URL that cannot be a gateway's."""

    def close(self) -> None:  # noqa: B027  a driver without connections has nothing to do
        """Give back connections."""

    @abstractmethod
    def version(self) -> str:
        """Reach the gateway without touching a session, key checked; its version."""

    def offers(self) -> frozenset[str]:
        """What of `capabilities` this very gateway has, by what `version` last told."""
        return self.capabilities

    @abstractmethod
    def create(self, instance: str) -> Created | None:
        """Make the session known to the gateway; one that exists already is fine. Its own name for it, if
        it has one."""

    @abstractmethod
    def connect(self, instance: str) -> Code | State:
        """Go online with the stored login, or start linking: the first code, or State while there is none."""

    @abstractmethod
    def pair(self, instance: str, phone: str) -> Code:
        """Link by number: a code to type on the phone. `phone` is E.164 digits."""

    def code(self, instance: str) -> Code | State:
        """The code that waits for the phone now, starting nothing; where `tells_codes` is not set."""
        raise Unsupported("this gateway tells its codes by itself")

    def passkey_challenge(self, instance: str) -> dict[str, Any]:
        """What a passkey must sign on web.whatsapp.com, as WebAuthn request options in JSON. Raises Rejected
        when WhatsApp asks for none now."""
        raise Unsupported("this gateway cannot finish a link with a passkey")

    def answer_passkey(self, instance: str, assertion: Mapping[str, Any]) -> None:
        """Hand over what was signed, as WebAuthn's `credential.toJSON()`."""
        raise Unsupported("this gateway cannot finish a link with a passkey")

    def confirm_passkey(self, instance: str) -> None:
        """A person says that the phone shows `State.passkey_code`."""
        raise Unsupported("this gateway cannot finish a link with a passkey")

    @abstractmethod
    def state(self, instance: str) -> State:
        """The live state."""

    def states(self) -> Mapping[str, State] | None:
        """The live states of all sessions in one call; None where the gateway's list cannot be believed."""
        return None

    @abstractmethod
    def stop(self, instance: str) -> None:
        """Go offline and keep the login, where the gateway can; raises Unsupported otherwise."""

    @abstractmethod
    def restart(self, instance: str) -> None: ...

    @abstractmethod
    def logout(self, instance: str) -> None:
        """Unlink from the phone; one that is not linked is fine."""

    @abstractmethod
    def delete(self, instance: str) -> None:
        """Remove session and login; one that is not there is fine."""

    @abstractmethod
    def list(self) -> list[Remote]: ...

    @abstractmethod
    def webhook(self, instance: str) -> Webhook | None: ...

    @abstractmethod
    def set_webhook(self, instance: str, url: str) -> None:
        """Have the events that we read sent to `url`."""

    @abstractmethod
    def send_text(self, instance: str, to: str, text: str, reference: str) -> str:
        """The gateway's message id. `reference` names this send: where the gateway has `ids_in_advance`,
        the same reference never leaves twice."""

    @abstractmethod
    def send_media(self, instance: str, to: str, caption: str, attached: Attached, reference: str) -> str: ...

    def download(self, instance: str, source: Mapping[str, str], most_bytes: int) -> Downloaded:
        """The file of a message that came in, by its `FileSeen.source`. Raises TooLarge."""
        raise Unsupported("this gateway gives no files of messages that came in")

    def group_name(self, instance: str, jid: str) -> str:
        """What a group is called."""
        raise Unsupported("this gateway does not say what groups are called")

    @abstractmethod
    def check_numbers(self, instance: str, numbers: builtins.list[str]) -> builtins.list[Checked]: ...

    def find_sent(self, instance: str, to: str, since: datetime) -> builtins.list[SentSeen]:
        """What left to `to` since then, of its newest 50 or so, in any order; what WhatsApp refused is not
        among it. That one is missing proves nothing."""
        raise Unsupported("this gateway cannot tell what has left")

    def receipts_of(self, instance: str, provider_id: str) -> builtins.list[ReceiptSeen]:
        """What WhatsApp has said of a message of ours; where the gateway keeps it (`keeps_receipts`)."""
        raise Unsupported("this gateway keeps no receipts")

    @abstractmethod
    def is_genuine(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the gateway itself sent this webhook, by its `hook_proof`."""

    @abstractmethod
    def identity(self, body: bytes) -> bytes:
        """What a webhook shares with its repetitions and with no other; empty where it holds neither an id
        nor a time, so that two alike are two. Raises BadAnswer when the body is not this gateway's."""

    @abstractmethod
    def read_events(self, body: bytes) -> builtins.list[Seen]:
        """What a webhook says. Raises BadAnswer when the body is not this gateway's; what is merely unknown
        yields nothing."""
