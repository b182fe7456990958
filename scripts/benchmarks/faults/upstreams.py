"""A provider that misbehaves by the name of its model, over plain sockets, and counts how often it is asked."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
BODY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n"
PIECE = b'data: {"choices":[{"index":0,"delta":{"content":"again "}}]}\n\n'
COMMENT = b": still here\n\n"
DRIP_S = 0.2

# What is sent at once, and what is sent again and again after it; nothing is ever brought to its end.
BEHAVIOURS = {
    "hang": (b"", b""),
    "half-head": (b"HTTP/1.1 200 OK\r\ncontent-ty", b""),
    "slow-head": (b"HTTP/1.1 200 OK\r\nx-slow: ", b"x"),
    "comments": (STREAM, COMMENT),
    "pause": (STREAM + PIECE, b""),
    "comments-after": (STREAM + PIECE, COMMENT),
    "slow-chunk": (STREAM + PIECE, b"d"),
    "drip": (STREAM, PIECE),
    "slow-body": (BODY + b"{", b" "),
}


class Misbehaving:
    """Reads requests and answers each as its model is named."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: Counter[str] = Counter()

    @property
    def base(self) -> str:
        """The base address of the provider."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request of a connection, and keep that open."""
        gone: asyncio.Future[bytes] | None = None
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            model = msgspec.json.decode(await reader.readexactly(length))["model"]
            self.asked[model] += 1
            first, again = BEHAVIOURS[model]
            writer.write(first)
            gone = asyncio.ensure_future(reader.read())
            while not gone.done():
                await asyncio.wait([gone], timeout=DRIP_S)
                writer.write(again)
                await writer.drain()
        if gone is not None:
            await asyncio.gather(gone, return_exceptions=True)
        writer.close()


@asynccontextmanager
async def misbehaving() -> AsyncIterator[Misbehaving]:
    """Run the provider on a free port."""
    provider = Misbehaving()
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    provider.port = server.sockets[0].getsockname()[1]
    try:
        yield provider
    finally:
        server.close()
