import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from router.api.body import SMALL_BYTES, BodyBudget, ClientGone, read_body
from router.errors import InvalidRequest, RateLimited, Saturated, TooLarge, TooSlow


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


LARGE = 4 * SMALL_BYTES


async def test_what_a_client_announces_is_claimed_before_anything_is_read() -> None:
    budget = BodyBudget(10 * SMALL_BYTES)

    async def unread() -> Any:
        raise AssertionError("nothing may be read")

    with budget.claim(1) as claim, budget.claim(2) as second, budget.claim(3) as third:
        claim.grow(LARGE)
        second.grow(LARGE)
        announced = {"headers": [(b"content-length", str(LARGE).encode())]}
        with pytest.raises(Saturated):
            await read_body(announced, unread, max_bytes=LARGE, timeout_s=5, claim=third)
        assert budget.held == 2 * LARGE
    assert budget.held == 0


async def test_what_comes_in_chunks_is_claimed_as_it_comes() -> None:
    budget = BodyBudget(1_000)
    messages = [{"type": "http.request", "body": b"x" * 400, "more_body": True} for _ in range(9)]

    async def receive() -> Any:
        return messages.pop(0)

    with budget.claim(1) as other, budget.claim(2) as claim:
        other.grow(500)
        with pytest.raises(Saturated):
            await read_body({"headers": []}, receive, max_bytes=10_000, timeout_s=5, claim=claim)
        assert budget.held == 900
    assert len(messages) == 7


def test_one_key_takes_half_of_the_bytes_at_most() -> None:
    budget = BodyBudget(10 * SMALL_BYTES)
    with budget.claim(1) as first, budget.claim(1) as second, budget.claim(2) as other:
        first.grow(LARGE)
        with pytest.raises(RateLimited):
            second.grow(LARGE)
        other.grow(LARGE)


def test_the_only_large_body_passes_whatever_the_budget_is() -> None:
    budget = BodyBudget(SMALL_BYTES)
    with budget.claim(1) as claim:
        claim.grow(20 * SMALL_BYTES)
        assert budget.held == 20 * SMALL_BYTES


def test_small_bodies_pass_beside_large_ones_that_fill_the_budget() -> None:
    budget = BodyBudget(8 * SMALL_BYTES)
    with budget.claim(1) as large, budget.claim(2) as small, budget.claim(3) as next_one:
        large.grow(20 * SMALL_BYTES)
        small.grow(SMALL_BYTES)
        with pytest.raises(Saturated):
            next_one.grow(SMALL_BYTES)


def test_a_claim_that_was_refused_holds_what_it_held_before() -> None:
    budget = BodyBudget(8 * SMALL_BYTES)
    with budget.claim(1) as first, budget.claim(2) as second:
        first.grow(LARGE)
        second.grow(1_000)
        with pytest.raises(Saturated):
            second.grow(LARGE)
        assert budget.held == LARGE + 1_000
