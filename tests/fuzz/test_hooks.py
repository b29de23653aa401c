"""Webhooks made up from nothing, and from what was recorded with some of it changed: none breaks anything,
what is refused leaves no trace, and what is taken can be read."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path

import pytest
from footprint import footprint
from hypothesis import given, settings
from hypothesis import strategies as st
from signed import KEY, PROOFS, proof

from wa_admin.extensions import db, writing
from wa_admin.models import HookCall
from wa_admin.services import gateways

PAYLOADS = Path(__file__).parent.parent / "drivers" / "payloads"
KINDS = {"bundled": "evolution", "evolution": "evolution", "gowa": "gowa", "waha": "waha",
         "wa_gateway": "wa_gateway", "wwebjs": "wwebjs"}  # fmt: skip
OF_A_SESSION = ("instance", "session", "session_id", "sessionId")
MANY = 8  # examples, for one of the API

TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "\x00", "\ud800", "x" * 5000, "<b>", "1@s.whatsapp.net", "@g.us", "3EB0", "connected", "-1"]
    ),
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 2**31, 2**63, 10**300, 1795227139, 1795227139000]),
)
OF_A_HEADER = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=90
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@cache
def recordings(kind):
    """The bodies of webhooks that gateways of this kind post."""
    found = []
    for path in sorted((PAYLOADS / KINDS[kind]).glob("*.json")):
        said = json.loads(path.read_text())
        if kind not in ("bundled", "evolution"):
            found.append(said)
        elif path.stem.startswith("event_"):
            found.append(said["request"]["body"])
    return [_of_our_session(said) for said in found if isinstance(said, dict)]


def _of_our_session(said):
    return {**said, **{name: "support_line" for name in OF_A_SESSION if isinstance(said.get(name), str)}}


def places(value, way=()):
    """The way to everything inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*way, key)
        yield from places(one, (*way, key))


@st.composite
def changed(draw, kind):
    """A recording, one to three things in it left out or replaced."""
    said = copy.deepcopy(draw(st.sampled_from(recordings(kind))))
    for _ in range(draw(st.integers(1, 3))):
        if not said:
            break
        *way, last = draw(st.sampled_from(list(places(said))))
        holder = said
        for key in way:
            holder = holder[key]
        if draw(st.integers(0, 3)) == 0:
            del holder[last]
        else:
            holder[last] = draw(VALUES)
    return said


def names_no_session(said):
    """As the tokens of Evolution and the bundled gateway ask for it."""
    named = said if isinstance(said, dict) else {}
    return not all(isinstance(named.get(name), str) and named[name] for name in ("event", "instance"))


@pytest.fixture(params=KINDS)
def gateway(request, app, stub, connected):
    """The one gateway there is, as if it were of this kind."""
    with writing():
        found = gateways.of_workspace()
        found.kind, found.sealed_key = request.param, gateways.vault().seal(KEY)
    return found


@pytest.fixture
def post(gateway, client):
    path = "/hooks/" + gateways.hook_url(gateway).split("/hooks/")[1]
    return lambda body, **headers: client.post(path, data=body, headers=headers)


def feed(strategy, act):
    usual = settings.get_profile("fuzz")
    settings(usual, max_examples=usual.max_examples * MANY)(given(strategy)(act))()


def as_body(said):
    return json.dumps(said).encode()  # half a character is escaped, and NaN stays what JSON has no word for


@pytest.mark.figure("kinds of calls and webhooks made up from nothing, without harm")
def test_what_a_gateway_posts_breaks_nothing(gateway, post):
    before = footprint()

    def act(said):
        nonlocal before
        body = as_body(said)
        status = post(body, **proof(gateway, body)).status_code
        assert status in (200, 400) or (status == 401 and names_no_session(said)), said
        after = footprint()
        assert status == 200 or after == before, said
        before = after
        unread = db.session.query(HookCall).filter(HookCall.sealed_body.is_not(None)).all()
        assert [(one.error_code, one.tries) for one in unread] == [], said

    feed(changed(gateway.kind) | VALUES, act)


@pytest.mark.figure("kinds of calls and webhooks made up from nothing, without harm")
@pytest.mark.parametrize("gateway", PROOFS, indirect=True)
def test_without_its_proof_nothing_of_it_is_taken(gateway, post):
    names = sorted({*PROOFS.values(), "Authorization"})
    before = footprint()

    def act(made):
        said, name, forged = made
        status = post(as_body(said), **{name: forged}).status_code
        assert status == 401 and footprint() == before, (name, forged)

    feed(st.tuples(changed(gateway.kind), st.sampled_from(names), OF_A_HEADER), act)


def test_no_other_address_takes_anything(app, client):
    before = footprint()

    def act(made):
        number, secret, event, said = made
        answer = client.post(f"/hooks/{number}/{secret}{event}", json=said)
        assert (answer.status_code, footprint()) == (404, before)

    words = st.text("abcXYZ019_-.", min_size=1, max_size=50)
    feed(st.tuples(st.integers(0, 3), words, st.sampled_from(["", "/qrcode-updated"]), VALUES), act)
