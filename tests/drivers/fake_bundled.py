"""The bundled gateway itself, with the simulator in it, behind a proxy that can go wrong."""

from __future__ import annotations

import tempfile
from pathlib import Path

import httpx
from fake_gateway import ANNA, PHONE, Answer, Asked, FakeGateway
from running_gateway import RunningGateway, wait_until

OURS = {"connection", "content-length", "transfer-encoding", "date", "server"}


class FakeBundled(FakeGateway):
    """Every answer is the running gateway's, every act the simulated phone's."""

    kind = "bundled"
    send_paths = "POST /message/"

    def __init__(self, port: int = 0, hook_url: str | None = None) -> None:
        self._place = tempfile.TemporaryDirectory()
        self._gateway = RunningGateway(Path(self._place.name), key=self.key)
        self._forward = httpx.Client(base_url=self._gateway.url, timeout=60, trust_env=False, verify=False)
        super().__init__(port, hook_url)

    def stop(self) -> None:
        super().stop()
        self._forward.close()
        self._gateway.__exit__(None, None, None)
        self._place.cleanup()

    def serve(self, asked: Asked) -> Answer:
        """Without the lock of the fakes, as a gateway serves several at a time."""
        how = self._fault(asked)
        return super().serve(asked) if how or asked.path.startswith("/_fake/") else self._answer(asked)

    def _answer(self, asked: Asked) -> Answer:
        ours = {name: value for name, value in asked.headers.items() if name.lower() not in ("host", *OURS)}
        url = httpx.URL(self._gateway.url).copy_with(raw_path=asked.target.encode())
        said = self._forward.request(asked.method, url, headers=ours, content=asked.raw)
        headers = {name: value for name, value in said.headers.items() if name not in OURS}
        return said.status_code, said.content, headers

    def texts(self, instance: str) -> list[str]:
        return [message["text"] for message in self._gateway.received(instance)]

    def scan(self, instance: str, phone: str = PHONE, name: str = "Sari") -> None:
        self._gateway.simulate("scan", instance, phone=phone, name=name)
        self._gateway.simulate("mode", instance, receipts="none", strangers=sorted(self.strangers))
        self._gateway.wait_for_state("open", instance)

    def unlink(self, instance: str) -> None:
        self._gateway.simulate("unlink", instance)
        self._gateway.wait_for_state("close", instance)

    def drop(self, instance: str) -> None:
        self._gateway.simulate("drop", instance, seconds=600)
        wait_until(lambda: self._gateway.state(instance)["state"] != "open")

    def write(self, instance: str, text: str, sender: str = ANNA) -> None:
        self._gateway.simulate("inbound", instance, sender=sender, text=text)

    def acknowledge(self, instance: str, provider_id: str, kind: str = "delivered") -> None:
        self._gateway.simulate("receipt", instance, id=provider_id, type=kind)
