"""Whether a gateway fits, tried on the gateway itself: reach, key, what it can, and a trial session."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from .. import words
from ..drivers.contract import (
    CAPABILITIES,
    Access,
    BadKey,
    Code,
    Driver,
    GatewayError,
    InstanceNotFound,
    State,
    Unsupported,
)

OK, WARN, FAIL = "ok", "warn", "fail"
SHORTEST_KEY = 16
NAME = "wa-admin-check"
NO_HOOK = "https://wa-admin.invalid/hooks/check"  # a name that never exists: RFC 2606
CODE_ASKS, CODE_PAUSE_SECONDS = 6, 2.0

ABILITIES = {
    "qr": _l("QR code"),
    "pairing_code": _l("pairing code"),
    "restart": _l("restart"),
    "delete": _l("delete"),
    "list": _l("list of sessions"),
    "set_webhook": _l("webhook set from here"),
    "send_media": _l("pictures and files"),
    "check_number": _l("looking numbers up"),
    "receipts": _l("delivered and read"),
    "ids_in_advance": _l("safe repeats"),
    "passkey": _l("passkeys"),
    "download": _l("files that come in"),
    "look_up_sent": _l("looking up what left"),
}
WITHOUT = {
    "qr": _l("Phones cannot be linked by QR code."),
    "pairing_code": _l("Phones are linked by QR code only."),
    "restart": _l("A session cannot be restarted; connect it again instead."),
    "delete": _l("Deleting a session here unlinks it; it may live on at the gateway."),
    "list": _l("Sessions that were made elsewhere cannot be found."),
    "set_webhook": _l("The webhook cannot be set from here; without one, states are asked for."),
    "send_media": _l("Only text can be sent."),
    "check_number": _l("Numbers are not looked up before a message leaves."),
    "receipts": _l("Nothing is told of a message after it is sent."),
    "ids_in_advance": _l("A message whose send was not answered is not sent again by itself."),
    "passkey": _l("An account that wants a passkey cannot be linked."),
    "download": _l("Pictures and files that people send stay on the phone."),
    "look_up_sent": _l("Whether a message left whose send was not answered, a person has to say."),
}


@dataclass(frozen=True)
class Finding:
    """`level`: ok, warn or fail. `next_step` is empty when nothing needs doing."""

    level: str
    name: str
    sentence: str
    next_step: str = ""


def look(
    driver: Driver,
    access: Access,
    *,
    throw_away: bool = False,
    pause: Callable[[float], object] = time.sleep,
) -> Iterator[Finding]:
    """One finding after the other, each when it is known; what rests on something broken is not tried.

    Sends no message and touches no session. With `throw_away` it makes one, links nothing and deletes it.
    """
    reach = _reach(driver)
    yield reach
    yield from _cleartext(access)
    yield from _secrets(driver, access)
    if reach.level == FAIL:
        return
    yield from _strangers(driver, access)
    yield from _abilities(driver)
    yield from _sessions(driver)
    if throw_away:
        yield from _throw_away(driver, pause)


def _reach(driver: Driver) -> Finding:
    began = time.perf_counter()
    try:
        version = driver.version()
    except GatewayError as error:
        return _failed(_("Gateway"), error)
    took_ms = round(1000 * (time.perf_counter() - began))
    if not version:
        return Finding(OK, _("Gateway"), _("answers in %(ms)d ms and tells no version", ms=took_ms))
    return Finding(OK, _("Gateway"), _("version %(v)s answers in %(ms)d ms", v=version, ms=took_ms))


def _cleartext(access: Access) -> Iterator[Finding]:
    if any(_crosses_the_internet(url) for url in (access.base_url, *access.urls.values())):
        yield Finding(
            WARN,
            _("Address"),
            _("is http: keys and messages can be read on the way"),
            _("Put the gateway behind https."),
        )


def _crosses_the_internet(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_near = ip_address(host).is_private
    except ValueError:
        is_near = "." not in host or host.endswith((".local", ".internal", ".localhost"))
    return parts.scheme == "http" and not is_near


def _secrets(driver: Driver, access: Access) -> Iterator[Finding]:
    """A default secret is known to everybody who reads the gateway's documentation."""
    advice = _("Set a long random one at the gateway, then here.")
    named = [(_("Key"), access.key), *((_("Signing key"), key) for key in access.sign_keys)]
    known = {weak.casefold() for weak in driver.weak_keys if weak}
    weak = [name for name, key in named if known & {key.casefold(), key.partition(":")[2].casefold()}]
    for name in weak:
        yield Finding(FAIL, name, _("is a default that stands in the gateway's own documentation"), advice)
    if not weak and 0 < len(access.key) < SHORTEST_KEY:
        yield Finding(WARN, _("Key"), _("is so short that it can be guessed"), advice)


