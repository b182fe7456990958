"""Small things that answers are made of: JSON, sentences, where to go next, and the message for the next page."""

import base64
import binascii

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from router.admin.auth import access

START = "/admin/overview"
LONGEST_FLASH = 600
FLASH_FOR_S = 60


def json_answer(content: object, status: int = 200) -> Response:
    """Answer a script with JSON."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def json_error(error: Exception, status: int) -> Response:
    """Answer a script that something is not possible."""
    return json_answer({"error": {"message": sentence(error)}}, status)


def sentence(error: Exception) -> str:
    """What went wrong, as a sentence."""
    message = str(error) or type(error).__name__
    return message[:1].upper() + message[1:]


def local(path: str) -> str:
    """Keep a path within the admin plane; anything else becomes the start page."""
    is_plain = path.startswith("/admin/") and not any(c in path for c in "\\\r\n") and "//" not in path
    return path if is_plain else START


def flash(response: Response, request: Request, message: str) -> None:
    """Have the next page show a message, once."""
    read_flash = base64.urlsafe_b64encode(message[:LONGEST_FLASH].encode()).decode()
    access.set_cookie(response, request, access.FLASH_COOKIE, read_flash, FLASH_FOR_S)


def read_flash(request: Request) -> str:
    """Read what the last change left for this page to say; empty when nothing."""
    try:
        return base64.urlsafe_b64decode(request.cookies.get(access.FLASH_COOKIE, "")).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def clear_flash(response: Response) -> None:
    """Drop the message once it was shown."""
    response.delete_cookie(access.FLASH_COOKIE, path=access.PATH)
