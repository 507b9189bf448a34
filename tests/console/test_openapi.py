"""The API as it describes itself, and whatever a stranger may send to it."""

from collections import Counter
from contextlib import suppress
from typing import Any

import schemathesis
from desk import Desk
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

EXAMPLES = 6
"""To an operation, right ones and as many wrong ones: all of them together stay below half a minute."""

ENDLESS = {"/api/live-updates"}


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
    secret = client.post("/api/tokens", json={"name": "schemathesis", "role": "administrator"}).json()["secret"]
    schema: Any = schemathesis.openapi.from_dict(client.get("/api/openapi.json").json())
    schema.app = desk.app
    tried: Counter[str] = Counter()
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in ENDLESS:
            continue
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            attack(operation, mode, {"Authorization": f"Bearer {secret}"}, tried)
    assert tried.keys() >= {"/api/cameras/{camera}", "/api/accounts/{name}", "/api/audit", "/api/tokens"}
    assert sum(tried.values()) > 60


def attack(operation: Any, mode: GenerationMode, headers: dict[str, str], tried: Counter[str]) -> None:
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def each(case: Any) -> None:
        tried[operation.path] += 1
        case.call_and_validate(headers=headers, checks=[not_a_server_error, response_schema_conformance])

    with suppress(Unsatisfiable):  # an operation without parameters has no wrong ones
        each()
