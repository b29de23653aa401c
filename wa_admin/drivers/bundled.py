"""The gateway that comes with wa-admin: Evolution's dialect, its quirks repaired, and a few fields more."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from .contract import BadAnswer, Code, NotConnected, SentSeen, State, Unsupported
from .evolution import Evolution, path_to
from .evolution_events import moment, number_of, state_of
from .shapes import text_of

LONGEST_LIFE_SECONDS = 3600


class Bundled(Evolution):
    """The bundled gateway. A reference travels as X-Reference, so no send leaves twice."""

    kind = "bundled"
    capabilities = Evolution.capabilities - {"look_up_sent"} | {"ids_in_advance"}
    files_in_advance = True
    codes = 6  # whatsmeow qrchan.go
    settling_seconds = 0.0
    hook_retries_seconds = 60.0  # its attempts go by the webhook of now, but one may be under way
    has_true_clock = True
    keeps_receipts = False  # but what it could not tell

    def connect(self, instance: str) -> Code | State:
        return self._linking(instance, self._connect(instance))

    def pair(self, instance: str, phone: str) -> Code:
        return self._paired(instance, self._connect(instance, number=phone))

    def states(self) -> dict[str, State]:
        """Of all sessions: unlike Evolution's, this list is live."""
        rows = self._call("GET", "/instance/fetchInstances", seconds=self.read_seconds)
        if not isinstance(rows, list):
            raise BadAnswer("this is no list of sessions")
        found = [row for row in rows if isinstance(row, dict) and text_of(row, "name")]
        return {row["name"]: _listed(row) for row in found}

    def stop(self, instance: str) -> None:
        self._call("POST", path_to("instance/stop", instance), seconds=self.read_seconds)

    def logout(self, instance: str) -> None:
        """Unlink from the phone; one that is not linked is fine. Raises NotConnected when it is offline with
        its login, as only WhatsApp can unlink."""
        try:
            self._call("DELETE", path_to("instance/logout", instance), seconds=self.read_seconds)
        except NotConnected:
            if self._has_login(instance):
                raise

    def find_sent(self, instance: str, to: str, since: datetime) -> list[SentSeen]:
        raise Unsupported("the bundled gateway keeps no texts; its references tell what has left")

    def _has_login(self, instance: str) -> bool:
        return self.state(instance).number is not None

    def _naming(self, reference: str) -> dict[str, str] | None:
        return {"X-Reference": reference}

    def _state(self, said: dict[str, Any]) -> State:
        state = state_of(said)
        if state.status == "connecting" and said.get("qrcode"):
            return replace(state, status="qr_pending")
        return state

    def _life(self, instance: str, code: str, said: dict[str, Any]) -> tuple[datetime | None, int | None]:
        seconds = said.get("lifetimeSeconds")
        lifetime = None
        if isinstance(seconds, int | float) and 0 <= seconds <= LONGEST_LIFE_SECONDS:
            lifetime = max(1, round(seconds))
        return moment(said.get("expiresAt")), lifetime


def _listed(row: dict[str, Any]) -> State:
    said = {"state": row.get("connectionStatus")}
    return replace(state_of(said), number=number_of(row.get("ownerJid")))
