"""The OpenAPI document, built from what the routes declare: a route that is served is in it."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import current_app
from flask_babel import force_locale, get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from marshmallow import Schema
from werkzeug.routing import Rule

from . import schemas, webhooks
from .errors import ALWAYS, CATALOGUE, WITH_BODY
from .operation import QUERY_METHODS, Operation
from .schemas.shape import Answer

PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")
_OF_PATH: dict[str, tuple[dict[str, Any], Any]] = {
    "int": ({"type": "integer", "minimum": 0}, _l("Its number.")),
    "path": ({"type": "string", "minLength": 1}, _l("The session's number, session_id or name.")),
}
A_MOMENT = "2026-01-31T09:00:00.000Z"


def document(locale: str | None = None) -> dict[str, Any]:
    """The document, in English or in the language given."""
    with force_locale(locale or "en"):
        return _built(current_app.name, str(get_locale()))


def example_of(schema: dict[str, Any], components: dict[str, Any]) -> Any:
    """Something that this schema allows, from the examples its fields give."""
    if "$ref" in schema:
        return example_of(components[schema["$ref"].rpartition("/")[2]], components)
    if "const" in schema:
        return schema["const"]
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    kinds = schema.get("type")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kinds is None and {"type": "null"} in schema.get("oneOf", schema.get("anyOf", [])):
        return None
    if isinstance(kinds, list) and "null" in kinds and schema.get("format") != "date-time":
        return None
    if kind == "object":
        return {name: example_of(inner, components) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [example_of(schema["items"], components)]
    if kind == "string":
        return A_MOMENT if schema.get("format") == "date-time" else ""
    return {"integer": schema.get("minimum", schema.get("default", 0)), "boolean": True}.get(kind or "")


@lru_cache(maxsize=8)
def _built(app_name: str, locale: str) -> dict[str, Any]:
    spec = _Document()
    rules = (rule for rule in current_app.url_map.iter_rules() if rule.rule.startswith("/api/"))
    for rule in sorted(rules, key=_place):
        described = getattr(current_app.view_functions[rule.endpoint], "operation", None)
        if described is not None:
            spec.add(rule, described)
    spec.add_itself()
    return spec.finished()


def _place(rule: Rule) -> tuple[bool, bool]:
    """Messages first, then sessions, then the admin API; within each as declared."""
    return (not rule.rule.startswith("/api/v1/messages/"), not rule.rule.startswith("/api/v1/"))


class _Document:
    def __init__(self) -> None:
        self.plugin = MarshmallowPlugin(schema_name_resolver=_name_of)
        self.spec = APISpec(
            title="wa-admin",
            version=version("wa-admin"),
            openapi_version="3.1.0",
            plugins=[self.plugin],
            info={
                "description": _(
                    "Send WhatsApp messages and look after the linked numbers. Every answer of v1 is "
                    "{“success”: true, “data”: …} or "
                    "{“success”: false, “error”: {“code”, “message”, “field”}}."
                ),
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            tags=[
                {"name": "messages", "description": _("Send, look up, cancel, send again.")},
                {"name": "chats", "description": _("What people write, and what was answered.")},
                {"name": "sessions", "description": _("The linked WhatsApp accounts.")},
                {"name": "webhooks", "description": _("The apps that are told what happens.")},
                {"name": "admin", "description": _("Sessions once more, in the shape of older panels.")},
            ],
            security=[{"bearer": []}, {"cookie": []}],
        )
        self._add_security()
        self._add_failures()
        for name in ("Fault", "Step", "LastLine", "ChatFile"):  # named in other schemas only by reference
            self._reference(name)

    def add(self, rule: Rule, described: Operation) -> None:
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            path = PARAMETER.sub(r"{\2}", rule.rule)
            self.spec.path(path=path, operations={method.lower(): self._operation(rule, method, described)})

    def add_itself(self) -> None:
        """The document and the page made from it, which need no key."""
        for path, summary, mimetype in (
            ("/api/openapi.json", _("This document"), "application/json"),
            ("/api/docs", _("This document as a page"), "text/html"),
        ):
            answer = {"description": _("Done."), "content": {mimetype: {}}}
            told = {"summary": summary, "security": [], "responses": {"200": answer}}
            self.spec.path(path=path, operations={"get": told})

    def finished(self) -> dict[str, Any]:
        told = webhooks.section(self._reference)
        whole = self.spec.to_dict() | {"webhooks": told}
        components = whole["components"]["schemas"]
        for name, schema in components.items():
            made_from = schemas.KINDS.get(name)
            if made_from is not None and issubclass(made_from, Answer):
                schema["required"] = list(schema["properties"])
            elif made_from is not None:
                schema["additionalProperties"] = False
        tidy: dict[str, Any] = _plain(whole)
        for path in tidy["paths"].values():
            for described in path.values():
                if "tags" in described:
                    _add_examples(described, tidy["components"]["schemas"])
        for told in tidy["webhooks"].values():
            media = told["post"]["requestBody"]["content"]["application/json"]
            media["example"] = example_of(media["schema"], tidy["components"]["schemas"])
        return tidy

    def _operation(self, rule: Rule, method: str, described: Operation) -> dict[str, Any]:
        tag = rule.rule.split("/")[3] if rule.rule.startswith("/api/v1/") else "admin"
        told: dict[str, Any] = {
            "operationId": rule.endpoint.replace(".", "_"),
            "tags": [tag],
            "summary": described.summary,
            "parameters": self._parameters(rule, method, described),
            "responses": {**self._successes(described), **_refusals(method, described)},
        }
        if described.description:
            told["description"] = described.description
        if method not in QUERY_METHODS and described.takes != "Nothing":
            content = {"application/json": {"schema": self._reference(described.takes)}}
            is_needed = described.takes not in ("LinkCall", "SyncCall")
            told["requestBody"] = {"required": is_needed, "content": content}
        return told

    def _parameters(self, rule: Rule, method: str, described: Operation) -> list[Any]:
        found: list[Any] = []
        for kind, name in PARAMETER.findall(rule.rule):
            schema, text = _OF_PATH[kind]
            found.append(
                {"in": "path", "name": name, "required": True, "schema": schema, "description": text}
            )
        asked = schemas.of(described.asks)
        found += self.plugin.converter.schema2parameters(asked, location="query")  # type: ignore[union-attr]
        if "Idempotency-Key" in described.headers:
            found.append("IdempotencyKey")
        if method != "GET":
            found.append("CsrfToken")
        return found

    def _successes(self, described: Operation) -> dict[str, Any]:
        schema: dict[str, Any] = self._reference(described.gives)
        if described.many:
            schema = {"type": "array", "items": schema}
        if not described.is_bare:
            schema = _object({"success": {"const": True}, "data": schema}, ["success", "data"])
        return {
            str(status): {
                "description": _meaning_of_success(status),
                "content": {"application/json": {"schema": schema}},
            }
            for status in described.status
        }

    def _reference(self, name: str) -> dict[str, Any]:
        return self.plugin.resolver.resolve_schema_dict(schemas.of(name))  # type: ignore[union-attr,no-any-return]

    def _add_security(self) -> None:
        add = self.spec.components
        add.security_scheme(
            "bearer",
            {
                "type": "http",
                "scheme": "bearer",
                "description": _(
                    "An API key, “wak_…”: Settings > API keys, or `wa-admin keys add NAME`. It belongs to "
                    "one workspace, and may be limited to scopes (look, send, link, manage), to sessions "
                    "and in time."
                ),
            },
        )
        add.security_scheme(
            "cookie",
            {
                "type": "apiKey",
                "in": "cookie",
                "name": current_app.config["SESSION_COOKIE_NAME"],
                "description": _("The login of a person in the panel; then X-CSRFToken is needed as well."),
            },
        )
        add.parameter(
            "CsrfToken",
            "header",
            {
                "name": "X-CSRFToken",
                "required": False,
                "schema": {"type": "string"},
                "description": _("Only with a cookie instead of an API key."),
            },
        )
        add.parameter(
            "IdempotencyKey",
            "header",
            {
                "name": "Idempotency-Key",
                "required": False,
                "schema": {"type": "string", "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
                "description": _(
                    "A name of your own for this message, in printable ASCII: the same key sends it once, "
                    "for 30 days."
                ),
                "example": "order-1042-paid",
            },
        )

    def _add_failures(self) -> None:
        code = {"type": "string", "description": _("Stable, meant for programs.")}
        sentence = {"type": "string", "description": _("For people, in the caller's language.")}
        field = {"type": "string", "description": _("The input it is about.")}
        error = _object({"code": code, "message": sentence, "field": field}, ["code", "message"])
        failure = _object({"success": {"const": False}, "error": error}, ["success", "error"])
        admin_failure = _object({"error": sentence, "code": code, "field": field}, ["error", "code"])
        self.spec.components.schema("Failure", failure)
        self.spec.components.schema("AdminFailure", admin_failure)
        for known in CATALOGUE:
            self.spec.components.example(f"Failure.{known}", {"value": _failure(known, is_bare=False)})
            self.spec.components.example(f"AdminFailure.{known}", {"value": _failure(known, is_bare=True)})


def _refusals(method: str, described: Operation) -> dict[str, Any]:
    codes = [*described.refuses, *ALWAYS]
    if method not in QUERY_METHODS:
        codes += WITH_BODY
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in dict.fromkeys(codes):
        by_status[CATALOGUE[code].status].append(code)
    return {str(status): _refusal(by_status[status], described) for status in sorted(by_status)}


def _refusal(codes: list[str], described: Operation) -> dict[str, Any]:
    meanings = [f"`{code}` {CATALOGUE[code].meaning}" for code in codes]
    name = "AdminFailure" if described.is_bare else "Failure"
    examples = {code: {"$ref": f"#/components/examples/{name}.{code}"} for code in codes}
    content = {"schema": {"$ref": f"#/components/schemas/{name}"}, "examples": examples}
    return {"description": "\n".join(meanings), "content": {"application/json": content}}


def _failure(code: str, *, is_bare: bool) -> dict[str, Any]:
    sentence = str(CATALOGUE[code].meaning)
    if is_bare:
        return {"error": sentence, "code": code}
    return {"success": False, "error": {"code": code, "message": sentence}}


def _meaning_of_success(status: int) -> str:
    if status == 201:
        return _("Done: it is there, or was already sent.")
    if status == 202:
        return _("Accepted: it is stored and will be sent.")
    return _("Done.")


def _add_examples(described: dict[str, Any], components: dict[str, Any]) -> None:
    bodies = [described["requestBody"]] if "requestBody" in described else []
    answers = [answer for status, answer in described["responses"].items() if status.startswith("2")]
    for holder in bodies + answers:
        media = holder["content"]["application/json"]
        media["example"] = example_of(media["schema"], components)
    for body in bodies:  # what nobody must say is left out
        media = body["content"]["application/json"]
        media["example"] = {
            name: value for name, value in media["example"].items() if value not in (None, "")
        }


def _name_of(schema: type[Schema] | Schema | str) -> str:
    found = schema if isinstance(schema, type) else type(schema)
    return found.__name__.removesuffix("Schema")


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


def _plain(value: Any) -> Any:
    """Lazy sentences as text, in the language of now."""
    if isinstance(value, dict):
        plain = {key: _plain(inner) for key, inner in value.items()}
        # a schema of 3.1 is JSON Schema, where an example is one of a list
        if "example" in plain and ("type" in plain or "enum" in plain) and "in" not in plain:
            plain["examples"] = [plain.pop("example")]
        return plain
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
