"""Events out: each instance has one courier that delivers its spool in order, as Evolution's webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from wa_admin.gateway.dialect import iso
from wa_admin.gateway.spool import Spool, Waiting
from wa_admin.gateway.store import Instance, Store

log = logging.getLogger("wa_admin.gateway.callbacks")

# Evolution drops an event at once for these (webhook.controller.ts, 2.3.6); anything else is tried again
NEVER_AGAIN = {400, 401, 403, 404, 422}
TIMEOUT = httpx.Timeout(connect=5.0, read=10.0, write=10.0, pool=10.0)
LONGEST_WAIT_SECONDS = 10.0  # who was down for long hears of it soon after the start
READ_BYTES = 65_536
JWT_SECONDS = 600


class Callbacks:
    """Takes in what the sessions tell and brings it to their webhooks, sooner or later."""

    def __init__(self, store: Store, spool: Spool) -> None:
        self.server_url = ""
        self._store = store
        self._spool = spool
        self._http = httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False)
        self._lock = threading.Lock()
        self._couriers: dict[str, Courier] = {}

    def announce(self, instance_id: str, event: str, data: Any) -> None:
        """Spool an event if the instance has a webhook that wants it."""
        instance = self._store.get(instance_id)
        if instance and wants(instance.webhook, event):
            self._spool.put(instance_id, event, data)
            self.wake(instance_id)

    def resume(self) -> None:
        """Go on with what an earlier gateway could not deliver."""
        for instance in self._store.instances():
            if self._spool.count(instance.id):
                self.wake(instance.id)

    def wake(self, instance_id: str) -> None:
        """There is something new to deliver."""
        self._courier(instance_id).wake()

    def hurry(self, instance_id: str) -> None:
        """The webhook changed: do not wait until the next attempt is due."""
        self._courier(instance_id).hurry()

    def say_goodbye(self, instance: Instance) -> None:
        """Forget a removed instance and tell its webhook once, in the background."""
        with self._lock:
            courier = self._couriers.pop(instance.id, None)
        if courier:
            courier.stop()
        if wants(instance.webhook, "instance.delete"):
            data = {"instanceName": instance.name, "instanceId": instance.id}
            farewell = Waiting(0, "instance.delete", data, time.time())
            threading.Thread(target=self.deliver, args=(instance, farewell), daemon=True).start()

    def stop(self) -> None:
        with self._lock:
            for courier in self._couriers.values():
                courier.stop()

    def deliver(self, instance: Instance, waiting: Waiting) -> bool:
        """Post one event; True when it needs no further attempt."""
        webhook = instance.webhook
        if not wants(webhook, waiting.event):
            return True
        assert webhook is not None
        try:
            request = self._request(instance, webhook, waiting)
            with self._http.stream(**request) as response:
                if int(response.headers.get("content-length", READ_BYTES + 1)) <= READ_BYTES:
                    response.read()  # so that the connection can be used again
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            log.debug("webhook of %r: %s", instance.name, type(error).__name__)
            return False
        if response.status_code in NEVER_AGAIN:
            log.warning("webhook of %r refused %s: %d", instance.name, waiting.event, response.status_code)
            return True
        return response.is_success

    def _courier(self, instance_id: str) -> Courier:
        with self._lock:
            if instance_id not in self._couriers:
                self._couriers[instance_id] = Courier(instance_id, self._store, self._spool, self.deliver)
            return self._couriers[instance_id]

    def _request(self, instance: Instance, webhook: dict[str, Any], waiting: Waiting) -> dict[str, Any]:
        url = webhook["url"]
        if webhook["webhookByEvents"]:
            url = f"{url.rstrip('/')}/{waiting.event.replace('.', '-')}"
        body = {
            "event": waiting.event,
            "instance": instance.name,
            "data": waiting.data,
            "destination": webhook["url"],
            "date_time": iso(waiting.at),
            "server_url": self.server_url,
            "apikey": instance.token,
        }
        if instance.owner_jid:
            body["sender"] = instance.owner_jid
        headers = {"Content-Type": "application/json", "User-Agent": "wa-admin-gateway"}
        headers |= {name: str(value) for name, value in (webhook["headers"] or {}).items()}
        if key := headers.pop("jwt_key", None):
            headers["Authorization"] = f"Bearer {_token(key, time.time())}"
        return {"method": "POST", "url": url, "headers": headers, "content": json.dumps(body).encode()}


class Courier:
    """Delivers the events of one instance in order: the first one that fails holds up the rest."""

    def __init__(
        self, instance_id: str, store: Store, spool: Spool, deliver: Callable[[Instance, Waiting], bool]
    ) -> None:
        self._instance_id = instance_id
        self._store = store
        self._spool = spool
        self._deliver = deliver
        self._news = threading.Event()
        self._haste = threading.Event()
        self._stopped = False
        threading.Thread(target=self._run, daemon=True, name=f"courier-{instance_id[:8]}").start()

    def wake(self) -> None:
        self._news.set()

    def hurry(self) -> None:
        self._haste.set()
        self._news.set()

    def stop(self) -> None:
        self._stopped = True
        self.hurry()

    def _run(self) -> None:
        while not self._stopped:
            self._news.wait()
            self._news.clear()
            try:
                self._empty_spool()
            except Exception:
                log.exception("the courier of instance %s stumbled", self._instance_id)
                time.sleep(1)
                self._news.set()

    def _empty_spool(self) -> None:
        self._haste.clear()
        failures = 0
        while not self._stopped:
            instance = self._store.get(self._instance_id)
            waiting = self._spool.head(self._instance_id) if instance else None
            if instance is None or waiting is None:
                return
            if self._deliver(instance, waiting):
                self._spool.done(waiting)
                failures = 0
                continue
            if failures == 0:
                log.warning("webhook of %r cannot be reached, trying on", instance.name)
            failures += 1
            if self._haste.wait(pause_seconds(failures, random.uniform(0.75, 1.0))):  # noqa: S311
                self._haste.clear()
                failures = 0


def pause_seconds(failures: int, jitter: float) -> float:
    """1, 2, 4 .. 10 s, each somewhat less, so that many couriers do not knock together."""
    return min(2.0 ** min(failures - 1, 10), LONGEST_WAIT_SECONDS) * jitter


def wants(webhook: dict[str, Any] | None, event: str) -> bool:
    """Whether this webhook is on and has chosen this event; no choice means every event."""
    if not webhook or not webhook["enabled"] or not webhook["url"].startswith(("http://", "https://")):
        return False
    return not webhook["events"] or event.upper().replace(".", "_").replace("-", "_") in webhook["events"]


def _token(key: str, now: float) -> str:
    """The HS256 token Evolution makes of a header named jwt_key."""
    claims = {"iat": int(now), "exp": int(now) + JWT_SECONDS, "app": "evolution", "action": "webhook"}
    signed = b".".join(
        _base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)
    )
    signature = hmac.new(key.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + _base64url(signature)).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
