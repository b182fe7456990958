"""GET /, /v1, /docs and /openapi.json: what there is to ask here. The same for everybody, and without a key."""

from functools import cache

from starlette.types import Receive, Scope, Send

from router.api.asgi import answering, raw_headers, send_json
from router.api.chat.response import encode_body
from router.api.guide.document import document_bytes
from router.api.guide.pages import docs_page, page_headers
from router.api.routes import ROUTES

HTML = "text/html"
HTML_TYPE = (b"content-type", b"text/html; charset=utf-8")


def wants_page(scope: Scope) -> bool:
    """Tell whether a browser asks, which takes HTML by that name; other programs take anything."""
    return any(name == b"accept" and HTML.encode() in value for name, value in scope["headers"])


class Guide:
    """Shows what there is: a page to browsers, JSON to programs."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with answering(send) as headers:
            if wants_page(scope):
                await _send_page(send, docs_page())
            else:
                await send_json(send, 200, _overview(), [*headers, (b"vary", b"accept")])


class Docs:
    """Shows the page, whoever asks."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _send_page(send, docs_page())


class Document:
    """Hands out the OpenAPI document."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with answering(send) as headers:
            await send_json(send, 200, document_bytes(), headers)


async def _send_page(send: Send, page: bytes) -> None:
    sized = [HTML_TYPE, (b"content-length", str(len(page)).encode()), *raw_headers(page_headers())]
    await send({"type": "http.response.start", "status": 200, "headers": sized})
    await send({"type": "http.response.body", "body": page})


@cache
def _overview() -> bytes:
    return encode_body(
        {
            "service": "tierwise",
            "base_url": "/v1",
            "docs": "/docs",
            "openapi": "/openapi.json",
            "admin": "/admin",
            "endpoints": [
                {"method": one.method, "path": one.path, "key_scope": one.scope, "summary": one.summary}
                for one in ROUTES
            ],
        }
    )
