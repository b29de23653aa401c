"""Calls made up from the OpenAPI document: none breaks anything, each answer is as written there, and what is
refused leaves no trace."""

from __future__ import annotations

from functools import cache

import pytest
import schemathesis
from footprint import footprint
from hypothesis import given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from wa_admin.api.document import document
from wa_admin.services import api_keys, subscriptions

TAGS = ("messages", "sessions", "chats", "webhooks", "admin")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
GENTLE_FIRST = ("get", "post", "put", "patch", "delete")


@pytest.fixture
def described(app, stub, connected, make_message):
    """Something of everything, so that number 1 is there."""
    make_message(connected)
    subscriptions.add(1, "orders-app", "https://93.184.216.34/hook", ["message.status"], actor="cli")
    return schema(app)


@cache  # which application it is changes nothing in it, and to read it takes as long as its calls
def schema(app):
    return schemathesis.openapi.from_wsgi("/api/openapi.json", app)


@pytest.fixture
def authorization():
    return {"Authorization": f"Bearer {api_keys.issue(1, 'orders-api', actor='cli')[1]}"}


def operations(described, tag):
    found = [one.ok() for one in described.get_all_operations()]
    return sorted(
        (one for one in found if tag in (one.tags or [])),
        key=lambda one: GENTLE_FIRST.index(one.method.lower()),
    )


def test_every_call_belongs_to_a_tag(described):
    calls = [told for path in document()["paths"].values() for told in path.values() if "tags" in told]
    assert sum(len(operations(described, tag)) for tag in TAGS) == len(calls) > 30


@pytest.mark.figure("kinds of calls and webhooks made up from nothing, without harm")
@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("tag", TAGS)
def test_no_call_breaks_anything(app, described, authorization, tag, mode):
    before = footprint()

    def act(case):
        nonlocal before
        if case.path_parameters and mode is GenerationMode.POSITIVE:
            case.path_parameters["id"] = "1"
        with app.app_context():  # one of its own, as when served
            response = case.call(headers=authorization)
        case.validate_response(response, checks=CHECKS, headers=authorization)
        after = footprint()
        assert response.status_code < 400 or after == before, (case.operation.label, response.status_code)
        before = after

    for operation in operations(described, tag):
        settings(settings.get_profile("fuzz"))(given(operation.as_strategy(generation_mode=mode))(act))()
