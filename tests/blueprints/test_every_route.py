"""What holds for whatever is answered: its headers, and that nothing of a failure shows."""

import re
import sqlite3

import pytest
from sqlalchemy.exc import OperationalError
from two_workspaces import ask, routes

from wa_admin.blueprints import headers
from wa_admin.models import Role
from wa_admin.services import api_keys

HUSH = "SELECT hush FROM login_session WHERE token = 'tk_628123'"
LEAKS = re.compile(r"SELECT |hush|Traceback|tk_628123|site-packages|\.py\b")
HTMX = {"HX-Request": "true"}
STATEMENT = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b")
# of those who ask: nobody, somebody with a cookie, an app with a key
WHO = ("stranger", "person", "app")


@pytest.fixture
def furnished(app, stub, make_session, make_message):
    """Number 1 of most things."""
    make_message(make_session())
    return app


@pytest.fixture
def clients(furnished, signed_in):
    """A browser or app of each kind, new for each request: some routes end the log-in."""
    key = api_keys.issue(1, "orders-api", actor="cli")[1]

    def made(who):
        client = signed_in(Role.ADMIN) if who == "person" else furnished.test_client()
        if who == "app":
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        return client

    return made


def every_route(app):
    yield from ((method, endpoint, path) for method, endpoint, path, _ in routes(app, 1))
    for method, path in (
        ("GET", "/nothing"),
        ("GET", "/api/v1/nothing"),
        ("PUT", "/messages"),
        ("TRACE", "/"),
    ):
        yield method, "", path


def lacking(response):
    """What of the headers it should carry."""
    wanted = dict(headers.ON_EVERYTHING)
    if response.request.path.startswith("/l/"):
        del wanted["Referrer-Policy"]  # its pages want no-referrer; tried with them
    missing = [name for name, value in wanted.items() if response.headers.get(name) != value]
    if response.headers.get("Cache-Control") != "no-store" and not response.request.path.startswith(
        "/static/"
    ):
        missing.append("Cache-Control")
    allowed = [name for name, _ in response.headers if name.startswith("Access-Control-")]
    return missing + allowed


@pytest.mark.parametrize("who", WHO)
def test_every_answer_of_every_route_carries_the_headers(furnished, clients, who):
    bare, seen, client = [], set(), clients(who)
    for method, _endpoint, path in every_route(furnished):
        client = client if method == "GET" else clients(who)
        response = ask(client, method, path)
        seen.add(response.status_code)
        bare += [(method, path, response.status_code, missing) for missing in lacking(response)]
    assert bare == [] and {404, 405} <= seen


@pytest.fixture
def broken(furnished):
    """Every view raises something that nobody may see; those that were reached."""
    usual, reached = dict(furnished.view_functions), set()

    def failing(endpoint, view):
        def fail(**_):
            reached.add(endpoint)
            raise RuntimeError(HUSH)

        fail.__dict__.update(view.__dict__)  # who may, and what it is in the document
        return fail

    for endpoint, view in usual.items():
        if endpoint != "static":
            furnished.view_functions[endpoint] = failing(endpoint, view)
    yield reached
    furnished.view_functions.update(usual)


@pytest.mark.parametrize("how", [{}, HTMX], ids=["page", "fragment"])
def test_nothing_of_a_failure_shows_whatever_route_it_happens_in(broken, furnished, clients, how):
    wrong, client = [], clients("person")
    for method, endpoint, path in every_route(furnished):
        broken.discard(endpoint)
        response = ask(client, method, path, headers=how)
        if endpoint not in broken:  # a poll that had no news, or a webhook that proved nothing
            continue
        found = LEAKS.findall(response.text + str(response.headers)) + lacking(response)
        if response.status_code != 500 or response.headers["X-Request-ID"] not in response.text or found:
            wrong.append((method, path, response.status_code, found))
    assert len(broken) > 100 and wrong == []


def test_nothing_is_called_done_that_could_not_be_written(furnished, clients, on_statement):
    """The disk is full from the first change on that a request wants to make."""
    wrote = []

    def refuse(_connection, _cursor, statement, *_):
        if STATEMENT.match(statement):
            wrote.append(statement)
            raise OperationalError(HUSH, {}, sqlite3.OperationalError("database or disk is full"))

    asked = [
        (who, clients(who), route) for who in WHO for route in every_route(furnished) if route[0] != "GET"
    ]
    on_statement(refuse)
    wrong, met = [], 0
    for who, client, (method, _endpoint, path) in asked:
        wrote.clear()
        response = ask(client, method, path)
        if not wrote:
            continue
        met += 1
        if response.status_code < 400 or LEAKS.search(response.text):
            wrong.append((who, method, path, response.status_code, response.location, wrote))
    assert met > 50 and wrong == []
