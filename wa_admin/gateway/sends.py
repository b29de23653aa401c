"""A send: at most once per reference, and told to the webhook in the order in which things happened."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from wa_admin.gateway import dialect
from wa_admin.gateway.answers import BareRefusal, NotConnected, OutcomeUnknown, Refusal
from wa_admin.gateway.engines.contract import EngineError
from wa_admin.gateway.ledger import Ledger
from wa_admin.gateway.live_state import Announce
from wa_admin.gateway.session import Session

# An engine waits up to 75 s for WhatsApp's ack (whatsmeow); who asked hears earlier, the ledger the truth.
PATIENCE_SECONDS = 30.0
# Fewer than the server has threads, so that a silent WhatsApp leaves some that answer everything else.
AT_ONCE = 10

Describe = Callable[[dict[str, Any]], dict[str, Any]]


class Sends:
    def __init__(self, ledger: Ledger, announce: Announce) -> None:
        self._ledger = ledger
        self._announce = announce
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._in_flight: dict[tuple[str, str], Future[Any]] = {}

    def send(
        self,
        session: Session,
        reference: str | None,
        describe: Describe,
        command: str,
        **args: Any,
    ) -> tuple[dict[str, Any], bool]:
        """Return the message that was sent, and whether it is the answer of an earlier send.

        Raises Refusal: NotConnected, OutcomeUnknown, not on WhatsApp, refused by WhatsApp, or busy.
        """
        with self._slot():
            if reference is None:
                return describe(self._wait(self._submit(session, None, describe, command, args), args)), False
            future, replayed = self._once(session, reference, describe, command, args)
            return describe(self._wait(future, args)), replayed

    def outcome(self, instance_id: str, reference: str) -> dict[str, Any]:
        """What is known of a reference; "unknown" means that nothing was ever sent under it."""
        with self._lock:
            in_flight = (instance_id, reference) in self._in_flight
            entry = self._ledger.find(instance_id, reference)
        if entry is None:
            return {"state": "unknown"}
        if entry.result is None:
            return {"state": "started", "inFlight": in_flight}
        key = {"remoteJid": entry.result["jid"], "fromMe": True, "id": entry.result["id"]}
        return {"state": "sent", "key": key, "messageTimestamp": int(entry.result["at"])}

    def _once(
        self, session: Session, reference: str, describe: Describe, command: str, args: dict[str, Any]
    ) -> tuple[Future[Any], bool]:
        key = (session.id, reference)
        with self._lock:
            entry = self._ledger.begin(*key)
            if entry is None:
                placeholder: Future[Any] = Future()
                self._in_flight[key] = placeholder
            elif entry.result is not None:
                return _finished(entry.result), True
            elif key in self._in_flight:
                return self._in_flight[key], True
            else:
                raise OutcomeUnknown(409)
        future = self._submit(session, reference, describe, command, args)
        _follow(future, placeholder)
        return future, False

    def _submit(
        self,
        session: Session,
        reference: str | None,
        describe: Describe,
        command: str,
        args: dict[str, Any],
    ) -> Future[Any]:
        def settled(ok: dict[str, Any] | None, error: EngineError | None) -> None:
            if reference is not None:
                self._record(session.id, reference, ok, error)
            if ok is not None:
                self._tell(session.id, describe(ok))

        try:
            return session.submit(command, settled, **args)
        except EngineError as error:
            settled(None, error)
            return _failed(error)

    def _record(
        self, instance_id: str, reference: str, ok: dict[str, Any] | None, error: EngineError | None
    ) -> None:
        with self._lock:
            if ok is not None:
                self._ledger.finish(instance_id, reference, ok)
            elif error and error.kind != "timeout":
                self._ledger.clear(instance_id, reference)
            self._in_flight.pop((instance_id, reference), None)

    def _tell(self, instance_id: str, message: dict[str, Any]) -> None:
        self._announce(instance_id, "send.message", message)
        # the engine returns after WhatsApp's ack
        key = message["key"]
        ack = dialect.receipt_update(key["id"], key["remoteJid"], "SERVER_ACK", instance_id)
        self._announce(instance_id, "messages.update", ack)

    def _wait(self, future: Future[Any], args: dict[str, Any]) -> dict[str, Any]:
        try:
            result: dict[str, Any] = future.result(PATIENCE_SECONDS)
        except TimeoutError as error:
            raise OutcomeUnknown from error
        except EngineError as error:
            raise refusal(error, args["to"]) from error
        return result

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(blocking=False):
            raise Refusal(503, ["too many sends at once"], code="BUSY", headers={"Retry-After": "5"})
        try:
            yield
        finally:
            self._slots.release()


def refusal(error: EngineError, to: str) -> Refusal:
    """An engine's failure in Evolution's words."""
    if error.kind == "not_connected":
        return NotConnected()
    if error.kind == "timeout":
        return OutcomeUnknown()
    if error.kind == "not_on_whatsapp":
        jid = to if "@" in to else f"{to}@s.whatsapp.net"
        return Refusal(400, [{"jid": jid, "exists": False, "number": to.partition("@")[0]}])
    code = {"rejected": "REJECTED", "unsupported": "UNSUPPORTED"}.get(error.kind)
    return Refusal(400, [str(error)], code=code)


def check_refusal(error: EngineError, ever_linked: bool) -> BareRefusal:
    """whatsappNumbers on a session that is not open: {} when it never was, Boom's 428 else (recorded)."""
    if error.kind != "not_connected" or ever_linked:
        payload = {"statusCode": 428, "error": "Precondition Required", "message": str(error)}
        output = {"statusCode": 428, "payload": payload, "headers": {}}
        return BareRefusal(400, {"data": None, "isBoom": True, "isServer": False, "output": output})
    return BareRefusal(400, {})


def _finished(result: dict[str, Any]) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def _failed(error: EngineError) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def _follow(future: Future[Any], placeholder: Future[Any]) -> None:
    """Whoever waits on the placeholder hears what the future hears."""

    def pass_on(done: Future[Any]) -> None:
        if error := done.exception():
            placeholder.set_exception(error)
        else:
            placeholder.set_result(done.result())

    future.add_done_callback(pass_on)
