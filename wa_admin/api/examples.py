"""The OpenAPI document turned into what the docs page shows: calls to copy, fields and refusals in rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask_babel import gettext as _

from .errors import ALWAYS, CATALOGUE, WITH_BODY

# what the Python helper offers is shown instead of a plain HTTP call
HELPER = {
    "api_v1_send": """\
from wa_admin import send_whatsapp_message

sent = send_whatsapp_message("{recipient}", "{message}")
print(sent.id, sent.status)""",
    "api_v1_status": """\
from wa_admin.whatsapp import get_session_status

print(get_session_status("{id}"))""",
    "api_v1_list_sessions": """\
from wa_admin.whatsapp import get_active_whatsapp_sessions

for session in get_active_whatsapp_sessions():
    print(session.name, session.is_connected)""",
    "api_v1_connect": """\
from wa_admin.whatsapp import start_whatsapp_session

start_whatsapp_session("{id}")  # prints the QR code when one is needed""",
}
IN_PATH = {"id": "support_line"}
MESSAGE_ID = "42"


@dataclass(frozen=True)
class Row:
    """One thing a call takes: `kind` is its type with its limits."""

    name: str
    kind: str
    is_required: bool
    description: str


@dataclass(frozen=True)
class Answer:
    status: int
    meaning: str
    example: str


@dataclass(frozen=True)
class Refusal:
    status: int
    code: str
    meaning: str


@dataclass(frozen=True)
class Call:
    id: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[Row]
    fields: list[Row]
    curl: str
    python: str
    answers: list[Answer]
    refusals: list[Refusal]


@dataclass(frozen=True)
class Group:
    name: str
    description: str
    calls: list[Call]


@dataclass(frozen=True)
class Event:
    """What an app is told."""

    kind: str
    summary: str
    example: str


def events(document: dict[str, Any]) -> list[Event]:
    """The section `webhooks` of the document."""
    return [
        Event(
            kind,
            told["post"]["summary"],
            _pretty(told["post"]["requestBody"]["content"]["application/json"]["example"]),
        )
        for kind, told in document["webhooks"].items()
    ]


def refusal(code: str) -> Refusal:
    known = CATALOGUE[code]
    return Refusal(known.status, code, str(known.meaning))


def refusals_of_every_call() -> list[Refusal]:
    return [refusal(code) for code in sorted(ALWAYS + WITH_BODY, key=lambda code: CATALOGUE[code].status)]


def groups(document: dict[str, Any], address: str) -> list[Group]:
    """What the page shows. `address` is where the panel is reached."""
    reader = _Reader(document, address)
    calls = [
        (described["tags"][0], reader.call(path, method, described))
        for path, methods in document["paths"].items()
        for method, described in methods.items()
        if "tags" in described
    ]
    return [
        Group(tag["name"], tag["description"], [call for name, call in calls if name == tag["name"]])
        for tag in document["tags"]
    ]


class _Reader:
    def __init__(self, document: dict[str, Any], address: str) -> None:
        self.components = document["components"]
        self.address = address

    def call(self, path: str, method: str, described: dict[str, Any]) -> Call:
        body = described.get("requestBody")
        media = body["content"]["application/json"] if body else None
        example = media["example"] if media else None
        parameters = [self._resolved(one) for one in described["parameters"]]
        filled = _filled(path, described["operationId"])
        return Call(
            id=described["operationId"].removeprefix("api_"),
            method=method.upper(),
            path=path,
            summary=described["summary"],
            description=described.get("description", ""),
            parameters=[self._parameter(one) for one in parameters if one["name"] != "X-CSRFToken"],
            fields=self._fields(media["schema"]) if media else [],
            curl=self._curl(method, filled + _query(parameters), example),
            python=self._python(described["operationId"], method, filled + _query(parameters), example),
            answers=[
                Answer(
                    int(status), told["description"], _pretty(told["content"]["application/json"]["example"])
                )
                for status, told in described["responses"].items()
                if status < "300"
            ],
            refusals=[
                refusal(code)
                for status, told in described["responses"].items()
                if status >= "300"
                for code in told["content"]["application/json"]["examples"]
                if code not in ALWAYS + WITH_BODY
            ],
        )

    def _resolved(self, thing: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in thing:
            return thing
        kind, name = thing["$ref"].split("/")[-2:]
        resolved: dict[str, Any] = self.components[kind][name]
        return resolved

    def _parameter(self, parameter: dict[str, Any]) -> Row:
        name = parameter["name"]
        if parameter["in"] == "header":
            name = _("%(name)s (header)", name=name)
        return Row(
            name, self._kind(parameter["schema"]), parameter["required"], parameter.get("description", "")
        )

    def _fields(self, schema: dict[str, Any], prefix: str = "") -> list[Row]:
        resolved = self._resolved(schema)
        rows = []
        for name, field in resolved.get("properties", {}).items():
            whole = self._whole(field)
            required = name in resolved.get("required", [])
            rows.append(Row(prefix + name, self._kind(whole), required, field.get("description", "")))
            if "properties" in whole:
                rows += self._fields(whole, f"{prefix}{name}.")
        return rows

    def _whole(self, field: dict[str, Any]) -> dict[str, Any]:
        """A field with what it points to; one that may be null is told as what else it may be."""
        for option in field.get("anyOf", field.get("oneOf", [])):
            if "$ref" in option:
                return self._resolved(option)
        return self._resolved(field)

    def _kind(self, schema: dict[str, Any]) -> str:
        kinds = schema.get("type", "")
        kind = kinds if isinstance(kinds, str) else next(one for one in kinds if one != "null")
        if "enum" in schema:
            return " | ".join(str(one) for one in schema["enum"])
        if schema.get("format") == "byte":
            return "base64"
        if schema.get("maxLength"):
            return _("%(kind)s, at most %(count)s characters", kind=kind, count=schema["maxLength"])
        return str(kind)

    def _curl(self, method: str, path: str, body: Any) -> str:
        lines = ["curl" if method == "get" else f"curl -X {method.upper()}"]
        lines[0] += f" {self.address}{path}" if "?" not in path else f" '{self.address}{path}'"
        lines.append('-H "Authorization: Bearer $WA_API_KEY"')
        if body is not None:
            lines.append('-H "Content-Type: application/json"')
            text = json.dumps(body, ensure_ascii=False, indent=2).replace("'", "'\\''")
            lines.append("-d '" + text.replace("\n", "\n  ") + "'")
        return " \\\n  ".join(lines)

    def _python(self, id: str, method: str, path: str, body: Any) -> str:
        if id in HELPER:
            told = {"id": IN_PATH["id"], **(body or {})}
            return HELPER[id].format(**{name: told.get(name, "") for name in ("id", "recipient", "message")})
        given = f", json={body!r}" if body is not None else ""
        return (
            "import os\n\nimport httpx\n\n"
            "panel = httpx.Client(\n"
            f'    base_url="{self.address}",\n'
            '    headers={"Authorization": f"Bearer {os.environ[\'WA_API_KEY\']}"},\n'
            ")\n"
            f'print(panel.{method}("{path}"{given}).json())'
        )


def _filled(path: str, id: str) -> str:
    has_number = any(room in path for room in ("/messages/", "/webhooks/", "/chats/"))
    return path.replace("{id}", MESSAGE_ID if has_number else quote(IN_PATH["id"]))


def _query(parameters: list[dict[str, Any]]) -> str:
    needed = [one for one in parameters if one["in"] == "query" and one["required"]]
    pairs = [f"{one['name']}={quote(str(one['schema'].get('examples', ['1'])[0]))}" for one in needed]
    return "?" + "&".join(pairs) if pairs else ""


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
