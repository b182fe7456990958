"""Connections to backends: whether one was made for a request or kept from an earlier one, and what its loss means."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from router.errors import ProviderUnreachable

AT_ONCE_S = 0.5  # a kept connection that is gone so soon was closed before the request reached anybody

_was_made: ContextVar[bool] = ContextVar("was_made", default=False)


class Connector(aiohttp.TCPConnector):
    """Remembers whether the request under way had a connection made for it."""

    async def _create_connection(self, *arguments: Any, **named: Any) -> Any:
        _was_made.set(True)
        return await super()._create_connection(*arguments, **named)


class Body(aiohttp.BytesPayload):
    """A body that knows whether it was written whole."""

    is_written = False

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write it; done once little enough is left for the system to take."""
        await super().write_with_length(writer, content_length)
        self.is_written = True


@contextmanager
def translate_loss(name: str, body: Body) -> Iterator[None]:
    """Raise ProviderUnreachable where the connection was lost and nobody can have worked on the request.

    That is so where it was not sent whole, and where a kept connection is gone at once, without a byte of an answer.
    """
    _was_made.set(False)
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        yield
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientConnectionResetError) as error:
        was_kept = not _was_made.get() and loop.time() - began < AT_ONCE_S
        is_unsent = not body.is_written or isinstance(error, aiohttp.ClientConnectionResetError)
        if isinstance(error, aiohttp.ClientConnectorError) or not (is_unsent or (was_kept and _is_bare(error))):
            raise
        raise ProviderUnreachable(f"{name} closed the connection before it had the request") from error


def _is_bare(error: aiohttp.ClientError) -> bool:
    """Tell whether nothing of an answer came: a head that began is kept in the error."""
    return not isinstance(error, aiohttp.ServerDisconnectedError) or isinstance(error.message, str)
