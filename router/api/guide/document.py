"""The OpenAPI document of the data plane: the table of routes, and the types of its bodies.

Nothing in it is configured: it says the same on every server, to everybody.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec

from router.api.chat import request as chat
from router.api.chat.response import WireCompletion
from router.api.completions import CompletionRequest
from router.api.embeddings import EmbeddingsRequest
from router.api.feedback import FeedbackBody, RevenueBody
from router.api.messages.request import MessagesRequest
from router.api.models import WireModel
from router.api.responses.jobs import InstructionsBody
from router.api.responses.request import ResponsesRequest
from router.api.routes import ROUTES, HttpRoute

OPENAPI = "3.1.0"
JSON = "application/json"
# Kept with a request by who reads it, and of no meaning in a body.
INTERNAL = {
    chat.ChatRequest: ("ignored", "dropped"),
    ResponsesRequest: ("ignored", "dropped"),
    MessagesRequest: ("ignored", "left_out"),
}
BODIES: Mapping[str, Any] = {
    "/v1/chat/completions": chat.ChatRequest,
    "/v1/responses": ResponsesRequest,
    "/v1/responses/{response_id}/instructions": InstructionsBody,
    "/v1/messages": MessagesRequest,
    "/v1/messages/count_tokens": MessagesRequest,
    "/v1/embeddings": EmbeddingsRequest,
    "/v1/completions": CompletionRequest,
    "/v1/quotes": chat.ChatRequest,
    "/v1/feedback": FeedbackBody,
    "/v1/revenue-events": RevenueBody | list[RevenueBody],
}
# Answers of several shapes in one list (the items of a response) are left as objects.
ANSWERS: Mapping[tuple[str, str], Any] = {
    ("POST", "/v1/chat/completions"): WireCompletion,
    ("GET", "/v1/models/{model}"): WireModel,
}
STREAMED = ("/v1/chat/completions", "/v1/responses", "/v1/responses/{response_id}", "/v1/messages", "/v1/completions")
OTHER_TYPES = {
    "/": (JSON, "text/html"),
    "/v1": (JSON, "text/html"),
    "/docs": ("text/html",),
    "/metrics": ("text/plain",),
}
ERROR = {
    "type": "object",
    "description": "OpenAI's error body; below `/v1/messages` it is Anthropic's.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_PARAMETER = re.compile(r"{(\w+)}")


def make_document(routes: Iterable[HttpRoute] = ROUTES) -> dict[str, Any]:
    """Describe routes as OpenAPI does."""
    named = [*BODIES.values(), *ANSWERS.values()]
    shapes, schemas = msgspec.json.schema_components(named, ref_template="#/components/schemas/{name}")
    of_bodies = dict(zip(BODIES, shapes, strict=False))
    of_answers = dict(zip(ANSWERS, shapes[len(BODIES) :], strict=True))
    for type_, names in INTERNAL.items():
        for name in names:
            schemas[type_.__name__]["properties"].pop(name, None)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        answer = of_answers.get((route.method, route.path), {"type": "object"})
        operation = _operation(route, of_bodies.get(route.path), answer)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "Tierwise",
            "version": "v1",
            "description": "A chat backend that decides, per query, how much thinking to buy. Ask for the model auto.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Error": ERROR},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
            "responses": {
                "Error": {
                    "description": "What was wrong, and where",
                    "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
            },
        },
    }


def _operation(route: HttpRoute, body: Mapping[str, Any] | None, answer: Mapping[str, Any]) -> dict[str, Any]:
    types = OTHER_TYPES.get(route.path, (JSON,))
    content: dict[str, Any] = {name: {"schema": answer if name == JSON else {"type": "string"}} for name in types}
    if route.path in STREAMED:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "security": [] if route.scope == "none" else [{"bearer": []}, {"x-api-key": []}],
        "responses": {
            "200": {"description": "The answer", "content": content},
            "default": {"$ref": "#/components/responses/Error"},
        },
    }
    if route.scope not in ("none", "any"):
        operation["description"] = f"The key needs the scope `{route.scope}`."
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.method == "POST":
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": body or {"type": "object"}}}}
    return operation


def _operation_id(route: HttpRoute) -> str:
    words = re.findall(r"\w+", route.path)
    return "_".join((route.method.lower(), *words)) if words else f"{route.method.lower()}_start"


@cache
def document_bytes() -> bytes:
    """The document as it is sent; made when it is first asked for."""
    return msgspec.json.encode(make_document())
