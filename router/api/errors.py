"""Errors that Starlette finds before any endpoint of ours runs (no such route, wrong method), in our shape.

They say what was perhaps meant. Who speaks Anthropic's dialect, by the version it names or the address it asks, gets
Anthropic's shape, and a browser gets a page.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from router.api.chat.response import encode_body
from router.api.guide.endpoint import wants_page
from router.api.guide.pages import error_page, page_headers
from router.api.messages.errors import error_body, is_anthropic, status_of
from router.api.routes import LONGEST_PATH, find_meant, methods_at
from router.clock import SystemClock, request_id
from router.errors import MethodNotAllowed, NotFound, RequestError, RouterError


async def http_error(request: Request, error: Exception) -> Response:
    """Turn Starlette's own HTTP errors into OpenAI's error body."""
    assert isinstance(error, HTTPException)
    answer: RouterError
    path: str = request.scope["path"][:LONGEST_PATH]
    headers = dict(error.headers or {})
    match error.status_code:
        case 404:
            answer = NotFound(f"there is no {path}; {_describe_meant(path)}", code="unknown_url")
        case 405:
            methods = methods_at(path)
            if methods:  # Starlette names those of the first of its routes only
                headers = {"allow": ", ".join(methods)}
            answer = MethodNotAllowed(f"{request.method} is not allowed here{_describe_methods(path, methods)}")
        case _:
            answer = RequestError(error.detail)
            answer.status = error.status_code
    return _response(request, answer, headers)


def _describe_meant(path: str) -> str:
    meant = find_meant(path)
    return f"did you mean {meant.method} {meant.path}?" if meant else "/docs names every address"


def _describe_methods(path: str, methods: Sequence[str]) -> str:
    if not methods:
        return ""
    body = " with a JSON body" if methods == ["POST"] else ""
    return f": {path} takes {' and '.join(methods)}{body}; /docs says more"


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
    if request.method == "GET" and wants_page(request.scope):
        page = error_page(error.status, error.message)
        return Response(page, error.status, {**page_headers(), **headers}, "text/html")
    return Response(encode_body(error.body()), error.status, headers, "application/json")


HANDLERS: Mapping[Any, Any] = {HTTPException: http_error, Exception: internal_error}
