"""The OpenAPI document, held against the meta-schema of JSON Schema, the rules of OpenAPI and the requests we take."""

import json
import re
from typing import Any

import jsonschema
import pytest
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from router.api.guide.document import ANSWERS, BODIES, document_bytes
from router.api.routes import ROUTES
from tests.api.service import CHAT, Service, a_chat

DOCUMENT: dict[str, Any] = json.loads(document_bytes())
OPERATIONS = [(path, method, of) for path, methods in DOCUMENT["paths"].items() for method, of in methods.items()]


def references(part: Any) -> set[str]:
    if isinstance(part, dict):
        return {part["$ref"]} if "$ref" in part else set().union(*map(references, part.values()), set())
    return set().union(*map(references, part), set()) if isinstance(part, list) else set()


def validator_of(name: str) -> jsonschema.Draft202012Validator:
    registry: Registry[Any] = Registry().with_resource("urn:document", DRAFT202012.create_resource(DOCUMENT))
    return jsonschema.Draft202012Validator({"$ref": f"urn:document#/components/schemas/{name}"}, registry=registry)


def test_every_route_is_in_it_and_nothing_else() -> None:
    assert {(method.upper(), path) for path, method, _ in OPERATIONS} == {(one.method, one.path) for one in ROUTES}


def test_types_are_given_for_routes_that_exist() -> None:
    posted = {route.path for route in ROUTES if route.method == "POST"}
    assert set(BODIES) <= posted
    assert set(ANSWERS) <= {(route.method, route.path) for route in ROUTES}


def test_every_schema_is_one() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        part = DOCUMENT
        for key in reference.removeprefix("#/").split("/"):
            part = part[key]


def test_operations_have_names_of_their_own_answers_and_the_parameters_of_their_paths() -> None:
    assert len({of["operationId"] for _, _, of in OPERATIONS}) == len(OPERATIONS)
    for path, method, of in OPERATIONS:
        assert "200" in of["responses"]
        assert {one["name"] for one in of.get("parameters", ())} == set(re.findall(r"{(\w+)}", path))
        assert all(one["required"] for one in of.get("parameters", ()))
        assert ("requestBody" in of) == (method == "post")
        for need in of["security"]:
            assert need.keys() <= DOCUMENT["components"]["securitySchemes"].keys()


def test_what_needs_no_key_says_so() -> None:
    assert DOCUMENT["paths"]["/health/live"]["get"]["security"] == []
    assert DOCUMENT["paths"][CHAT]["post"]["security"] != []


def test_keys_that_only_we_keep_are_not_shown() -> None:
    shown = DOCUMENT["components"]["schemas"]["ChatRequest"]["properties"]
    assert "messages" in shown
    assert not {"ignored", "dropped"} & shown.keys()


@pytest.mark.parametrize("body", [a_chat(), a_chat(temperature=0.5, stop=["x"], reasoning_effort="low")])
def test_a_request_that_is_taken_fits_it(body: dict[str, Any]) -> None:
    validator_of("ChatRequest").validate(body)


@pytest.mark.parametrize("body", [{"model": "auto"}, a_chat(n=0), a_chat(temperature=3), a_chat(reasoning_effort="x")])
def test_a_request_that_is_refused_does_not(body: dict[str, Any]) -> None:
    assert not validator_of("ChatRequest").is_valid(body)


async def test_an_answer_fits_it(service: Service) -> None:
    validator_of("WireCompletion").validate(await service.answered(CHAT, a_chat()))


async def test_an_error_fits_it(service: Service) -> None:
    response = await service.local.post(CHAT, json={})
    validator_of("Error").validate(response.json())
