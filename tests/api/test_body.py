import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from router.api.body import ClientGone, read_body
from router.errors import InvalidRequest, TooLarge, TooSlow


async def read(*pieces: bytes, headers: Iterable[tuple[bytes, bytes]] = (), max_bytes: int = 10) -> bytes:
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b""})

    async def receive() -> Any:
        return messages.pop(0)

    return await read_body({"headers": list(headers)}, receive, max_bytes=max_bytes, timeout_s=5)


async def test_a_body_in_pieces_is_put_together() -> None:
    assert await read(b"one", b"", b"two") == b"onetwo"


async def test_the_largest_body_passes_and_one_byte_more_does_not() -> None:
    assert await read(b"x" * 10) == b"x" * 10
    with pytest.raises(TooLarge):
        await read(b"x" * 10, b"x")


async def test_a_declared_length_is_enough_to_refuse() -> None:
    with pytest.raises(TooLarge):
        await read(headers=[(b"content-length", b"11")])


async def test_a_lie_about_the_length_does_not_help() -> None:
    with pytest.raises(TooLarge):
        await read(b"x" * 11, headers=[(b"content-length", b"1")])


async def test_a_compressed_body_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="content-encoding"):
        await read(headers=[(b"content-encoding", b"gzip")])


async def test_a_body_that_does_not_arrive_is_given_up() -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    with pytest.raises(TooSlow):
        await read_body({"headers": []}, never, max_bytes=10, timeout_s=0)


async def test_a_client_that_goes_away_halfway_is_noticed() -> None:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientGone):
        await read_body({"headers": []}, receive, max_bytes=10, timeout_s=5)
