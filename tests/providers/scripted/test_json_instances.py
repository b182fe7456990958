from typing import Any

import jsonschema
import pytest

from router.providers.scripted.json_instances import Impossible, Instances

TREE = {
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
                "parent": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
            },
            "required": ["name", "children", "parent"],
        }
    },
    "$ref": "#/$defs/Node",
}
SCHEMAS: dict[str, Any] = {
    "anything": {},
    "a tree": TREE,
    "joined": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"const": 3}}, "required": ["b"]},
        ]
    },
    "nullable": {"type": ["null", "integer"], "minimum": 5},
    "bounded": {"type": "number", "exclusiveMinimum": 2, "exclusiveMaximum": 3},
    "whole, between": {"type": "integer", "exclusiveMinimum": 10, "maximum": 12},
    "a multiple": {"type": "integer", "multipleOf": 7, "minimum": 20},
    "a pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 2, "maxItems": 2},
    "many": {"type": "array", "items": {"type": "boolean"}, "minItems": 3, "maxItems": 4},
    "none": {"type": "array", "items": {"type": "boolean"}, "maxItems": 0},
    "a map": {"type": "object", "additionalProperties": {"type": "integer"}},
    "long": {"type": "string", "minLength": 30},
    "short": {"type": "string", "maxLength": 3},
    "a code": {"type": "string", "pattern": "^[A-Z]{3}-\\d{4}$"},
    "a choice": {"oneOf": [{"type": "object", "properties": {"x": {"enum": [1, 2]}}, "required": ["x"]}]},
    "a mail": {"type": "string", "format": "email"},
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
@pytest.mark.parametrize("text", ["", "Give me 3 things about 'Paris', then -1.5 more."])
def test_what_is_made_fits(schema: Any, text: str) -> None:
    made = Instances(text).of(schema)
    jsonschema.validate(made, schema)


def test_values_come_from_the_text_in_their_order() -> None:
    properties = {"city": {"type": "string"}, "days": {"type": "integer"}, "unit": {"enum": ["f", "celsius"]}}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    made = Instances("The weather in 'Graz' for 5 days in Celsius").of(schema)
    assert made == {"city": "Graz", "days": 5, "unit": "celsius"}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"type": "object", "required": 5},
        {"type": "array", "minItems": 10**12},
        {"type": "string", "minLength": 10**12},
        {"type": "string", "pattern": "(((("},
        {"type": "integer", "minimum": "low"},
        {"properties": [1], "required": ["a"]},
        {"type": "object", "required": [None]},
    ],
)
def test_a_schema_that_makes_no_sense_is_said_to_be_impossible(schema: Any) -> None:
    try:
        Instances("x").of(schema)
    except Impossible:
        return
