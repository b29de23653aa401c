import re
import sqlite3
from html import unescape

import pytest
from click import ClickException
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import RequestEntityTooLarge

from wa_admin.api.errors import CATALOGUE
from wa_admin.blueprints.access import public
from wa_admin.cli.terminal import sentences_for_errors
from wa_admin.drivers.contract import GatewayError, Unreachable
from wa_admin.refusal import Refusal
from wa_admin.services.gateways import GatewayRefused
from wa_admin.vocabulary import ERRORS, UNKNOWN_ERROR

HTMX = {"HX-Request": "true"}


def family(error):
    return [error, *(one for child in error.__subclasses__() for one in family(child))]


class Taken(Refusal):
    code = "taken"
    status = 409


@pytest.fixture
def failing(make_app):
    """A browser at a panel where /fails and /api/v1/fails raise what they are told to."""

    def made(error):
        app = make_app()

        @public
        def fail():
            raise error

        app.add_url_rule("/fails", "fails", fail)
        app.add_url_rule("/api/v1/fails", "api_fails", fail)
        return app.test_client()

    return made


def test_what_does_not_exist_has_a_way_on(admin):
    response = admin.get("/nothing-here")
    assert response.status_code == 404
    assert 'href="/messages"' in response.text and "There is nothing here" in response.text


def test_a_stranger_who_is_lost_can_log_in(client):
    assert 'href="/login"' in client.get("/nothing-here").text


def test_a_refusal_becomes_a_page_with_its_sentence_and_status(failing):
    response = failing(Taken("Somebody was faster.")).get("/fails")
    assert response.status_code == 409 and "Somebody was faster." in response.text


def test_a_refusal_becomes_a_toast_for_htmx(failing):
    response = failing(Taken("Somebody was <b>faster</b>.")).get("/fails", headers=HTMX)
    assert response.status_code == 409
    assert 'class="notice' in response.text and "&lt;b&gt;" in response.text and "<html" not in response.text


def test_a_refusal_becomes_the_envelope_of_the_api(failing):
    response = failing(Taken("Somebody was faster.", field="name")).get("/api/v1/fails")
    error = {"code": "taken", "message": "Somebody was faster.", "field": "name"}
    assert (response.status_code, response.json) == (409, {"success": False, "error": error})


def test_an_unknown_address_of_the_api_is_json(client):
    response = client.get("/api/v1/nothing")
    assert response.status_code == 404 and response.json["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/v2/messages", "/api/%ff", "/api/v1/..%2f..%2fetc", "/api//", "/api/v1"]
)
def test_whatever_lies_below_api_answers_in_json(client, path):
    for method in ("GET", "POST", "DELETE", "PATCH"):
        response = client.open(path, method=method, headers={**HTMX, "Accept": "text/html"})
        assert (response.status_code, response.json["error"]["code"]) == (404, "not_found")


def test_a_path_that_only_begins_like_the_api_is_a_page(client):
    assert client.get("/apis").mimetype == "text/html"


def test_a_wrong_host_is_told_in_json_below_api(client):
    response = client.get("/api/v1/messages/", headers={"Host": "evil.example"})
    assert (response.status_code, response.json["error"]["code"]) == (400, "wrong_host")


@pytest.mark.parametrize("path", ["/api/v1/messages/", "/api/admin/whatsapp-sessions"])
@pytest.mark.parametrize("sent", [None, "Bearer wak_nope", "Basic YTpi", "Bearer", "Bearer \xff"])
def test_a_caller_without_a_good_key_is_told_how_to_show_one(client, path, sent):
    response = client.get(path, headers={"Authorization": sent} if sent else {})
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_an_unknown_address_of_the_admin_api_is_json_of_its_own(client):
    assert client.get("/api/admin/nothing").json["code"] == "not_found"


@pytest.mark.parametrize("number", ["9" * 20, "9" * 19, "١"])
@pytest.mark.parametrize("path", ["/messages/{}", "/api/v1/messages/{}/", "/sessions/{}/link"])
def test_a_number_that_no_row_can_have_is_not_found(admin, path, number):
    assert admin.get(path.format(number)).status_code == 404


@pytest.mark.parametrize("path", ["/messages?cursor=", "/activity?cursor=", "/messages/new?copy_of="])
def test_a_number_in_a_query_that_no_row_can_have_is_passed_over(admin, path):
    assert admin.get(path + "9" * 20).status_code == 200


def test_a_method_that_is_not_taken_says_which_are(admin):
    response = admin.delete("/messages")
    assert response.status_code == 405 and "GET" in response.headers["Allow"]


