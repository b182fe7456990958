"""Whether a computation takes time in proportion to its input: against itself, so that no machine's speed decides."""

import time
from collections.abc import Callable

ATTEMPTS = 4  # a machine that others use too takes longer at times, never four times in a row just for the long input
TIMES_LONGER, TIMES_SLOWER = 4, 9  # in proportion it takes 4 times as long, in its square 16


def is_in_proportion(compute: Callable[[int], object], length: int) -> bool:
    """Tell whether an input of this length takes no more than in proportion to one of a fourth of it."""
    return any(
        _seconds(compute, length) < TIMES_SLOWER * _seconds(compute, length // TIMES_LONGER) for _ in range(ATTEMPTS)
    )


def _seconds(compute: Callable[[int], object], length: int) -> float:
    began = time.thread_time()
    compute(length)
    return time.thread_time() - began
