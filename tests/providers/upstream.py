"""A provider of ours for tests: a real HTTP server on a free port that answers as told and remembers what it saw."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Upstream:
    """Answers with `answers` in turn, the last one for ever."""

    answers: list[Answer]
    port: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.read()
        self.bodies.append(msgspec.json.decode(text) if text else {})
        self.headers.append(dict(request.headers))
        self.paths.append(request.path)
        self.asked.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            return await answer(request)
        except (asyncio.CancelledError, ConnectionError):
            self.hung_up.set()
            raise


@asynccontextmanager
async def an_upstream(*answers: Answer) -> AsyncIterator[Upstream]:
    """Serve the answers for as long as the context lasts."""
    upstream = Upstream(list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", upstream.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    upstream.port = runner.addresses[0][1]
    try:
        yield upstream
    finally:
        await runner.cleanup()


def says(body: object, status: int = 200, **headers: str) -> Answer:
    """Answer with JSON."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=msgspec.json.encode(body), status=status, content_type="application/json", headers=headers
        )

    return answer


def says_text(text: str, status: int = 200, content_type: str = "text/html") -> Answer:
    """Answer with text as it is."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text=text, status=status, content_type=content_type)

    return answer


def streams(
    *chunks: object, done: bool = True, cut: bool = False, piece: int = 0, content_type: str = "text/event-stream"
) -> Answer:
    """Answer with a stream of `data:` lines; `piece` cuts it into writes of so many bytes, `cut` breaks off."""
    lines = [c if isinstance(c, bytes) else b"data: " + msgspec.json.encode(c) + b"\n\n" for c in chunks]
    text = b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": content_type})
        await response.prepare(request)
        for start in range(0, len(text), piece or len(text)):
            await response.write(text[start : start + (piece or len(text))])
        if cut:
            assert request.transport is not None
            request.transport.close()
        return response

    return answer


def breaks(*chunks: object) -> Answer:
    """Stream these chunks, with their lengths, and break the connection off in the middle of the next."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(b"data: " + msgspec.json.encode(chunk) + b"\n\n")
        await asyncio.sleep(0.05)
        assert request.transport is not None
        request.transport.abort()
        return response

    return answer


def hangs(*chunks: object) -> Answer:
    """Send these chunks, if any, and then nothing more."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if chunks:
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await response.prepare(request)
            for chunk in chunks:
                await response.write(b"data: " + msgspec.json.encode(chunk) + b"\n\n")
        await asyncio.Event().wait()
        return web.Response()

    return answer


def closes() -> Answer:
    """Close the connection without a byte."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    return answer
