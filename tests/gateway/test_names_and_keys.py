"""Any text is a name, and the checks come in Evolution's order: is it there, the key, the body."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest
from running_gateway import RunningGateway

NAMES = [
    "Totale Bot",
    "a/b/c",
    "/both ends/",
    "what?#50%",
    "%2F",
    "../../etc/passwd",
    "quote\"'<b>",
    " spaces around ",
    "Käse 漢字 🐙",
    "x$(reboot)`id`;",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_session_of_any_name_lives_from_creation_to_deletion(
    shared_gateway: RunningGateway, name: str
) -> None:
    shared_gateway.create(name)
    shared_gateway.link(name)
    assert shared_gateway.send("hello", name).status_code == 201
    assert [message["text"] for message in shared_gateway.received(name)] == ["hello"]
    listed = shared_gateway.client.get("/instance/fetchInstances", params={"instanceName": name})
    assert [one["name"] for one in listed.json()] == [name]
    assert shared_gateway.delete("instance/delete", name).status_code == 200
    assert shared_gateway.get("instance/connectionState", name).status_code == 404


def test_names_are_never_paths(shared_gateway: RunningGateway) -> None:
    shared_gateway.create("../../outside", qrcode=True)
    homes = [path.name for path in (shared_gateway.data_dir / "gateway" / "sessions").iterdir()]
    assert all(len(home) == 36 for home in homes)
    assert not list(Path(shared_gateway.data_dir).parent.glob("**/outside"))


@pytest.mark.parametrize("name", ["", "x" * 256, "new\nline", "nul\x00", None, 5, ["a"], "\ud800"])
def test_a_name_that_cannot_be_addressed_is_refused(shared_gateway: RunningGateway, name: object) -> None:
    body = {"instanceName": name, "integration": "WHATSAPP-BAILEYS"}
    response = shared_gateway.client.post("/instance/create", content=json.dumps(body))
    assert response.status_code == 400
    assert response.json()["response"]["message"]


def test_of_four_at_once_one_gets_the_name(shared_gateway: RunningGateway) -> None:
    body = {"instanceName": "wanted by four", "integration": "WHATSAPP-BAILEYS"}
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda _: shared_gateway.client.post("/instance/create", json=body), range(4))
    assert sorted(answer.status_code for answer in answers) == [201, 403, 403, 403]


def test_a_query_parameter_does_not_reach_another_session(shared_gateway: RunningGateway) -> None:
    shared_gateway.create("mine", token="token-of-mine")
    shared_gateway.create("theirs")
    response = shared_gateway.client.get(
        "/instance/connectionState/mine?instanceName=theirs", headers={"apikey": "token-of-mine"}
    )
    assert response.json()["instance"]["instanceName"] == "mine"


ROUTES = [
    ("GET", "/instance/connectionState/{}"),
    ("GET", "/instance/connect/{}"),
    ("POST", "/instance/restart/{}"),
    ("POST", "/instance/stop/{}"),
    ("DELETE", "/instance/logout/{}"),
    ("DELETE", "/instance/delete/{}"),
    ("POST", "/webhook/set/{}"),
    ("GET", "/webhook/find/{}"),
    ("POST", "/settings/set/{}"),
    ("GET", "/settings/find/{}"),
    ("POST", "/message/sendText/{}"),
    ("POST", "/message/sendMedia/{}"),
    ("GET", "/message/reference/{}/1"),
    ("POST", "/chat/whatsappNumbers/{}"),
    ("POST", "/simulator/{}/scan"),
    ("GET", "/simulator/{}/received"),
]


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_a_missing_session_is_told_before_a_wrong_key_and_that_before_a_bad_body(
    shared_gateway: RunningGateway, method: str, route: str
) -> None:
    client = shared_gateway.client
    if not client.get("/instance/fetchInstances?instanceName=locked").is_success:
        shared_gateway.create("locked")
        shared_gateway.create("neighbour", token="token-of-a-neighbour")
    answers = [
        client.request(method, route.format(name), headers={"apikey": key}).status_code
        for name, key in [("missing", "wrong"), ("locked", "wrong"), ("locked", "token-of-a-neighbour")]
    ]
    assert answers == [404, 401, 401]


@pytest.mark.parametrize("key", ["", "wrong", "ключ", "test-gateway-ke", "TEST-GATEWAY-KEY", "é" * 5000])
def test_only_the_exact_key_opens(shared_gateway: RunningGateway, key: str) -> None:
    headers = [("apikey", key.encode())]
    response = shared_gateway.client.get("/instance/fetchInstances", headers=headers)  # type: ignore[arg-type]
    assert response.status_code == 401


def test_a_key_in_the_query_counts_for_nothing(shared_gateway: RunningGateway) -> None:
    path = f"/instance/fetchInstances?apikey={shared_gateway.key}"
    assert shared_gateway.client.get(path, headers={"apikey": ""}).status_code == 401


def test_a_body_that_is_too_large_is_refused(shared_gateway: RunningGateway) -> None:
    connection = HTTPConnection("127.0.0.1", shared_gateway.port, timeout=60)
    connection.putrequest("POST", "/instance/create")
    connection.putheader("Content-Length", str(10**10))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize("body", ["[]", "null", "5", '"text"', "{", "[" * 100_000, '{"a":"\\ud800"}'])
def test_a_strange_body_is_a_bad_request(shared_gateway: RunningGateway, body: str) -> None:
    response = shared_gateway.client.post("/instance/create", content=body)
    assert response.status_code == 400
    assert response.json()["status"] == 400
