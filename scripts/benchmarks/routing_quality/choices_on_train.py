"""`scripts/evaluate --settle`: what was chosen on the training split alone, beside what it was chosen over.

The split of development and the held-out tasks are not read. Each candidate is cross-fitted, and fitted without each
group of sources in turn; priors for few labels are compared on sources left out, over many draws;
`scripts.benchmarks.routing_quality.labels_of_a_known_kind` has labels of a kind that is known.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifier.abilities import canonical
from classifier.model import DifficultyModel
from classifier.training import metrics, recipe, studies, trials
from classifier.training.corpus import Corpus
from classifier.training.levels import PRIOR, Prior, logit
from classifier.training.trials import HEADLINE, PAIRS, Trial, group_of
from classifier.types import Abilities, Turn
from scripts.benchmarks.routing_quality import labels_of_a_known_kind

Array = npt.NDArray[np.float64]
Log = Callable[[str], None]

CANDIDATES = tuple(
    recipe.RecipeSettings(own_share=share, own_level=level)
    for share, level in ((1.0, 0.0), (1.0, 0.5), (1.0, 0.75), (0.7, 0.5), (0.7, 0.75), (0.7, 1.0))
)
PRIORS = (
    PRIOR,
    Prior(slope=1.0, slope_scale=0.2, level_scale=0.8),
    Prior(slope=1.0, slope_scale=0.5, level_scale=1.5),
    Prior(slope=0.6, slope_scale=0.2, level_scale=0.8),
    Prior(slope=0.3, slope_scale=0.2, level_scale=0.8),
    Prior(slope=0.0, slope_scale=0.2, level_scale=0.8),
)
_MODELS = 6  # of each source, spread by ability, whose labels are drawn
_SEEDS = range(5000, 5020)


@dataclass(frozen=True)
class Answered:
    """One model on a source left out: the logits of P(correct) that are said, and what was right."""

    group: str
    logits: Array
    right: Array


def settle(rows: Corpus, log: Log) -> None:
    """Log all comparisons, a line of a table each."""
    taught = rows.of(use="train", split="train", holdout=False)
    log("| own share, own level | ECE p_fast / p_reasoning | need AUROC: " + ", ".join(PAIRS) + " | left out |")
    log("|---|---|---|---|")
    for settings in CANDIDATES:
        log(_candidate(taught, settings))
    answered = [each for group in PAIRS for each in _answered(taught, group)]
    log("\n| prior: slope, its scale, scale of the level | ECE with 25 | 50 | 100 | 200 labels |")
    log("|---|---|---|---|---|")
    for prior in PRIORS:
        cells = (
            " / ".join(f"{value:.3f}" for value in _errors(answered, prior, count)) for count in (25, 50, 100, 200)
        )
        log(f"| {prior.slope}, {prior.slope_scale}, {prior.level_scale} | " + " | ".join(cells) + " |")
    labels_of_a_known_kind.compare(taught, log)


def _candidate(taught: Corpus, settings: recipe.RecipeSettings) -> str:
    """One row: calibration pooled over all pairs, need AUROC, and need AUROC / APGR of each group left out."""

    def fit(corpus: Corpus) -> DifficultyModel:
        parameters, abilities = recipe.fit(corpus, settings, with_lengths=False)
        return DifficultyModel(parameters, version="trial", abilities=abilities)

    tried = trials.trials_of(taught, *trials.cross_fit(taught, fit))
    fast, reasoning = (
        metrics.ece(trials.pool(tried, said), trials.pool(tried, true))
        for said, true in (("p_fast", "weak"), ("p_reasoning", "strong"))
    )
    left = [
        trials.try_pair(taught, group, pair, [base], [0] * len(taught.queries))
        for group in HEADLINE
        for base in [fit(_without(taught, group))]
        for pair in PAIRS[group]
    ]
    ranked = ", ".join(f"{need:.3f}" for need, _ in _ranked(tried))
    unseen = ", ".join(f"{need:.3f} / {gap:.3f}" for need, gap in _ranked(left))
    return f"| {settings.own_share}, {settings.own_level} | {fast:.4f} / {reasoning:.4f} | {ranked} | {unseen} |"


def _ranked(tried: Sequence[Trial]) -> Iterator[tuple[float, float]]:
    """Need AUROC and APGR by group, mean of its pairs."""
    for group in PAIRS:
        members = [trial for trial in tried if trial.group == group]
        if members:
            yield (
                float(np.mean([metrics.auroc(trial.need, trial.rankings["classifier"]) for trial in members])),
                float(
                    np.mean([metrics.apgr(trial.rankings["classifier"], trial.weak, trial.strong) for trial in members])
                ),
            )


def _without(corpus: Corpus, group: str) -> Corpus:
    return corpus.where(np.array([group_of(query.source) != group for query in corpus.queries]))


def _answered(taught: Corpus, group: str) -> list[Answered]:
    """What a base that never saw the group says of some models on it; of models it does not know, as of its own."""
    base = studies.fit_model(_without(taught, group))
    at = np.array([row for row, query in enumerate(taught.queries) if group_of(query.source) == group])
    asked = np.isfinite(taught.scores[at]).mean(axis=0) > 0.8
    known = {column: base.ability_of(canonical(name)) for column, name in enumerate(taught.models) if asked[column]}
    placed = {column: ability for column, ability in known.items() if ability is not None} or known
    ordered = sorted(placed, key=lambda column: (placed[column] or 0.0, column))
    chosen = [ordered[place] for place in np.unique(np.linspace(0, len(ordered) - 1, _MODELS).round().astype(int))]
    found = []
    for column in chosen:
        rows = at[np.isfinite(taught.scores[at, column])]
        abilities = Abilities(fast=placed[column])
        said = [base.estimate([Turn("user", taught.queries[row].text)], abilities).p_fast for row in rows]
        chance = np.array(said)
        found.append(Answered(group, logit(chance), taught.scores[rows, column]))
    return found


def _errors(answered: Sequence[Answered], prior: Prior, count: int) -> tuple[float, float]:
    """ECE on the rest after so many labels: the mean over groups, and of the worst model."""
    found: dict[str, list[float]] = {}
    for each in answered:
        error = studies.ece_with_labels(each.logits, each.right, count, prior=prior, seeds=_SEEDS)
        found.setdefault(each.group, []).append(error)
    return float(np.mean([np.mean(values) for values in found.values()])), max(map(max, found.values()))
