"""Limits of keys and of their end users hold at once and by the minute; what is refused costs nothing."""

import pytest

from router.errors import InvalidRequest, RateLimited
from router.keys import KeyLimits
from router.limits.gate import LimitGate, Permit, names_of, require_bounds
from router.limits.windows import MemoryWindows

KEY = names_of(1, None)
ANN, BOB = names_of(1, 11), names_of(1, -12)


def a_gate() -> LimitGate:
    return LimitGate(MemoryWindows(lambda: 1_000.0))


async def entered(gate: LimitGate, limits: KeyLimits, who: tuple[str, str | None] = KEY, tokens: int = 10) -> Permit:
    permit = gate.permit()
    try:
        await permit.enter(who, limits, tokens)
    except RateLimited:
        permit.close(0)
        raise
    return permit


async def test_so_many_requests_a_minute_and_the_next_is_told_when() -> None:
    gate, limits = a_gate(), KeyLimits(requests_per_minute=2)
    lefts = [(await entered(gate, limits)).headers()["x-ratelimit-remaining-requests"] for _ in range(2)]
    assert lefts == ["1", "0"]
    with pytest.raises(RateLimited, match="2 requests a minute") as caught:
        await entered(gate, limits)
    assert caught.value.headers()["retry-after"] == "60"
    await entered(gate, limits, names_of(2, None))


async def test_each_end_user_has_limits_of_its_own_within_those_of_the_key() -> None:
    gate, limits = a_gate(), KeyLimits(requests_per_minute=3, user_requests_per_minute=2)
    for who in (ANN, ANN, BOB):
        await entered(gate, limits, who)
    with pytest.raises(RateLimited, match="the key"):
        await entered(gate, limits, BOB)


async def test_headers_tell_of_the_limit_with_less_left() -> None:
    gate, limits = a_gate(), KeyLimits(requests_per_minute=100, user_requests_per_minute=2)
    headers = (await entered(gate, limits, ANN)).headers()
    assert headers["x-ratelimit-limit-requests"] == "2"
    assert headers["x-ratelimit-reset-requests"] == "60s"


async def test_tokens_of_the_answer_are_counted_when_it_ends() -> None:
    gate, limits = a_gate(), KeyLimits(tokens_per_minute=100)
    (await entered(gate, limits)).close(80)
    permit = await entered(gate, limits)
    assert permit.headers()["x-ratelimit-remaining-tokens"] == "10"
    with pytest.raises(RateLimited, match="100 tokens"):
        await entered(gate, limits, tokens=11)
    await entered(gate, limits, tokens=10)


async def test_a_request_too_large_for_any_minute_is_told_so() -> None:
    with pytest.raises(RateLimited, match="alone has more tokens"):
        await entered(a_gate(), KeyLimits(tokens_per_minute=9))


async def test_places_are_given_back_whatever_refused_the_request() -> None:
    gate = a_gate()
    limits = KeyLimits(concurrency=2, user_concurrency=1, user_requests_per_minute=2)
    first = await entered(gate, limits, ANN)
    with pytest.raises(RateLimited, match="this user may have 1"):
        await entered(gate, limits, ANN)
    await entered(gate, limits, BOB)
    with pytest.raises(RateLimited, match="the key may have 2"):
        await entered(gate, limits, names_of(1, 99))
    first.close(0)
    first.close(0)
    (await entered(gate, limits, ANN)).close(0)
    with pytest.raises(RateLimited, match="a minute"):
        await entered(gate, limits, ANN)
    assert gate.inside == {"key 1": 1, "key 1 user -12": 1}


async def test_what_is_not_limited_is_not_counted() -> None:
    gate = a_gate()
    permit = await entered(gate, KeyLimits(max_n=3), ANN)
    permit.close(1_000)
    assert permit.headers() == {}
    assert not gate.inside
    assert not gate.windows._windows  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"n": 4, "max_visible": None, "max_output": None}, "n"),
        ({"n": 1, "max_visible": 101, "max_output": None}, "max_tokens"),
        ({"n": 1, "max_visible": None, "max_output": 101}, "max_completion_tokens"),
    ],
)
def test_more_than_a_key_may_ask_for_is_refused_by_name(asked: dict[str, int | None], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        require_bounds(KeyLimits(max_n=3, max_tokens=100), **asked)  # type: ignore[arg-type]
    assert caught.value.param == param
