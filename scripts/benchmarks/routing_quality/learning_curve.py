"""`scripts/evaluate --only learning-curve`: what the ranking owes to the number of queries taught. Training only."""

from collections.abc import Callable

import numpy as np

from classifier.training import metrics, studies, trials
from classifier.training.corpus import Corpus
from classifier.training.design import folds_of
from classifier.training.trials import HEADLINE, PAIRS

Log = Callable[[str], None]
_FOLDS = 10
_TAUGHT = (2, 4, 6, 8)  # tenths; two more are tested on


def draw(rows: Corpus, log: Log) -> None:
    """Log a table: need AUROC on the same five parts of the queries, taught by more and more of the rest."""
    graded = rows.of(use="train")
    folds = folds_of([query.cluster for query in graded.queries], _FOLDS, seed=3)
    log("| share of the queries taught | " + " | ".join(PAIRS) + " | mean of " + ", ".join(HEADLINE) + " |")
    log("|---" * (len(PAIRS) + 2) + "|")
    for taught in _TAUGHT:
        found: dict[str, list[float]] = {group: [] for group in PAIRS}
        for first in range(0, _FOLDS, 2):
            teaching = [(first + 2 + at) % _FOLDS for at in range(taught)]
            model = studies.fit_model(graded.where(np.isin(folds, teaching)))
            tested = graded.where(np.isin(folds, [first, first + 1]))
            for trial in trials.trials_of(tested, [model], [0] * len(tested.queries)):
                found[trial.group].append(metrics.auroc(trial.need, trial.gain))
        means = {group: float(np.mean(values)) for group, values in found.items()}
        cells = [*means.values(), np.mean([means[group] for group in HEADLINE])]
        log(f"| {taught / _FOLDS:.0%} | " + " | ".join(f"{value:.3f}" for value in cells) + " |")