@pytest.mark.parametrize("path", ["/fails", "/api/v1/fails"])
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_bug_shows_a_number_that_is_in_the_log(failing, caplog, path, headers):
    response = failing(RuntimeError("SELECT secret FROM user")).get(path, headers=headers)
    number = response.headers["X-Request-ID"]
    assert response.status_code == 500 and number in response.text
    assert "SELECT" not in response.text and "Traceback" not in response.text
    assert "SELECT secret FROM user" in caplog.text


def test_a_bug_in_the_error_page_itself_is_still_an_answer(failing, caplog):
    client = failing(RuntimeError("first"))
    client.application.jinja_env.globals["asset"] = None
    response = client.get("/fails")
    assert response.status_code == 500 and response.headers["X-Request-ID"] in response.text


@pytest.mark.parametrize("path", ["/fails", "/api/v1/fails"])
def test_a_locked_database_asks_to_come_again(failing, caplog, path):
    locked = OperationalError("UPDATE x", {}, sqlite3.OperationalError("database is locked"))
    response = failing(locked).get(path)
    assert response.status_code == 503 and int(response.headers["Retry-After"]) > 0
    assert "UPDATE" not in response.text and "Traceback" not in caplog.text


def test_another_failure_of_the_database_is_a_bug(failing):
    broken = OperationalError("SELECT x", {}, sqlite3.OperationalError("no such table: x"))
    assert failing(broken).get("/fails").status_code == 500


@pytest.mark.parametrize("path", ["/fails", "/api/v1/fails"])
def test_somebody_elses_change_in_between_is_said(failing, path):
    response = failing(StaleDataError("stale")).get(path)
    assert response.status_code == 409 and "at the same time" in response.text


def test_a_gateway_that_fails_is_explained(failing):
    response = failing(Unreachable("connection refused to 10.0.0.7")).get("/fails")
    assert response.status_code == 502 and "10.0.0.7" not in response.text


def sentences(trouble):
    """Cause and next step, as one text when a service put them together."""
    if isinstance(trouble, Refusal):
        return [str(trouble)]
    return [str(part) for part in ERRORS.get(trouble.code, UNKNOWN_ERROR)]


TROUBLES = [
    pytest.param(trouble, id=f"{type(trouble).__name__}-{trouble.code}")
    for kind in family(GatewayError)
    if kind.__module__.startswith("wa_admin.drivers")  # deliveries have one that never leaves them
    for error in [kind("hush", retry_after_seconds=7)]
    for trouble in (error, GatewayRefused(error))
]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "toast"])
def test_each_trouble_of_a_gateway_says_what_to_do(failing, trouble, headers):
    told = unescape(failing(trouble).get("/fails", headers=headers).text)
    assert [one for one in sentences(trouble) if one not in told] == []
    assert "the log has the cause" not in told and "hush" not in told  # no bug of ours, and no secret


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_of_a_gateway_has_the_status_of_its_code(failing, trouble):
    response = failing(trouble).get("/api/v1/fails")
    told = response.json["error"]
    assert (response.status_code, told["code"]) == (CATALOGUE[trouble.code].status, trouble.code)
    assert told["message"] == " ".join(sentences(trouble)) and response.headers["Retry-After"] == "7"


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_of_a_gateway_is_a_sentence_on_the_command_line(app, trouble):
    with pytest.raises(ClickException) as told, sentences_for_errors():
        raise trouble
    assert told.value.format_message() == " ".join(sentences(trouble))


def test_too_large_is_said(failing):
    assert "too large" in failing(RequestEntityTooLarge()).get("/fails").text


def test_a_form_that_is_out_of_date_says_so(app, admin):
    app.config["WTF_CSRF_ENABLED"] = True
    response = admin.post("/settings/account", data={"csrf_token": "old"})
    assert response.status_code == 400
    assert "This page is out of date" in response.text and "Load the page again" in response.text


def test_the_way_back_stays_on_this_panel(admin):
    ours = admin.get("/settings/people/99", headers={"Referer": "http://localhost/settings/people"})
    theirs = admin.get("/settings/people/99", headers={"Referer": "https://evil.example/x"})
    assert 'href="/settings/people"' in ours.text and "Go back" in ours.text
    assert "Go back" not in theirs.text and "evil.example" not in theirs.text


def test_every_error_page_has_one_heading(admin):
    assert len(re.findall("<h1", admin.get("/nothing-here").text)) == 1
