"""The protocol's own bounds, over real sockets: who takes nothing of an answer is cut off."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from router.api.asgi import DisconnectWatcher
from router.api.body import read_body
from router.api.presence import presence_of
from router.server import BoundedProtocol, ListeningConfig
from tests.waiting import soon

PIECE = b"x" * 65_536
WHOLE = 64 * len(PIECE)  # more than the buffers of both sides take
SMALL_BUFFER = 4_096


@contextlib.asynccontextmanager
async def served(app: Any, **options: Any) -> AsyncIterator[uvicorn.Server]:
    """Serve an application on a port of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = ListeningConfig(
        app,
        http=BoundedProtocol,
        lifespan="off",
        log_config=None,
        ws="none",
        head_timeout_s=30.0,
        h11_max_incomplete_event_size=65_536,
        **options,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listening]))
    try:
        await soon(lambda: server.started)
        yield server
    finally:
        server.should_exit = True
        await task


async def ask(server: uvicorn.Server) -> socket.socket:
    """Ask and read nothing."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    one.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(one, server.servers[0].sockets[0].getsockname())
    await loop.sock_sendall(one, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    return one


def is_rid_of(server: uvicorn.Server) -> Callable[[], bool]:
    return lambda: not server.server_state.connections


async def test_a_stream_that_nobody_reads_is_cut_off_and_its_answerer_told() -> None:
    is_told = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            is_told.set()

        watching = asyncio.create_task(watch())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not is_told.is_set():
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
            await asyncio.sleep(0)
        await watching

    async with served(app, send_timeout_s=0.2) as server:
        with await ask(server):
            await soon(is_told.is_set)
            await soon(is_rid_of(server))


@pytest.mark.parametrize("connection", [b"keep-alive", b"close"])
async def test_a_whole_answer_that_is_left_lying_does_not_keep_its_connection(connection: bytes) -> None:
    is_written = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"%d" % WHOLE), (b"connection", connection)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PIECE * 64})
        is_written.set()

    async with served(app, send_timeout_s=0.2) as server:
        with await ask(server):
            await soon(is_written.is_set)
            await soon(is_rid_of(server))


async def test_who_reads_is_not_cut_off() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"%d" % WHOLE)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for left in range(63, -1, -1):
            await send({"type": "http.response.body", "body": PIECE, "more_body": left > 0})

    async with served(app, send_timeout_s=30.0) as server:
        with await ask(server) as one:
            loop, read = asyncio.get_running_loop(), 0
            while read < WHOLE:
                piece = await loop.sock_recv(one, 1 << 20)
                assert piece
                read += len(piece)


@pytest.mark.parametrize("size", [1, len(PIECE), WHOLE])
async def test_who_leaves_while_the_answer_is_made_is_noticed_whatever_the_size_of_the_body(size: int) -> None:
    body: list[bytes] = []
    is_cancelled = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body.append(await read_body(scope, receive, max_bytes=WHOLE, timeout_s=30.0))
        watch = DisconnectWatcher(receive, client=presence_of(scope))
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            assert watch.is_gone
            is_cancelled.set()

    async with served(app) as server:
        _reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
        writer.write(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size)
        await soon(lambda: bool(body))
        writer.close()
        await soon(is_cancelled.is_set)
        assert body == [b"x" * size]
