import re
import sqlite3

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import RequestEntityTooLarge

from wa_admin.blueprints.access import public
from wa_admin.drivers.contract import Unreachable
from wa_admin.refusal import Refusal

HTMX = {"HX-Request": "true"}


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
