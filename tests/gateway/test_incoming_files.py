"""Files that people send, on the simulator: told with their message, given for its id, kept for days."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path

import pytest
from running_gateway import RunningGateway

from wa_admin.gateway.engines.incoming_files import KEPT_SECONDS, IncomingFiles

PDF = base64.b64encode(b"%PDF-1.4").decode()
FILE = {"mimetype": "application/pdf", "filename": "Faktur.pdf", "data": PDF}


def fetched(gateway: RunningGateway, message_id: str) -> tuple[int, str | None]:
    answer = gateway.post("chat/getBase64FromMediaMessage", json={"message": {"key": {"id": message_id}}})
    return answer.status_code, answer.json().get("base64")


def test_a_file_that_was_sent_is_given_for_the_id_of_its_message(linked: RunningGateway) -> None:
    message_id = linked.simulate("inbound", **{"from": "628111222333", "file": FILE}).json()["id"]
    assert fetched(linked, message_id) == (201, PDF)


def test_the_pretend_phone_has_a_picture_of_its_own(linked: RunningGateway) -> None:
    message_id = linked.simulate("inbound", **{"from": "628111222333", "picture": "1"}).json()["id"]
    status, picture = fetched(linked, message_id)
    assert status == 201 and base64.b64decode(picture or "").startswith(b"\x89PNG")


def test_a_file_that_was_never_sent_is_not_found(linked: RunningGateway) -> None:
    assert fetched(linked, "3EB0NONE")[0] == 400 and fetched(linked, "../../world.json")[0] == 400


@pytest.mark.parametrize(
    "body", [{}, {"message": 3}, {"message": {"key": 3}}, {"message": {"key": {"id": ""}}}]
)
def test_a_request_without_an_id_is_refused(linked: RunningGateway, body: dict[str, object]) -> None:
    assert linked.post("chat/getBase64FromMediaMessage", json=body).status_code == 400


@pytest.mark.parametrize("file", [3, {}, {"mimetype": "a/b"}, {"mimetype": "a/b", "data": "%"}])
def test_a_file_that_cannot_be_sent_is_refused(linked: RunningGateway, file: object) -> None:
    answer = linked.post_act("inbound", **{"from": "628111222333", "file": file})
    assert answer.status_code == 400


def test_files_outlive_the_process_and_go_after_some_days(tmp_path: Path) -> None:
    IncomingFiles(tmp_path).keep("a", b"1")
    assert IncomingFiles(tmp_path).find("a") == b"1"
    (kept,) = (tmp_path / "incoming").iterdir()
    os.utime(kept, times=(0, time.time() - KEPT_SECONDS - 1))
    IncomingFiles(tmp_path).keep("b", b"2")
    assert IncomingFiles(tmp_path).find("a") is None and IncomingFiles(tmp_path).find("b") == b"2"


def test_a_group_says_what_it_is_called(linked: RunningGateway) -> None:
    told = linked.get("group/findGroupInfos", groupJid="120363000000000001@g.us")
    assert told.json() == {"id": "120363000000000001@g.us", "subject": "Group 0001"}
    assert linked.get("group/findGroupInfos", groupJid="628111222333").status_code == 400
