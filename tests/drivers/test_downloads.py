"""Files of messages that came in: from the gateway itself, of the size that was asked for, or not at all."""

import base64

import httpx
import pytest

from wa_admin.drivers import DRIVERS
from wa_admin.drivers.contract import Access, BadAnswer, InstanceNotFound, Rejected, TooLarge, Unsupported

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 100
SOURCES = {
    "evolution": {"id": "3EB0AA"},
    "bundled": {"id": "3EB0AA"},
    "waha": {"path": "/api/files/main/3EB0AA.png"},
    "wa_gateway": {"name": "0b1f.jpg"},
}
IN_JSON = ("evolution", "bundled")


@pytest.fixture
def download():
    """What a driver makes of the gateway's answer; `asked` are the requests."""
    asked = []

    def ask(kind, source=None, answer=None, most_bytes=1000):
        body = {"base64": base64.b64encode(PNG).decode()} if kind in IN_JSON else None
        found = answer or (httpx.Response(201, json=body) if body else httpx.Response(200, content=PNG))

        def serve(request):
            asked.append(request)
            return found

        access = Access("http://gateway.example:3000", key="k" * 20)
        driver = DRIVERS[kind](access, transport=httpx.MockTransport(serve))
        return driver.download("main", SOURCES.get(kind, {}) if source is None else source, most_bytes)

    ask.asked = asked
    return ask


@pytest.mark.parametrize("kind", SOURCES)
def test_a_file_is_fetched_with_the_key_from_the_gateway_itself(download, kind):
    assert download(kind).content == PNG
    (request,) = download.asked
    assert request.url.host == "gateway.example" and "k" * 20 in request.headers.values()


@pytest.mark.parametrize("kind", SOURCES)
def test_no_more_is_read_than_was_asked_for(download, kind):
    large = b"x" * 200_000
    body = {"base64": base64.b64encode(large).decode()}
    answer = httpx.Response(201, json=body) if kind in IN_JSON else httpx.Response(200, content=large)
    with pytest.raises(TooLarge):
        download(kind, answer=answer)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_file_that_is_gone_is_not_asked_for_again(download, kind):
    with pytest.raises((InstanceNotFound, Rejected)) as caught:
        download(kind, answer=httpx.Response(404, json={"message": "not found"}))
    assert caught.value.permanent


@pytest.mark.parametrize("body", [{}, {"base64": None}, {"base64": "%"}, {"base64": 3}, [], "x"])
def test_an_answer_without_a_file_is_a_bad_one(download, body):
    with pytest.raises(BadAnswer):
        download("evolution", answer=httpx.Response(201, json=body))


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("waha", {"path": "/api/sessions"}),
        ("waha", {"path": "http://elsewhere.example/api/files/x"}),
        ("waha", {}),
        ("wa_gateway", {"name": "../session"}),
        ("wa_gateway", {"name": "a/b.jpg"}),
        ("wa_gateway", {}),
    ],
)
def test_no_address_but_that_of_a_file_is_asked(download, kind, source):
    with pytest.raises(Rejected):
        download(kind, source)
    assert download.asked == []


@pytest.mark.parametrize("kind", sorted(set(DRIVERS) - set(SOURCES)))
def test_who_gives_no_files_says_so(kind):
    driver = DRIVERS[kind].__new__(DRIVERS[kind])
    assert "download" not in DRIVERS[kind].capabilities
    with pytest.raises(Unsupported):
        driver.download("main", {}, 1000)
