"""Places a new model on the ability scale from a few graded answers. numpy only.

What each query asks of a model is read from its text, so that a hard sample does not make a model look weak.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from classifier.model import DifficultyModel
from classifier.types import Abilities, Turn

_GRID = np.linspace(-3.5, 4.3, 79)
_PRIOR_MEAN, _PRIOR_SCALE = 0.0, 1.5


def chances(model: DifficultyModel, conversations: Sequence[Sequence[Turn]]) -> npt.NDArray[np.float64]:
    """P(correct) of each conversation (rows) at each ability of the grid (columns)."""
    return np.array(
        [[model.estimate(turns, Abilities(fast=float(at))).p_fast for at in _GRID] for turns in conversations]
    )


def ability_from(chance: npt.NDArray[np.float64], right: npt.ArrayLike) -> float:
    """The mean of the posterior over abilities, given graded answers in 0..1."""
    scores = np.asarray(right, np.float64)[:, None]
    likelihood = np.sum(scores * np.log(chance) + (1 - scores) * np.log(1 - chance), axis=0)
    likelihood -= ((_GRID - _PRIOR_MEAN) / _PRIOR_SCALE) ** 2 / 2
    weight = np.exp(likelihood - likelihood.max())
    return float(weight @ _GRID / weight.sum())


def chances_at(chance: npt.NDArray[np.float64], ability: float) -> npt.NDArray[np.float64]:
    """P(correct) of each row at one ability, between the points of the grid."""
    return np.array([np.interp(ability, _GRID, row) for row in chance])


def place(model: DifficultyModel, conversations: Sequence[Sequence[Turn]], right: npt.ArrayLike) -> float:
    """The ability that graded answers speak for; 50 place a model within about 0.05 of its accuracy."""
    return ability_from(chances(model, conversations), right)
