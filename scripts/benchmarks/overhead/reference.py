"""The yardstick: Starlette and aiohttp passing bytes on, with nothing decided, counted or booked."""

import os
from collections.abc import AsyncIterator

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

UPSTREAM = os.environ["SPEED_UPSTREAM"]
sessions: list[aiohttp.ClientSession] = []


async def chat(request: Request) -> Response:
    """Pass a request on, and its answer back."""
    if not sessions:
        sessions.append(aiohttp.ClientSession())
    body = await request.body()
    if b'"stream":true' not in body.replace(b" ", b""):
        async with sessions[0].post(UPSTREAM, data=body) as answer:
            return Response(await answer.read(), answer.status, media_type="application/json")

    async def pieces() -> AsyncIterator[bytes]:
        async with sessions[0].post(UPSTREAM, data=body) as answer:
            async for line in answer.content:
                yield line

    return StreamingResponse(pieces(), media_type="text/event-stream")


app = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])
