"""What one request may cost at most: its output limit is lowered until even the worst case fits under the cap.

A model without a price cannot be held by a cap: what it costs is not known.
"""

from collections.abc import Callable

import msgspec

from router.tiers.base import TierRequest

PROBE_TOKENS = 1_000
LEAST_ANSWER_TOKENS = 16
LEAST_THOUGHT_TOKENS = 1_280  # the least thinking that models take, and a short answer


def fit_output(
    query: TierRequest, worst_case: Callable[[TierRequest], int], cap_nanousd: int, least_tokens: int
) -> TierRequest | None:
    """Return the query with as much output as the cap covers, at most what it asks for; None below `least_tokens`.

    `worst_case` bounds what a query costs, in nano-dollars; it grows evenly with the output limit.
    """

    def at(tokens: int) -> int:
        return worst_case(msgspec.structs.replace(query, max_output_tokens=tokens))

    if worst_case(query) <= cap_nanousd:
        return query
    without = at(0)
    rise = at(PROBE_TOKENS) - without
    if rise <= 0:
        return query if without <= cap_nanousd else None
    tokens = (cap_nanousd - without) * PROBE_TOKENS // rise
    while tokens >= least_tokens and at(tokens) > cap_nanousd:
        tokens -= 1 + tokens // 1_000  # prices are rounded, and may be others for long prompts
    return None if tokens < least_tokens else msgspec.structs.replace(query, max_output_tokens=tokens)
