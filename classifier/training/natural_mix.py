"""How much each written query stands for in the traffic of an ordinary chat assistant. Training only.

The corpus has as many hard queries as are needed to learn from; traffic has few. Shares of kinds are those published of
a consumer chat in mid-2025 ("How People Use ChatGPT", NBER working paper 34255): practical guidance 29 %, writing 24 %,
seeking information 24 %, programming 4 %, calculation and maths 3 %, chat and play 5 %, the rest other. Nobody has
published shares of levels: `LEVELS` is an assumption, with one query in twelve worth thinking about.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from classifier.training.consumer_corpus import ConsumerQuery

Array = npt.NDArray[np.float64]

LEVELS = (0.25, 0.52, 0.15, 0.06, 0.02)
KINDS: dict[tuple[str, ...], float] = {
    ("howto", "decision", "plan", "compare", "brainstorm"): 0.31,
    ("rewrite", "translate", "summarise", "extract", "classify", "creative"): 0.28,
    ("lookup",): 0.26,
    ("code_write", "code_fix", "code_explain"): 0.05,
    ("calculate", "puzzle", "proof"): 0.04,
    ("smalltalk", "roleplay"): 0.06,
}
_ROUNDS = 50


def weights_of(queries: Sequence[ConsumerQuery]) -> Array:
    """Weights that sum to one, fitted to both margins in turn; housekeeping weighs nothing: no score decides it."""
    shares = {kind: (group, share) for group, share in KINDS.items() for kind in group}
    groups = [shares[query.kind][0] if query.kind in shares else None for query in queries]
    levels = np.array([query.level for query in queries])
    weights = np.array([0.0 if group is None else 1.0 for group in groups])
    counted = [(np.array([group == each for group in groups]), share) for each, share in KINDS.items()]
    counted += [(levels == level, share) for level, share in enumerate(LEVELS)]
    for _ in range(_ROUNDS):
        for rows, share in counted:
            weights[rows] *= share / weights[rows].sum()
    return np.asarray(weights / weights.sum())


def quantiles_of(values: Array, weights: Array, count: int) -> Array:
    """So many evenly spaced quantiles of weighted values, in order."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) - weights[order] / 2
    return np.asarray(np.interp((np.arange(count) + 0.5) / count, reached, values[order]))
