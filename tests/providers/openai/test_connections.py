"""Connections that are lost before anybody can have worked on a request, against a real server."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

import pytest

from router.errors import Cause, ProviderError, ProviderUnreachable
from router.providers.base import Completion, ModelTarget, ProviderRequest
from router.providers.openai.client import OpenAICompatible

ANSWER = b'{"choices":[{"message":{"role":"assistant","content":"Yes"},"finish_reason":"stop"}]}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
WHOLE = HEAD % len(ANSWER) + ANSWER


@dataclass
class RawServer:
    """Answers each request with the next reply; None resets the connection, bytes without an end are cut there."""

    replies: list[bytes | None]
    port: int = 0
    requests: int = 0
    connections: int = 0
    reads_body: bool = True
    pause_s: float = 0.0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def target(self) -> ModelTarget:
        return ModelTarget("openai/m", api_base=f"http://127.0.0.1:{self.port}/v1")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if self.reads_body:
                    length = next(
                        int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
                    )
                    await reader.readexactly(length)
                self.requests += 1
                await asyncio.sleep(self.pause_s)
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if reply is not None:
                    writer.write(reply)
                    await writer.drain()
                if reply != WHOLE:
                    break
        reset(writer)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def a_server(*replies: bytes | None) -> AsyncIterator[RawServer]:
    raw = RawServer(list(replies))
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.port = server.sockets[0].getsockname()[1]
    try:
        yield raw
    finally:
        server.close()
        for writer in raw.writers:
            writer.transport.abort()


@pytest.fixture
async def client() -> AsyncGenerator[OpenAICompatible]:
    made = OpenAICompatible(trust_env=False)
    yield made
    await made.close()


async def ask(client: OpenAICompatible, server: RawServer, text: str = "Yes?") -> Completion:
    return await client.complete(ProviderRequest(server.target, [{"role": "user", "content": text}], {}))


async def test_a_kept_connection_that_is_reset_at_once_cannot_have_cost_anything(client: OpenAICompatible) -> None:
    async with a_server(WHOLE, None) as server:
        await ask(client, server)
        with pytest.raises(ProviderUnreachable) as caught:
            await ask(client, server)
    assert (server.connections, server.requests) == (1, 2)
    assert (caught.value.dispatched, caught.value.cause) == (False, Cause.UNREACHABLE)


async def test_after_a_kept_connection_was_lost_no_other_kept_one_is_tried(client: OpenAICompatible) -> None:
    async with a_server(WHOLE, WHOLE, None, WHOLE) as server:
        server.pause_s = 0.05
        await asyncio.gather(ask(client, server), ask(client, server))
        with pytest.raises(ProviderUnreachable):
            await ask(client, server)
        await ask(client, server)
        assert (server.connections, server.requests) == (3, 4)
        await ask(client, server)
        assert server.connections == 3


async def test_a_fresh_connection_that_is_reset_may_have_been_worked_on(client: OpenAICompatible) -> None:
    async with a_server(None) as server:
        with pytest.raises(ProviderError) as caught:
            await ask(client, server)
    assert (caught.value.dispatched, caught.value.cause) == (True, Cause.BROKEN_OFF)


async def test_a_kept_connection_that_is_lost_later_may_have_been_worked_on(client: OpenAICompatible) -> None:
    async with a_server(WHOLE, None) as server:
        await ask(client, server)
        server.pause_s = 0.8
        with pytest.raises(ProviderError) as caught:
            await ask(client, server)
    assert (caught.value.dispatched, caught.value.cause) == (True, Cause.BROKEN_OFF)


async def test_half_a_head_is_the_beginning_of_an_answer(client: OpenAICompatible) -> None:
    async with a_server(WHOLE, b"HTTP/1.1 200 OK\r\ncontent-type: appli") as server:
        await ask(client, server)
        with pytest.raises(ProviderError) as caught:
            await ask(client, server)
    assert caught.value.cause in (Cause.BROKEN_OFF, Cause.UNREACHABLE)


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_a_request_that_was_not_taken_whole_cannot_have_been_worked_on(client: OpenAICompatible) -> None:
    async with a_server(None) as server:
        server.reads_body = False
        with pytest.raises(ProviderError) as caught:
            await ask(client, server, "x" * 30_000_000)
    assert caught.value.dispatched is False
