"""What length alone says of a text, in the place of an expert that does not know its kind. Training only.

What is learned of length must hold within every source, so it is fitted on differences within sources; the level is
that of the kind which a text is most like, drawn towards the mean of all kinds. A line holds, by knot: how far the
logit falls with the length of the question and of its longest sentence, in standard deviations, and the level.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from classifier.features import LONGEST_SENTENCE, QUESTION
from classifier.training.design import Scales
from classifier.training.levels import logit

Array = npt.NDArray[np.float64]

_SIGNALS = [QUESTION, LONGEST_SENTENCE]
_STRENGTH = 0.5  # of the penalty on what length tells, in observations of each source's variance


def fit_falls(sources: Sequence[tuple[Array, Array]]) -> Array:
    """By knot, how far a logit falls with each length; nothing becomes easier by being longer.

    `sources` holds standardised signals (rows x all of them) and chances (rows x knots) of one source each.
    """
    knots = sources[0][1].shape[1]
    fitted = np.zeros((knots, len(_SIGNALS)))
    for knot in range(knots):
        inner, outer = np.eye(len(_SIGNALS)) * _STRENGTH, np.zeros(len(_SIGNALS))
        for signals, chances in sources:
            lengths = signals[:, _SIGNALS] - signals[:, _SIGNALS].mean(axis=0)
            chance = chances[:, knot]
            logit = (chance - chance.mean()) / max(0.05, float(np.mean(chance * (1 - chance))))
            inner += lengths.T @ lengths / len(lengths)
            outer += lengths.T @ logit / len(lengths)
        fitted[knot] = np.maximum(0.0, -np.linalg.solve(inner, outer))
    return fitted


def fit_lines(falls: Array, kinds: Sequence[tuple[Array, Array]], own_level: float) -> Array:
    """A line for each kind (kinds x knots x 3); `own_level` is the share of its own level, the rest is the mean's.

    `kinds` holds signals and chances of one kind each.
    """
    means = np.array([chances.mean(axis=0) for _, chances in kinds])
    common = logit(means.mean(axis=0))
    usual = np.array([falls @ signals[:, _SIGNALS].mean(axis=0) for signals, _ in kinds])
    levels = common + own_level * (logit(means) + usual - common)
    return np.concatenate((np.repeat(falls[None], len(kinds), axis=0), levels[:, :, None]), axis=2)


def length_logits(line: Array, signals: Array) -> Array:
    """The logits (rows x knots) of a line for signals."""
    return np.asarray(line[:, 2] - signals[:, _SIGNALS] @ line[:, :2].T)


def on_scale(line: Array, old: Scales, new: Scales) -> Array:
    """The same line for signals that are standardised otherwise."""
    stretch, shift = new.scale[_SIGNALS] / old.scale[_SIGNALS], (new.mean - old.mean)[_SIGNALS] / old.scale[_SIGNALS]
    return np.column_stack((line[:, :2] * stretch, line[:, 2] - line[:, :2] @ shift))
