"""What the fake servers of the families share: one small play, told in each family's dialect.

A fake reads a request strictly, as the real server does, and refuses what that one refuses. What it answers depends on
what it was asked, so that the same test holds for each of them: tools are called and their results reported, a picture
is named, a schema is filled, thinking comes where it was asked for, a limit cuts the text.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

THOUGHT = "Oslo is in Norway."
CITY = '{"city": "Oslo"}'
LONG = "and on " * 40
PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH"
    "/iZk9HQAAAABJRU5ErkJggg=="
)


class Refused(Exception):
    """The server does not take this."""

    def __init__(self, message: str, status: int = 400, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind


@dataclass
class Asked:
    """A request as any dialect says it."""

    text: str = ""  # of the last turn
    system: str = ""
    tools: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)  # of tools, in the last turn
    has_picture: bool = False
    has_schema: bool = False
    thinks: bool = False
    is_cut: bool = False
    streams: bool = False


@dataclass
class Said:
    """An answer as any dialect tells it."""

    text: str = ""
    thinking: str = ""
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)  # id, name, arguments
    ending: str = "stop"  # stop, length, calls


def answer_to(asked: Asked, ids: Iterable[str] = ("call_one", "call_two")) -> Said:
    """Play: what a model would say to this."""
    said = Said(thinking=THOUGHT if asked.thinks else "")
    if asked.results:
        said.text = "It is " + " and ".join(asked.results) + "."
    elif asked.tools and "weather" in asked.text:
        cities = [city for city in ("Oslo", "Rome") if city in asked.text]
        said.calls = [(own, asked.tools[0], {"city": city}) for own, city in zip(ids, cities, strict=False)]
        said.ending = "calls"
    elif asked.has_picture:
        said.text = "A red dot."
    elif asked.has_schema:
        said.text = CITY
    elif asked.is_cut:
        said.text, said.ending = LONG, "length"
    else:
        said.text = f"Hello, {asked.system or 'you'}."
    return said


def parts_of(content: Any) -> list[dict[str, Any]]:
    """Return the parts of a message: a text is one of them, nothing is none."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def text_of(parts: Iterable[dict[str, Any]]) -> str:
    """Return the texts among the parts of a message."""
    return " ".join(part["text"] for part in parts if part["type"] == "text")


def pieces(text: str, size: int = 5) -> list[str]:
    """Cut a text as streams do."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def require(holds: object, message: str, status: int = 400) -> None:
    """Refuse what does not hold."""
    if not holds:
        raise Refused(message, status)


def only(body: dict[str, Any], known: set[str], say: Callable[[str], str]) -> None:
    """Refuse keys that the server does not know."""
    for key in body.keys() - known:
        raise Refused(say(key))


async def sends(request: web.Request, parts: Iterable[bytes], content_type: str) -> web.StreamResponse:
    """Send a stream in its parts."""
    response = web.StreamResponse(headers={"content-type": content_type})
    await response.prepare(request)
    for part in parts:
        await response.write(part)
    return response


def event(body: object, name: str | None = None) -> bytes:
    """Frame an event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(body)}\n\n".encode()


def told(body: object, status: int = 200) -> web.Response:
    """Answer with JSON."""
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")
