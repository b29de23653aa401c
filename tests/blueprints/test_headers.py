import re

import pytest

from wa_admin import config
from wa_admin.blueprints import headers

HTTPS = {"base_url": "https://wa.example"}


def settings(tmp_path, **environ):
    return config.load({"WA_DATA_DIR": str(tmp_path), **environ})


@pytest.mark.parametrize(
    "path", ["/login", "/", "/nothing-here", "/healthz", "/static/app.css", "/api/v1/nothing", "/setup"]
)
def test_every_answer_carries_the_headers(client, path):
    response = client.get(path, buffered=True)
    for name, value in headers.ON_EVERYTHING.items():
        assert response.headers[name] == value, name


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere():
    policy = dict(part.split(" ", 1) for part in headers.CONTENT_SECURITY_POLICY.split("; "))
    assert policy["default-src"] == "'none'"
    assert set(policy.values()) == {"'none'", "'self'"}


def test_a_broken_page_carries_them_too(app, admin):
    app.view_functions["settings.account"].__globals__["browsers"]
    response = admin.get("/settings/people/99999")
    assert response.status_code == 404 and "Content-Security-Policy" in response.headers


def test_https_is_required_from_then_on_where_it_is_used(make_app):
    client = make_app(WA_PUBLIC_URL="https://wa.example").test_client()
    assert client.get("/login", **HTTPS).headers["Strict-Transport-Security"] == headers.STRICT_TRANSPORT
    assert "Strict-Transport-Security" not in client.get("/login").headers


@pytest.mark.parametrize(
    "path", ["/settings/account", "/settings/keys", "/", "/messages", "/activity", "/login"]
)
def test_nothing_of_a_signed_in_person_is_stored(admin, path):
    assert admin.get(path).headers["Cache-Control"] == "no-store"


def test_static_files_are_kept_for_ever_under_an_address_of_their_content(client):
    page = client.get("/login").text
    address = re.search(r'href="(/static/app\.css\?v=\w+)"', page)[1]
    assert client.get(address, buffered=True).headers["Cache-Control"] == headers.FOR_EVER


def test_a_static_file_without_its_version_is_asked_for_again(client):
    assert "immutable" not in client.get("/static/app.css", buffered=True).headers["Cache-Control"]


def test_fragments_and_pages_are_not_mixed_up(client):
    assert "HX-Request" in client.get("/login").headers["Vary"]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "BREW"])
@pytest.mark.parametrize("path", ["/", "/static/app.css", "/nothing", "/api/v1/sessions/list/"])
def test_other_methods_are_refused(client, method, path):
    assert client.open(path, method=method).status_code == 405


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::1", "a b"]
)
def test_a_host_that_is_not_ours_is_refused(client, host):
    assert client.get("/login", headers={"Host": host}).status_code == 400


def test_a_refused_host_is_not_repeated(client):
    assert "evil.example" not in client.get("/login", headers={"Host": "evil.example"}).text


def test_probes_answer_by_any_name(client):
    assert client.get("/healthz", headers={"Host": "10.1.2.3:8000"}).status_code == 200


@pytest.mark.parametrize(
    ("environ", "host", "trusted"),
    [
        ({}, "localhost:8000", True),
        ({}, "127.0.0.1:8000", True),
        ({}, "127.8.8.8", True),
        ({}, "[::1]:8000", True),
        ({}, "panel.localhost", True),
        ({}, "192.168.1.20:8000", False),
        ({"WA_PUBLIC_URL": "https://wa.example"}, "wa.example", True),
        ({"WA_PUBLIC_URL": "https://wa.example"}, "WA.example:443", True),
        ({"WA_PUBLIC_URL": "https://wa.example"}, "other.wa.example", False),
        ({"WA_HOST": "0.0.0.0", "WA_ALLOW_INSECURE_HTTP": "1"}, "192.168.1.20:8000", True),
        ({"WA_HOST": "0.0.0.0", "WA_ALLOW_INSECURE_HTTP": "1"}, "[fd00::7]:8000", True),
        ({"WA_HOST": "0.0.0.0", "WA_ALLOW_INSECURE_HTTP": "1"}, "203.0.113.7.evil.example", False),
        ({"WA_HOST": "0.0.0.0", "WA_ALLOW_INSECURE_HTTP": "1"}, "8.8.8.8", False),
        ({"WA_HOST": "10.0.0.5", "WA_ALLOW_INSECURE_HTTP": "1"}, "10.0.0.5:8000", True),
    ],
)
def test_the_panel_goes_by_its_own_names(tmp_path, environ, host, trusted):
    assert headers.is_trusted(host, settings(tmp_path, **environ)) is trusted


@pytest.mark.parametrize(
    "path",
    [
        "/static/../pyproject.toml", "/static/%2e%2e/pyproject.toml", "/static/..%2f..%2fetc/passwd",
        "/static//etc/passwd", "/static/%00", "/static/....//....//etc/passwd",
    ],
)  # fmt: skip
def test_nothing_but_static_files_is_served_from_disk(client, path):
    assert client.get(path).status_code in (404, 308)


def test_the_cookie_is_locked_to_this_host(client):
    cookie = client.get("/login").headers["Set-Cookie"]
    assert cookie.startswith("__Host-wa=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    signature = cookie.partition(";")[0].rpartition(".")[2]
    assert len(signature) == 43  # base64 of the 32 bytes of HMAC-SHA-256


def test_plain_http_on_a_network_gets_a_cookie_that_works(make_app):
    client = make_app(WA_HOST="0.0.0.0", WA_ALLOW_INSECURE_HTTP="1").test_client()
    cookie = client.get("/login").headers["Set-Cookie"]
    assert cookie.startswith("wa=") and "Secure" not in cookie
