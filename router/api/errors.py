"""Errors that Starlette finds before any endpoint of ours runs (no such route, wrong method), in our shape."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from router.api.chat.response import encode_body
from router.clock import SystemClock, request_id
from router.errors import MethodNotAllowed, NotFound, RequestError, RouterError


async def http_error(request: Request, error: Exception) -> Response:
    """Turn Starlette's own HTTP errors into OpenAI's error body."""
    assert isinstance(error, HTTPException)
    answer: RouterError
    match error.status_code:
        case 404:
            answer = NotFound(f"there is no {request.url.path[:256]}", code="unknown_url")
        case 405:
            answer = MethodNotAllowed(f"{request.method} is not allowed here")
        case _:
            answer = RequestError(error.detail)
            answer.status = error.status_code
    return _response(answer, dict(error.headers or {}))


async def internal_error(request: Request, error: Exception) -> Response:
    """Answer an error nobody foresaw without showing what it was; the server's log has it."""
    return _response(RouterError("an internal error; the server's log tells more", code="internal_error"), {})


def _response(error: RouterError, headers: dict[str, str]) -> Response:
    headers |= {"x-request-id": request_id(SystemClock().now_us())}
    return Response(encode_body(error.body()), error.status, headers, "application/json")


HANDLERS: Mapping[Any, Any] = {HTTPException: http_error, Exception: internal_error}
