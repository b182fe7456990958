"""What choosing a request's policy costs: its mark, the choice, the segment's dials, pacing; then a whole decision.

Run with `scripts/bench_choice`. Microseconds of CPU per request, the best of several rounds.
"""

import time
from collections.abc import Callable

from router.decision.bucketing import bucket_of
from router.decision.policy import Policy, SegmentDials
from router.pacing.controller import apply_multiplier
from router.policies.canaries import Canary, CanaryState, Mode
from router.policies.versions import PolicySnapshot, view_of

ROUNDS, TIMES = 7, 200_000
MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant. " * 10},
    {"role": "user", "content": "Which of these two phones takes better pictures at night, and why? " * 4},
]
ACTIVE = Policy(3, segments={"free": SegmentDials(max_deep_share=0.02), "plus": SegmentDials(reasoning_threshold=0.2)})
TRIAL = Policy(4, segments=ACTIVE.segments, reasoning_threshold=0.3)


def a_view(mode: Mode) -> PolicySnapshot:
    """A policy in force with one on trial beside it."""
    canary = Canary(1, 4, 3, mode, 0.05, 0, None, "wait", CanaryState.RUNNING, None, "ada", "")
    return view_of(ACTIVE, canary, TRIAL)


def microseconds(act: Callable[[], object]) -> float:
    """CPU of one call, less what calling nothing costs."""
    return max(_timed(act) - _timed(lambda: None), 0.0)


def _timed(act: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        for _ in range(TIMES):
            act()
        best = min(best, (time.process_time_ns() - began) / TIMES / 1e3)
    return best


def main() -> None:
    """Measure and print."""
    quiet, canary, shadow = PolicySnapshot(ACTIVE), a_view(Mode.CANARY), a_view(Mode.SHADOW)
    mark = bucket_of(7, None, MESSAGES)
    chosen = ACTIVE.for_segment("free")
    rows: dict[str, Callable[[], object]] = {
        "choose and for_segment, no trial": lambda: quiet.choose(mark).for_segment("free"),
        "choose and for_segment, a canary": lambda: canary.choose(mark).for_segment("free"),
        "shadow_of, a shadow": lambda: shadow.shadow_of(mark),
        "mark of a first turn": lambda: bucket_of(7, None, MESSAGES),
        "mark of a named conversation": lambda: bucket_of(7, "0f5c2ab1-5a4e-4b0e", MESSAGES),
        "pacing at a price of 1": lambda: apply_multiplier(chosen, 1.0),
    }
    for name, act in rows.items():
        print(f"{name:<36} {microseconds(act):6.2f} µs")


if __name__ == "__main__":
    main()
