"""Doors: each checks the role, calls one service, and answers with a page, a fragment or a redirect."""

from collections.abc import Callable
from functools import cache
from typing import Any

from flask import Flask
from werkzeug.routing import IntegerConverter, Rule


def register(app: Flask) -> None:
    app.url_rule_class = Address
    app.url_map.converters["int"] = RowNumber
    from . import (
        access,
        activity,
        alerts,
        api_admin,
        api_chats,
        api_passkeys,
        api_v1,
        api_webhooks,
        auth,
        chats,
        codes,
        docs,
        doubts,
        errors,
        existing,
        gateways,
        headers,
        hooks,
        joining,
        link_pass,
        link_passkeys,
        messages,
        people,
        probes,
        second_factor,
        sessions,
        settings,
        webhooks,
        workspaces,
    )

    for door in (
        alerts, link_pass, link_passkeys, existing, auth, second_factor, sessions, messages, doubts, chats,
        activity, settings, api_v1, api_chats, api_passkeys, api_webhooks, api_admin, docs, hooks, probes,
        codes, gateways, webhooks, people, joining, workspaces,
    ):  # fmt: skip
        app.register_blueprint(door.bp)
    errors.register(app)
    headers.register(app)
    access.register(app)  # last: it refuses to start when a route declares no permission


class Address(Rule):
    """A rule that learns to write itself when it is first asked to: for all of them, that is a tenth of the
    start."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., Any]:
        compiled = cache(super()._compile_builder)
        return lambda rule, /, **values: compiled(append_unknown)(rule, **values)


class RowNumber(IntegerConverter):
    """`<int:id>`: what a database can hold, in plain digits. Anything else is at no address of ours."""

    regex = "[0-9]{1,18}"


def row_number(text: str) -> int:
    """The same in a query, where a page may count backwards. Raises ValueError."""
    number = int(text)
    if abs(number) >= 10**18:
        raise ValueError("no row has this number")
    return number
