"""A caller of the API that checks every answer against the OpenAPI document: a status, code or field that is
not written there fails the test."""

from __future__ import annotations

import re
from typing import Any

from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse


class Caller:
    def __init__(self, client: FlaskClient, document: dict[str, Any], key: str = "") -> None:
        self.client = client
        self.document = document
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.paths = {
            path: re.compile(re.sub(r"\\{\w+\\}", ".+", re.escape(path))) for path in document["paths"]
        }
        self._validators: dict[tuple[str, str], Draft202012Validator] = {}

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.call("GET", path, **more)

    def post(self, path: str, json: Any = None, **more: Any) -> TestResponse:
        return self.call("POST", path, json=json, **more)

    def call(self, method: str, path: str, **more: Any) -> TestResponse:
        headers = {**self.headers, **more.pop("headers", {})}
        response = self.client.open(path, method=method, headers=headers, **more)
        described = self._operation(method, path)
        if described is not None:
            self._check(described, response)
        return response

    def send(
        self, text: Any = "Halo!", to: Any = "0812-9999-8888", key: str = "", **more: Any
    ) -> TestResponse:
        headers = {"Idempotency-Key": key} if key else {}
        body = {"recipient": to, "message": text, **more}
        return self.post("/api/v1/messages/send/", body, headers=headers)

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        plain = path.partition("?")[0]
        fitting = [one for one, pattern in self.paths.items() if pattern.fullmatch(plain)]
        fitting.sort(key=lambda one: ("{" in one, -len(one)))  # what is written out goes first
        found = self.document["paths"][fitting[0]].get(method.lower()) if fitting else None
        return found if found and "tags" in found else None

    def _check(self, described: dict[str, Any], response: TestResponse) -> None:
        status = str(response.status_code)
        assert status in described["responses"], f"{described['operationId']} answered {status}"
        told = described["responses"][status]["content"]["application/json"]
        answer = response.get_json()
        which = (described["operationId"], status)
        if which not in self._validators:
            schema = {**told["schema"], "components": self.document["components"]}
            self._validators[which] = Draft202012Validator(schema)
        errors = [error.message for error in self._validators[which].iter_errors(answer)]
        assert errors == []
        if response.status_code >= 400:
            code = answer["code"] if "code" in answer else answer["error"]["code"]
            assert code in told["examples"], f"{described['operationId']} answered {status} {code}"


def error(response: TestResponse) -> tuple[int, str, str | None]:
    """Status, code and field of a refusal of v1."""
    fault = response.get_json()["error"]
    return response.status_code, fault["code"], fault.get("field")
