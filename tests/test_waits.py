"""How long tiers let clients wait: what is usual, and when a slow tier is looked at again."""

from router.types import Tier
from router.waits import FORGOTTEN_AFTER_MS, KEPT, LEAST_SEEN, LOOKED_AT_EVERY_MS, Waits


class Ticks:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.ms = 0.0

    def __call__(self) -> float:
        return self.ms


def a_worker(waits_ms: list[float], ticks: Ticks | None = None) -> Waits:
    waits = Waits(ticks or Ticks())
    for wait_ms in waits_ms:
        waits.saw(Tier.REASONING, True, wait_ms)
    return waits


def too_slow(waits: Waits, max_wait_s: float = 2.0) -> bool:
    return waits.is_too_slow(Tier.REASONING, max_wait_s, streamed=True)


def test_what_95_percent_wait_at_most_is_usual() -> None:
    waits = a_worker([float(ms) for ms in range(1_000, 1_000 + KEPT)])
    assert waits.usual_s(Tier.REASONING, streamed=True) == 1.038


def test_too_few_answers_tell_nothing() -> None:
    waits = a_worker([9_000.0] * (LEAST_SEEN - 1))
    assert waits.usual_s(Tier.REASONING, streamed=True) is None
    assert not too_slow(waits)


def test_streamed_and_whole_answers_are_apart() -> None:
    waits = a_worker([9_000.0] * KEPT)
    assert waits.usual_s(Tier.REASONING, streamed=False) is None
    assert not waits.is_too_slow(Tier.PARALLEL, 2.0, streamed=True)


def test_a_slow_tier_is_closed_but_for_one_query_now_and_then() -> None:
    ticks = Ticks()
    waits = a_worker([9_000.0] * KEPT, ticks)
    assert [too_slow(waits) for _ in range(3)] == [False, True, True]
    ticks.ms += LOOKED_AT_EVERY_MS
    assert [too_slow(waits) for _ in range(3)] == [False, True, True]
    assert not too_slow(waits, max_wait_s=10.0)


def test_a_tier_that_is_quick_again_opens() -> None:
    waits = a_worker([9_000.0] * KEPT + [500.0] * KEPT)
    assert [too_slow(waits) for _ in range(3)] == [False] * 3


def test_what_was_long_ago_is_forgotten() -> None:
    ticks = Ticks()
    waits = a_worker([9_000.0] * KEPT, ticks)
    ticks.ms += FORGOTTEN_AFTER_MS + 1
    assert waits.usual_s(Tier.REASONING, streamed=True) is None
