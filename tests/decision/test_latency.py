"""How long tiers let clients wait: what is usual, and when a slow tier is looked at again."""

from router.decision.latency import FORGOTTEN_AFTER_MS, KEPT, LEAST_SEEN, LOOKED_AT_EVERY_MS, LatencyWindow
from router.types import Tier


class Ticks:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.ms = 0.0

    def __call__(self) -> float:
        return self.ms


def a_worker(waits_ms: list[float], ticks: Ticks | None = None) -> LatencyWindow:
    waits = LatencyWindow(ticks or Ticks())
    for wait_ms in waits_ms:
        waits.note_wait(Tier.REASONING, True, wait_ms)
    return waits


def too_slow(waits: LatencyWindow, max_wait_s: float = 2.0) -> bool:
    return waits.is_too_slow(Tier.REASONING, True, max_wait_s)


def looked_at(waits_ms: list[float], ticks: Ticks | None = None) -> LatencyWindow:
    waits = a_worker(waits_ms, ticks)
    waits.note_sent(Tier.REASONING, True)
    return waits


def test_what_95_percent_wait_at_most_decides() -> None:
    waits = looked_at([float(ms) for ms in range(1_000, 1_000 + KEPT)])
    assert (too_slow(waits, 1.037), too_slow(waits, 1.038)) == (True, False)


def test_too_few_answers_tell_nothing() -> None:
    assert not too_slow(looked_at([9_000.0] * (LEAST_SEEN - 1)))
    assert not too_slow(a_worker([]))


def test_streamed_and_whole_answers_are_apart() -> None:
    waits = looked_at([9_000.0] * KEPT)
    assert too_slow(waits)
    assert not waits.is_too_slow(Tier.REASONING, False, 2.0)
    assert not waits.is_too_slow(Tier.PARALLEL, True, 2.0)


def test_a_slow_tier_is_closed_until_it_is_time_to_look_again() -> None:
    ticks = Ticks()
    waits = looked_at([9_000.0] * KEPT, ticks)
    assert too_slow(waits)
    ticks.ms += LOOKED_AT_EVERY_MS
    assert [too_slow(waits), too_slow(waits)] == [False, False]
    waits.note_sent(Tier.REASONING, True)
    assert too_slow(waits)


def test_a_tier_that_is_quick_again_opens() -> None:
    assert not too_slow(looked_at([9_000.0] * KEPT + [500.0] * KEPT))


def test_what_was_long_ago_is_forgotten() -> None:
    ticks = Ticks()
    waits = a_worker([9_000.0] * KEPT, ticks)
    ticks.ms += FORGOTTEN_AFTER_MS + 1
    waits.note_sent(Tier.REASONING, True)
    assert not too_slow(waits)
