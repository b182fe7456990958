"""Our errors as Anthropic shapes them: its types, its status for no room, and the parameter inside the message."""

from typing import Any

from starlette.types import Scope

from router.api.chat.response import encode_body
from router.errors import CONTEXT_TOO_LONG, ProviderOverloaded, RouterError

OVERLOADED = 529
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    OVERLOADED: "overloaded_error",
}
PREFIX = "/v1/messages"
VERSION = b"anthropic-version"  # the header by which its clients are known
TOO_LONG = "prompt is too long"  # the words by which agents know that they must shorten the conversation


def is_anthropic(scope: Scope) -> bool:
    """Tell whether a request is made in Anthropic's dialect."""
    path: str = scope["path"]
    return path == PREFIX or path.startswith(f"{PREFIX}/") or any(name == VERSION for name, _ in scope["headers"])


def status_of(error: RouterError) -> int:
    """The HTTP status: a provider without room is Anthropic's 529, whatever its own status was."""
    return OVERLOADED if isinstance(error, ProviderOverloaded) and error.status == 503 else error.status


def refusal_of(error: RouterError, request_id: str) -> tuple[int, bytes]:
    """The status and the body of an error."""
    return status_of(error), encode_body(error_body(error, request_id))


def error_body(error: RouterError, request_id: str) -> dict[str, Any]:
    """Return the body of an error."""
    status = status_of(error)
    kind = TYPES.get(status) or ("invalid_request_error" if 400 <= status < 500 else "api_error")
    message = f"{error.param}: {error.message}" if error.param not in (None, "body") else error.message
    if error.code == CONTEXT_TOO_LONG:
        message = f"{TOO_LONG}: {message}"
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