def _strangers(driver: Driver, access: Access) -> Iterator[Finding]:
    """Whether somebody without the key is turned away: it may be set here only, and not at the gateway."""
    name, made_up = _("Strangers"), secrets.token_urlsafe(24)
    if access.key:
        wrong = replace(access, key=made_up)
    elif access.extra_header:
        wrong = replace(access, extra_header=(access.extra_header[0], made_up))
    else:
        yield Finding(FAIL, name, _("need no key"), _("Set a key at the gateway, then here."))
        return
    stranger = type(driver)(wrong)
    try:
        stranger.version()
    except BadKey:
        yield Finding(OK, name, _("are turned away"))
    except GatewayError as error:
        yield Finding(WARN, name, _("could not be tried: %(cause)s", cause=words.error_words(error.code)[0]))
    else:
        yield Finding(FAIL, name, _("get in with any key"), _("Switch the key on at the gateway."))
    finally:
        stranger.close()


def _abilities(driver: Driver) -> Iterator[Finding]:
    offered = driver.offers()
    shown = [str(ABILITIES[ability]) for ability in CAPABILITIES if ability in offered]
    yield Finding(OK, _("Fits"), ", ".join(shown))
    for ability in CAPABILITIES:
        # safe repeats leave nothing to look up
        if ability not in offered and not (ability == "look_up_sent" and "ids_in_advance" in offered):
            yield Finding(WARN, _("Missing"), f"{ABILITIES[ability]}. {WITHOUT[ability]}")


def _sessions(driver: Driver) -> Iterator[Finding]:
    """What is there, and that it says so of what is not there."""
    name = _("Sessions")
    if "list" in driver.offers():
        try:
            yield Finding(OK, name, _("%(count)d at the gateway", count=len(driver.list())))
        except GatewayError as error:
            yield _failed(name, error)
    try:
        state = driver.state(_made_up_name())
    except (InstanceNotFound, Unsupported):
        return
    except GatewayError as error:
        yield _failed(name, error)
        return
    if state.status is not None:
        yield Finding(FAIL, name, _("the gateway tells a state of one that does not exist"))


def _throw_away(driver: Driver, pause: Callable[[float], object]) -> Iterator[Finding]:
    name = _("Trial session")
    if "delete" not in driver.offers():
        yield Finding(WARN, name, _("is not tried, since this gateway could not delete it again"))
        return
    instance = _made_up_name()
    try:
        made = driver.create(instance)
        instance = made.instance if made else instance
        yield Finding(OK, name, _("created"))
        yield from _lived(driver, instance, pause)
    except GatewayError as error:
        yield _failed(name, error)
    finally:
        removed = _removed(driver, instance)
    yield removed


def _lived(driver: Driver, instance: str, pause: Callable[[float], object]) -> Iterator[Finding]:
    name = _("Trial session")
    if driver.state(instance).status == "connected":
        yield Finding(FAIL, name, _("is called connected, but no phone was linked"))
    if "set_webhook" in driver.offers():
        driver.set_webhook(instance, NO_HOOK)
        hook = driver.webhook(instance)
        if hook is None or hook.url != NO_HOOK or not hook.is_enabled:
            yield Finding(FAIL, _("Webhook"), _("does not stay as it was set"))
        else:
            yield Finding(OK, _("Webhook"), _("can be set and read back"))
    if _shows_code(driver, instance, pause):
        yield Finding(OK, _("QR code"), _("comes, so the gateway reaches WhatsApp"))
    else:
        advice = _("See whether the gateway reaches the internet.")
        yield Finding(WARN, _("QR code"), _("did not come in time"), advice)


def _shows_code(driver: Driver, instance: str, pause: Callable[[float], object]) -> bool:
    answer: Code | State = driver.connect(instance)
    for _turn in range(CODE_ASKS):
        if isinstance(answer, Code):
            return True
        pause(CODE_PAUSE_SECONDS)
        answer = driver.connect(instance) if driver.tells_codes else driver.code(instance)
    return isinstance(answer, Code)


def _removed(driver: Driver, instance: str) -> Finding:
    name = _("Trial session")
    by_hand = _("Delete the session %(name)s at the gateway.", name=instance)
    try:
        driver.delete(instance)
        if driver.state(instance).status is None:
            return Finding(OK, name, _("deleted"))
    except InstanceNotFound:
        return Finding(OK, name, _("deleted"))
    except GatewayError as error:
        return replace(_failed(name, error), next_step=by_hand)
    return Finding(FAIL, name, _("is still there after it was deleted"), by_hand)


def _made_up_name() -> str:
    return f"{NAME}-{secrets.token_hex(4)}"


def _failed(name: str, error: GatewayError) -> Finding:
    cause, step = words.error_words(error.code)
    return Finding(FAIL, name, f"{cause} ({error.detail})" if error.detail else cause, step)
