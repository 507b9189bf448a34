"""The API as it describes itself, and whatever a stranger may send to it."""

import json
from typing import Any

import schemathesis
from desk import Desk
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

EXAMPLES = 12
"""To an operation: all of them together stay below half a minute."""


def test_description_is_typed_and_complete(client: TestClient) -> None:
    described = client.get("/api/openapi.json").json()
    assert described["openapi"].startswith("3.")
    for path, operations in described["paths"].items():
        assert path.startswith("/api/"), path
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["description"], where
            assert operation["security"], where
            answers = [
                answer for status, answer in operation["responses"].items() if status.startswith("2") and status != "204"
            ]
            for answer in answers:
                for kind, content in answer.get("content", {}).items():
                    assert kind != "application/json" or content["schema"], where
            problem = operation["responses"]["401"]["content"]["application/json"]["schema"]
            assert problem == {"$ref": "#/components/schemas/Problem"}, where


def test_nothing_that_the_description_allows_or_forbids_is_a_server_error(desk: Desk, client: TestClient) -> None:
    header = token_of(client)
    description = client.get("/api/openapi.json").json()
    tried = 0
    for operation in operations(description):
        schema = schemathesis.openapi.from_dict(only(description, *operation))
        schema.app = desk.app
        (found,) = [result.ok() for result in schema.get_all_operations()]

        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @schemathesis.hypothesis.given(case=found.as_strategy())  # type: ignore[attr-defined]
        def attack(case: Any) -> None:
            nonlocal tried
            tried += 1
            case.call_and_validate(headers=header, checks=[not_a_server_error, response_schema_conformance])

        attack()
    assert tried > EXAMPLES * 10


def token_of(client: TestClient) -> dict[str, str]:
    secret = client.post("/api/tokens", json={"name": "schemathesis", "role": "administrator"}).json()["secret"]
    return {"Authorization": f"Bearer {secret}"}


def operations(description: dict[str, Any]) -> list[tuple[str, str]]:
    endless = {"/api/live-updates"}
    return [(path, method) for path, item in description["paths"].items() for method in item if path not in endless]


def only(description: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(description))
    return {**copied, "paths": {path: {method: copied["paths"][path][method]}}}
