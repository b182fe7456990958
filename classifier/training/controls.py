"""The controls every figure of router quality stands beside, as scores to rank the same items by."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def shuffled(score: Array, seed: int = 0) -> Array:
    """The router's own scores dealt out at random: the same cost, none of the knowledge."""
    return np.random.default_rng(seed).permutation(score)


def random(count: int, seed: int = 1) -> Array:
    """No knowledge at all."""
    return np.random.default_rng(seed).random(count)


def length(texts: list[str]) -> Array:
    """Longer is harder."""
    return np.array([float(len(text)) for text in texts])


def oracle(weak: Array, strong: Array) -> Array:
    """Knows both outcomes; ties in the order given."""
    return np.asarray(np.argsort(np.argsort(strong - weak, kind="stable"), kind="stable"), np.float64)
