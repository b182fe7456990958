"""Small things that answers are made of: JSON, sentences, where to go next, and what the next page should say."""

import base64
import binascii

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from router.admin.auth import access

START = "/admin/overview"
LONGEST_SAID = 600
SAID_FOR_S = 60


def json_answer(found: object, status: int = 200) -> Response:
    """Answer a script."""
    return Response(msgspec.json.encode(found), status, media_type="application/json")


def json_error(error: Exception, status: int) -> Response:
    """Answer a script that something is not possible."""
    return json_answer({"error": {"message": sentence(error)}}, status)


def sentence(error: Exception) -> str:
    """What went wrong, as a sentence."""
    message = str(error) or type(error).__name__
    return message[:1].upper() + message[1:]


def local(path: str) -> str:
    """A path within the admin plane; anything else becomes its start."""
    is_plain = path.startswith("/admin/") and not any(c in path for c in "\\\r\n") and "//" not in path
    return path if is_plain else START


def flash(response: Response, request: Request, message: str) -> None:
    """Have the next page say something, once."""
    flashed = base64.urlsafe_b64encode(message[:LONGEST_SAID].encode()).decode()
    access.set_cookie(response, request, access.SAID_COOKIE, flashed, SAID_FOR_S)


def flashed(request: Request) -> str:
    """What the last change left to be said."""
    try:
        return base64.urlsafe_b64decode(request.cookies.get(access.SAID_COOKIE, "")).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def clear_flash(response: Response) -> None:
    """It was said."""
    response.delete_cookie(access.SAID_COOKIE, path=access.PATH)
