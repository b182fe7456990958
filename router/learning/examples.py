"""From what is known of requests to examples that a classifier is fitted to. Pure.

Feedback is weighed by inverse propensities: it comes from the tier that was chosen, and says what it says of all
queries only that way. Duels fall by lot on every query, and need no weights. Where two answers differ and nobody
judged, who was right is believed as far as the classifier's chances tell, brought up to date by all labels together;
a judge shifts that belief and does not replace it.
"""

from collections import Counter
from collections.abc import Sequence
from math import sqrt

import numpy as np
import numpy.typing as npt

from classifier.training.adapt import Example
from router.learning.labels import TRUST, WEAK, DuelOutcome, LabelledRequest, Source
from router.types import Agreement, Tier

Array = npt.NDArray[np.float64]

TOGETHER = 0.3  # correlation of being right, of two models on one query: .16 to .43 on six pairs of recorded outcomes
WRONG_ALIKE = 0.3  # how often two wrong answers are the same one
JUDGE_RIGHT = 0.8  # how often a judge of one mind prefers the right one of two
MOST_INVERSE = 20.0  # no rating counts for more than so many
MOST_WEAK = 0.2  # weak signals together weigh at most so much of what the other labels do
FEEDBACK = frozenset({Source.SCORE, Source.RATING})
HEADS = (Tier.FAST, Tier.REASONING)

Mass = tuple[float, float]  # value times weight, weight


def posterior(contest: DuelOutcome, p_fast: float, p_reasoning: float) -> tuple[float, float]:
    """Return P(right) of the fast answer and of the other, given how the duel ended and what was expected of both."""
    both, only_fast, only_other, neither = _joint(p_fast, p_reasoning)
    if contest.agreement is Agreement.SAME:
        right = both / (both + WRONG_ALIKE * neither)
        return right, right
    if contest.agreement is Agreement.DIFFERS:  # answers that can be compared by their form are not both right then
        both, neither = 0.0, neither * (1 - WRONG_ALIKE)
    if contest.prefers_fast is not None:
        right = JUDGE_RIGHT if contest.prefers_fast else 1 - JUDGE_RIGHT
        only_fast, only_other = only_fast * right, only_other * (1 - right)
        both, neither = both / 2, neither / 2
    total = both + only_fast + only_other + neither
    return (both + only_fast) / total, (both + only_other) / total


def _joint(p_fast: float, p_reasoning: float) -> tuple[float, float, float, float]:
    """Return the chances that both, only the fast, only the other or neither is right; models tend to fail together."""
    spread = sqrt(p_fast * (1 - p_fast) * p_reasoning * (1 - p_reasoning))
    both = min(p_fast * p_reasoning + TOGETHER * spread, p_fast, p_reasoning)
    return both, p_fast - both, p_reasoning - both, max(1 - p_fast - p_reasoning + both, 1e-9)


def examples_of(labelled_requests: Sequence[LabelledRequest], chances: Array) -> list[Example]:
    """Turn labelled requests into examples; `chances` (requests x tiers) is what is believed of them so far."""
    inverse = _inverse_propensities(labelled_requests)
    strong = [
        [_strong(labelled_request, tier, inverse[at], chances[at]) for tier in HEADS]
        for at, labelled_request in enumerate(labelled_requests)
    ]
    weak = [[_weak(labelled_request, tier) for tier in HEADS] for labelled_request in labelled_requests]
    share = [_weak_share(strong, weak, head) for head in range(2)]
    examples = []
    for at, labelled_request in enumerate(labelled_requests):
        sides = []
        for head in range(2):
            (value, weight), (weak_value, weak_weight) = strong[at][head], weak[at][head]
            total = weight + share[head] * weak_weight
            known = (value + share[head] * weak_value) / total if total > 0 else None
            sides.append((known, total))
        (fast, fast_weight), (reasoning, reasoning_weight) = sides
        examples.append(Example(labelled_request.seen, fast, reasoning, fast_weight, reasoning_weight))
    return examples


def sources_of(labelled_requests: Sequence[LabelledRequest]) -> dict[Source, int]:
    """Tell how many requests have a label of each source."""
    counts: Counter[Source] = Counter()
    for labelled_request in labelled_requests:
        counts.update({label.source for label in labelled_request.labels})
        if labelled_request.contest is not None:
            counts[labelled_request.contest.source] += 1
    return {source: counts[source] for source in Source if counts[source]}


def _strong(labelled_request: LabelledRequest, tier: Tier, inverse: float, chances: Array) -> Mass:
    value = weight = 0.0
    for label in labelled_request.labels:
        if label.tier is tier and label.source not in WEAK:
            own = TRUST[label.source].weight * (inverse if label.source in FEEDBACK else 1.0)
            value, weight = value + own * label.value, weight + own
    if labelled_request.contest is not None and (
        tier is Tier.FAST or labelled_request.contest.answered is not Tier.PARALLEL
    ):
        right = posterior(labelled_request.contest, float(chances[0]), float(chances[1]))[HEADS.index(tier)]
        own = TRUST[labelled_request.contest.source].weight
        value, weight = value + own * right, weight + own
    return value, weight


def _weak(labelled_request: LabelledRequest, tier: Tier) -> Mass:
    of_tier = [label for label in labelled_request.labels if label.tier is tier and label.source in WEAK]
    weights = [TRUST[label.source].weight for label in of_tier]
    return sum(w * label.value for w, label in zip(weights, of_tier, strict=True)), sum(weights)


def _weak_share(strong: Sequence[Sequence[Mass]], weak: Sequence[Sequence[Mass]], head: int) -> float:
    """Tell by how much weak signals are held back: they only say that something was wrong and would pull all down."""
    much, little = (sum(each[head][1] for each in side) for side in (strong, weak))
    return min(1.0, MOST_WEAK * much / little) if little > 0 else 0.0


def _inverse_propensities(labelled_requests: Sequence[LabelledRequest]) -> Array:
    """Weigh feedback by tier: inverse propensities that add up to the number of ratings that they are worth."""
    weights = np.ones(len(labelled_requests))
    for tier in HEADS:
        at = [
            place
            for place, labelled_request in enumerate(labelled_requests)
            if labelled_request.answered is tier and any(label.source in FEEDBACK for label in labelled_request.labels)
        ]
        if at:
            raw = np.array([min(1.0 / max(labelled_requests[place].propensity, 1e-6), MOST_INVERSE) for place in at])
            weights[at] = raw * raw.sum() / np.square(raw).sum()
    return weights
