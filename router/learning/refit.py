"""`tierwise train --from-ledger`: refits the classifier from what the books know, and judges it on what came later.

Trains on the earlier three quarters of the labelled requests and evaluates on the rest; what was evaluated is what is
kept. It knows no command line; `artifacts` stores what comes out, and `policies.lifecycle` proposes it.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from classifier.model import DifficultyModel
from classifier.rows import pack
from classifier.training.adapt import FEWEST_FOR_RANKING, Adapted, adapt_to_examples
from classifier.training.holdout import HoldoutReport, compare_on_holdout
from classifier.training.levels import FEWEST_OF_A_TIER, level_and_slope
from classifier.types import Abilities
from router.decision.policy import NEVER, Policy
from router.decision.worth import SCORE_DIGITS
from router.learning.examples import examples_of, sources_of
from router.learning.labels import LabelledRequest, Source

Array = npt.NDArray[np.float64]
Progress = Callable[[str], None]

FEWEST_LABELS = 50
LABELS_FOR_RANKING = 1_500
EARLIER = 0.75  # of the labelled requests
MOST_LABELLED = 4_000  # the newest: fitting takes their square in memory
ROUNDS = 15  # of believing duels and calibrating to that
FEWEST_SCORES = 200  # to move thresholds by


class NotEnoughEvidence(Exception):
    """Too few labels to learn anything from; the message says how many there are."""


@dataclass(frozen=True)
class Refit:
    """What was learnt, and how it does on the later slice."""

    adapted: Adapted
    figures: HoldoutReport
    labels: int
    taught: int
    sources: dict[Source, int]
    span_us: tuple[int, int, int]  # first label, first later one, last
    digest: str  # of rows and labels


def refit(
    labelled_requests: Sequence[LabelledRequest],
    base: DifficultyModel,
    abilities: Abilities,
    progress: Progress,
    labels_for_ranking: int = LABELS_FOR_RANKING,
) -> Refit:
    """Fit to the earlier labelled requests, evaluate on the later ones; raises NotEnoughEvidence."""
    labelled = sorted((each for each in labelled_requests if each.is_labelled), key=lambda each: each.at_us)[
        -MOST_LABELLED:
    ]
    if len(labelled) < FEWEST_LABELS:
        raise NotEnoughEvidence(
            f"not enough evidence: {len(labelled)} labelled requests with kept features, {FEWEST_LABELS} are needed"
        )
    cut = int(len(labelled) * EARLIER)
    earlier, after = labelled[:cut], labelled[cut:]
    digest = _digest(labelled)
    version = f"{base.version}+{digest[:8]}"
    believe = _belief(earlier, base, abilities)
    examples = examples_of(earlier, believe(earlier))
    fewest = FEWEST_FOR_RANKING if len(labelled) >= labels_for_ranking else len(labelled) + 1
    adapted = adapt_to_examples(examples, base, version, progress, abilities=abilities, fewest_for_ranking=fewest)
    progress(f"evaluating on {len(after)} later labels")
    figures = compare_on_holdout(examples_of(after, believe(after)), adapted.model, base, abilities)
    span = earlier[0].at_us, after[0].at_us, after[-1].at_us
    return Refit(adapted, figures, len(labelled), len(earlier), sources_of(labelled), span, digest)


def _belief(
    labelled_requests: Sequence[LabelledRequest], base: DifficultyModel, abilities: Abilities
) -> Callable[[Sequence[LabelledRequest]], Array]:
    """Calibrate the base's chances to labels and duels together: what duels say depends on them, and they on it.

    This is expectation maximisation, with the priors of calibration.
    """
    logits = _logits(labelled_requests, base, abilities)
    moves = np.array([(1.0, 0.0), (1.0, 0.0)])
    for _ in range(ROUNDS):
        examples = examples_of(labelled_requests, _probabilities(logits, moves))
        sides = [
            [(e.fast, e.fast_weight) for e in examples],
            [(e.reasoning, e.reasoning_weight) for e in examples],
        ]
        for tier, side in enumerate(sides):
            at = [place for place, (right, _) in enumerate(side) if right is not None]
            if len(at) >= FEWEST_OF_A_TIER:
                right, weight = np.array([side[place] for place in at], np.float64).T
                moves[tier] = level_and_slope(logits[at, tier], right, weight)
    return lambda asked: _probabilities(_logits(asked, base, abilities), moves)


def _probabilities(logits: Array, moves: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-(logits * moves[:, 0] + moves[:, 1]))))


def _logits(labelled_requests: Sequence[LabelledRequest], model: DifficultyModel, abilities: Abilities) -> Array:
    chances = _chances(labelled_requests, model, abilities)
    return np.asarray(np.log(chances / (1 - chances)))


def _chances(labelled_requests: Sequence[LabelledRequest], model: DifficultyModel, abilities: Abilities) -> Array:
    judged = [model.judge(labelled_request.seen, abilities) for labelled_request in labelled_requests]
    return np.array([(each.p_fast, each.p_reasoning) for each in judged], np.float64).reshape(-1, 2)


def _digest(labelled_requests: Sequence[LabelledRequest]) -> str:
    total = hashlib.sha256()
    for labelled_request in labelled_requests:
        total.update(pack(labelled_request.seen))
        total.update(repr((labelled_request.labels, labelled_request.contest)).encode())
    return total.hexdigest()


def same_share(
    labelled_requests: Sequence[LabelledRequest], policy: Policy, model: DifficultyModel
) -> dict[str, float]:
    """Find the thresholds that leave the deep tiers open to as many queries by the new scores as by the old ones.

    Empty where there are too few to tell. What was added to a gain (stakes, pushback) is added to the new one too.
    """
    scored = [labelled_request for labelled_request in labelled_requests if labelled_request.is_scored]
    if len(scored) < FEWEST_SCORES:
        return {}
    before = np.array([labelled_request.score for labelled_request in scored])
    added = before - np.array([labelled_request.p_reasoning - labelled_request.p_fast for labelled_request in scored])
    chances = _chances(scored, model, Abilities())
    now = np.minimum(chances[:, 1] - chances[:, 0] + added, NEVER)
    moved = {}
    for name in ("parallel_threshold", "reasoning_threshold"):
        threshold = float(getattr(policy, name))
        is_open = float(np.mean(before >= threshold))
        if 0.0 < is_open < 1.0:
            new_threshold = float(np.quantile(now, 1.0 - is_open))
            moved[name] = round(min(max(new_threshold, -1.0), 1.0), min(SCORE_DIGITS, 4))
    return moved


def day_of(at_us: int) -> str:
    """Write a moment as a date and a time, UTC."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M")
