import pytest
from signed import address, bearing

from wa_admin import log


@pytest.fixture
def requests(app):
    """The requests that got as far as Flask."""
    seen = []
    app.before_request_funcs.setdefault(None, []).append(lambda: seen.append(1))
    yield seen
    app.before_request_funcs[None].pop()


@pytest.mark.parametrize(
    "path", ["/hooks/1/wrong", "/hooks/1/wrong/qrcode-updated", "/hooks/999/x", "/hooks/1/%C3%A9%00%0A"]
)
def test_a_wrong_secret_does_not_get_as_far_as_flask(client, requests, path):
    answer = client.post(path, json={"event": "connection.update"})
    assert (answer.status_code, answer.data, requests) == (404, b"", [])
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("event", ["", "/connection-update"])
def test_the_right_one_does(client, requests, event):
    said = {"event": "x", "instance": "y", "data": {}}
    assert client.post(address() + event, json=said, headers=bearing("y")).status_code == 200
    assert len(requests) == 1


def test_the_secret_of_one_gateway_opens_no_other(client):
    assert client.post(address().replace("/hooks/1/", "/hooks/2/"), json={}).status_code == 404


def test_a_knock_is_in_the_log_without_its_secret(client, caplog):
    with caplog.at_level("INFO", logger="wa_admin.access"):
        client.post("/hooks/1/wrong", json={})
    (line,) = caplog.records
    assert log.Redaction().filter(line)
    assert (line.getMessage().rsplit(" ", 2)[0], line.path) == (
        "POST /hooks/1/[secret] 404",
        "/hooks/1/[secret]",
    )
