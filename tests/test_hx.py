import json

import pytest
from flask import Flask

from wa_admin import hx
from wa_admin.extensions import htmx


@pytest.fixture
def bare():
    app = Flask("bare")
    htmx.init_app(app)
    return app


def asking(bare, **headers):
    return bare.test_request_context(headers={"HX-Request": "true", **headers})


def test_a_fragment_is_asked_for_by_htmx_only(bare):
    with asking(bare, **{"HX-Request-Type": "partial"}):
        assert hx.asked()
    with asking(bare, **{"HX-Request-Type": "full"}):
        assert not hx.asked()
    with bare.test_request_context():
        assert not hx.asked()


def test_what_is_spoken_is_text(bare):
    with asking(bare):
        answer = hx.fragment("<p>x</p>", say="<b>Toko</b>")
    assert (
        answer.get_data(as_text=True)
        == '<p>x</p><p id="status" hx-swap-oob="innerHTML">&lt;b&gt;Toko&lt;/b&gt;</p>'
    )


def test_events_travel_as_ascii(bare):
    with asking(bare):
        header = hx.fragment("", events={"wa:changed": {"name": "São"}}).headers["HX-Trigger"]
    assert header.isascii() and json.loads(header) == {"wa:changed": {"name": "São"}}


def test_another_page_is_a_header_for_htmx_and_a_redirect_else(bare):
    with asking(bare):
        assert (hx.go("/x").status_code, hx.go("/x").headers["HX-Redirect"]) == (204, "/x")
    with bare.test_request_context():
        assert (hx.go("/x").status_code, hx.go("/x").location) == (303, "/x")


def test_secrets_and_polls_are_never_stored(bare):
    with asking(bare):
        answers = [hx.fragment("x"), hx.unchanged(), hx.go("/"), hx.sign_in("/login")]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
