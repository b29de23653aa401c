"""Nothing that must stay secret reaches a log, and nothing can pass for a line of ours."""

import io
import json
import logging
import sys
import time

import pytest
from flask import Flask

from wa_admin import log

NUMBER = "6281234567890"


@pytest.fixture(autouse=True)
def restored():
    """set_up() replaces the root logger's handlers; pytest needs its own back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def written(monkeypatch):
    """What a process with this log format wrote."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    log.set_up("text")
    return stream


@pytest.fixture
def written_json(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    log.set_up("json")
    return stream


@pytest.mark.parametrize(
    "number",
    [
        "+62 812-3456-7890",
        "6281234567890",
        "+6281234567890",
        "0812-3456-7890",
        "6281234567890@s.whatsapp.net",
    ],
)
def test_a_phone_number_is_masked(number):
    masked = log.redact(f"sending to {number} now")
    assert "***890" in masked
    assert "34567" not in masked.replace("-", "")


@pytest.mark.parametrize(
    ("secret", "around"),
    [
        ("wak_abcdefghijklmnop", "key {}"),
        ("2@AbCd/ef+gh==,ij,kl", "code {}"),
        ("s3cr3t-of-the-hook", "POST /hooks/1/{}/qrcode-updated 200"),
        ("abcdef0123456789", "Authorization: Bearer {}"),
        ("hunter2", "password={}"),
        ("hunter2", '{{"apikey": "{}"}}'),
        ("ABCD1234", "pairing_code: {}"),
        ("d0d5a4a3b59e4ad5be2f1f3a0c9b8d7e", "instance {}"),
        ("iVBORw0KGgoAAAANSUhEUgAAAfQAAAH0CAYAAADL1t", "image {}"),
    ],
)
def test_a_secret_is_hidden(secret, around):
    assert secret not in log.redact(around.format(secret))


@pytest.mark.parametrize(
    "harmless",
    [
        "2026-11-21 03:04:05 GET /sessions/12/card 200 7 ms",
        "gateway ready on http://127.0.0.1:8010",
        "/usr/local/lib/python3.11/site-packages/some/long/path/of/a/module/file",
        "message 3EB0C431C26A1916E07A took 0.123456 s",
    ],
)
def test_what_is_no_secret_stays_readable(harmless):
    assert log.redact(harmless) == harmless


@pytest.mark.parametrize("text", ["a", "a-", "/", "0", "0 ", "2@", "token ", "bearer ", "/hooks/", "+1 "])
def test_a_long_text_takes_no_long_time(text):
    began = time.process_time()
    log.redact(text * 50_000)
    assert time.process_time() - began < 1


def test_arguments_are_redacted_too(written):
    logging.getLogger("wa_admin.test").warning("sending to %s failed", NUMBER)
    assert "sending to +62***890 failed" in written.getvalue()


def test_a_line_break_cannot_forge_a_line(written):
    logging.getLogger("wa_admin.test").warning(
        "name: %s", "x\n2026-11-21 00:00:00Z INFO wa_admin: all is well"
    )
    assert len(written.getvalue().splitlines()) == 1


def test_a_traceback_is_indented_and_redacted(written):
    try:
        raise ValueError(f"no such number\n{NUMBER}")
    except ValueError:
        logging.getLogger("wa_admin.test").exception("failed")
    first, *rest = written.getvalue().splitlines()
    assert all(line.startswith("    ") for line in rest)
    assert NUMBER not in written.getvalue()


def test_json_is_one_object_a_line_without_secrets(written_json):
    logging.getLogger("wa_admin.test").warning("to %s", NUMBER, extra={"recipient": NUMBER})
    record = json.loads(written_json.getvalue())
    assert (record["message"], record["recipient"], record["level"]) == (
        "to +62***890",
        "+62***890",
        "WARNING",
    )


def test_a_request_is_one_line_with_its_id_and_without_its_query(written):
    answer = _application().test_client().get("/page?token=abcdef&to=6281234567890")
    (line,) = written.getvalue().splitlines()
    assert "GET /page 200" in line
    assert line.endswith(f"[{answer.headers['X-Request-ID']}]")


def test_a_path_without_end_is_cut(written):
    _application().test_client().get("/page" + "/a" * 1000)
    assert len(written.getvalue()) < 500


def test_polls_are_not_worth_a_line(written):
    client = _application().test_client()
    client.get("/page", headers={"HX-Request": "true"})
    client.get("/healthz")
    assert written.getvalue() == ""


def test_a_poll_that_fails_is_worth_a_line(written):
    _application().test_client().get("/missing", headers={"HX-Request": "true"})
    assert "GET /missing 404" in written.getvalue()


def _application():
    app = Flask("wa_admin_test")
    log.follow_requests(app)
    app.add_url_rule("/page", view_func=lambda: "x", endpoint="page")
    app.add_url_rule("/healthz", view_func=lambda: "x", endpoint="healthz")
    return app
