"""Reading a request body: bounded in size and in time."""

import asyncio

from starlette.types import Receive, Scope

from router.errors import InvalidRequest, TooLarge, TooSlow


class ClientGone(Exception):
    """The client went away before its request was complete."""


async def read_body(scope: Scope, receive: Receive, *, max_bytes: int, timeout_s: float) -> bytes:
    """Return the whole body; raises TooLarge, TooSlow, InvalidRequest or ClientGone."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > max_bytes:
            raise TooLarge(f"the body is larger than {max_bytes} bytes", param="body")
        if name == b"content-encoding" and value.lower() != b"identity":
            raise InvalidRequest("send the body without content-encoding", param="content-encoding")
    message = await _receive_piece(receive, timeout_s)
    if not message[1]:
        return _check_size(message[0], max_bytes)
    parts, size = [message[0]], len(message[0])
    deadline = asyncio.get_running_loop().time() + timeout_s
    while message[1]:
        message = await _receive_piece(receive, deadline - asyncio.get_running_loop().time())
        size += len(message[0])
        if size > max_bytes:
            raise TooLarge(f"the body is larger than {max_bytes} bytes", param="body")
        parts.append(message[0])
    return b"".join(parts)


async def _receive_piece(receive: Receive, timeout_s: float) -> tuple[bytes, bool]:
    """Return the next piece of the body and whether more is to come."""
    try:
        async with asyncio.timeout(timeout_s):
            message = await receive()
    except TimeoutError:
        raise TooSlow("the body did not arrive in time") from None
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)


def _check_size(body: bytes, max_bytes: int) -> bytes:
    if len(body) > max_bytes:
        raise TooLarge(f"the body is larger than {max_bytes} bytes", param="body")
    return body
