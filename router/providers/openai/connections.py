"""Connections to backends: whether one was made for a request or kept from an earlier one, and what its loss means."""

import asyncio
from contextvars import ContextVar
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from router.errors import Cause, ProviderError, ProviderTimeout, ProviderUnreachable
from router.providers.openai.sse import EventTooLong

LOSSES = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientConnectionResetError)
FAILURES = (aiohttp.ClientError, TimeoutError, EventTooLong)  # of a call, as aiohttp and the reading of events raise
AT_ONCE_S = 0.5  # a kept connection that is gone so soon was closed before the request reached anybody

_was_made: ContextVar[bool] = ContextVar("was_made", default=False)
_wants_new: ContextVar[bool] = ContextVar("wants_new", default=False)


class Connector(aiohttp.TCPConnector):
    """Remembers whether the request under way had a connection made for it, and makes one where a kept one was lost.

    A server that closes what was idle for some seconds closes all that was kept at once; the next would be lost too.
    """

    async def _get(self, *arguments: Any, **named: Any) -> Any:
        if not _wants_new.get():
            return await super()._get(*arguments, **named)
        _wants_new.set(False)
        return None

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


def begin_sending() -> float:
    """Note that a request goes out now, on a connection that may be kept; returns the time of the loop."""
    _was_made.set(False)
    return asyncio.get_running_loop().time()


def was_in_vain(loss: aiohttp.ClientError, body: Body, began_s: float) -> bool:
    """Tell of a connection that was lost whether nobody can have worked on the request.

    That is so where it was not sent whole, and where a kept connection is gone at once, without a byte of an answer.
    Who sends it again has a connection made for it.
    """
    if isinstance(loss, aiohttp.ClientConnectorError):
        return False
    if body.is_written and not isinstance(loss, aiohttp.ClientConnectionResetError):
        was_kept = not _was_made.get() and asyncio.get_running_loop().time() - began_s < AT_ONCE_S
        if not was_kept or not _is_bare(loss):
            return False
    _wants_new.set(True)
    return True


def _is_bare(error: aiohttp.ClientError) -> bool:
    """Tell whether nothing of an answer came: a head that began is kept in the error."""
    return not isinstance(error, aiohttp.ServerDisconnectedError) or isinstance(error.message, str)


def error_of_failure(name: str, failure: Exception) -> ProviderError:
    """Turn one of `FAILURES` into our error, telling what never left from what may have been worked on."""
    match failure:
        case aiohttp.ConnectionTimeoutError():
            return ProviderUnreachable(f"{name} could not be reached", cause=Cause.TIMEOUT_CONNECT)
        case aiohttp.ClientConnectorError() | aiohttp.ClientHttpProxyError() | aiohttp.InvalidURL():
            return ProviderUnreachable(f"{name} could not be reached", cause=Cause.UNREACHABLE)
        case TimeoutError():
            return ProviderTimeout(f"{name} did not answer in time", cause=Cause.TIMEOUT_TOTAL)
        case EventTooLong():
            return ProviderError(f"{name} sent a broken stream", provider_status=200, cause=Cause.NONSENSE)
        case _:
            return ProviderError(f"{name} broke off its answer", cause=Cause.BROKEN_OFF)
