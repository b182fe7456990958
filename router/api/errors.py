"""Errors that Starlette finds before any endpoint of ours runs (no such route, wrong method), in our shape.

Who speaks Anthropic's dialect, by the version it names or the address it asks, gets Anthropic's.
"""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from router.api.chat.response import encode_body
from router.api.messages.errors import error_body, is_anthropic, status_of
from router.clock import SystemClock, request_id
from router.errors import MethodNotAllowed, NotFound, RequestError, RouterError


async def http_error(request: Request, error: Exception) -> Response:
    """Turn Starlette's own HTTP errors into OpenAI's error body."""
    assert isinstance(error, HTTPException)
    answer: RouterError
    match error.status_code:
        case 404:
            answer = NotFound(f"there is no {request.scope['path'][:256]}", code="unknown_url")
        case 405:
            answer = MethodNotAllowed(f"{request.method} is not allowed here")
        case _:
            answer = RequestError(error.detail)
            answer.status = error.status_code
    return _response(request, answer, dict(error.headers or {}))


async def internal_error(request: Request, error: Exception) -> Response:
    """Answer an error nobody foresaw without showing what it was; the server's log has it."""
    unforeseen = RouterError("an internal error; the server's log tells more", code="internal_error")
    return _response(request, unforeseen, {})


def _response(request: Request, error: RouterError, headers: dict[str, str]) -> Response:
    id_ = request_id(SystemClock().now_us())
    headers |= {"x-request-id": id_}
    if is_anthropic(request.scope):
        headers |= {"request-id": id_}
        return Response(encode_body(error_body(error, id_)), status_of(error), headers, "application/json")
    return Response(encode_body(error.body()), error.status, headers, "application/json")


HANDLERS: Mapping[Any, Any] = {HTTPException: http_error, Exception: internal_error}
