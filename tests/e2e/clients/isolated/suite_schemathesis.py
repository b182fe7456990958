# mypy: ignore-errors
"""schemathesis over an OpenAPI description of the endpoint: no 5xx, and every answer as described."""

import json
import os
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent
DEFINITIONS = json.loads(
    (HERE.parent / "openai_schema.json").read_text(encoding="utf-8").replace("#/$defs/", "#/components/schemas/")
)["$defs"]
REQUEST = json.loads((HERE / "chat_request.json").read_text(encoding="utf-8"))
KEY = os.environ.get("TIERWISE_TEST_KEY", "none")
URL = os.environ.get("TIERWISE_TEST_URL", "").removesuffix("/").removesuffix("/v1")


def answers(**by_status):
    return {
        status.removeprefix("s"): {
            "description": name,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}},
        }
        for status, name in by_status.items()
    } | {
        "default": {
            "description": "error",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/error"}}},
        }
    }


DESCRIPTION = {
    "openapi": "3.1.0",
    "info": {"title": "Tierwise", "version": "1"},
    "paths": {
        "/v1/chat/completions": {
            "post": {
                "requestBody": {"required": True, "content": {"application/json": {"schema": REQUEST}}},
                "responses": answers(s200="chat_completion"),
            }
        },
        "/v1/models": {"get": {"responses": answers(s200="models")}},
        "/v1/models/{model}": {
            "get": {
                "parameters": [
                    {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
                ],
                "responses": answers(s200="model"),
            }
        },
    },
    "components": {"schemas": DEFINITIONS},
}
schema = schemathesis.openapi.from_dict(DESCRIPTION)
CHECKS = (
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.response_schema_conformance,
    schemathesis.checks.content_type_conformance,
)


@pytest.mark.covers("fuzz", "schema of responses", "errors", "models")
@schema.parametrize()
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_description_holds(case):
    reply = case.call(base_url=URL, headers={"authorization": f"Bearer {KEY}"})
    case.validate_response(reply, checks=CHECKS)
