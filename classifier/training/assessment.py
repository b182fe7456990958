"""The whole table of routing quality for one artefact, as it is, on any recorded outcomes. Training only.

Nothing is fitted anew (`scripts/evaluate` does that for the recipe). Kinds of source that the recipe knows show how
good the artefact is where it was taught; any other source is a new one, judged without labels, with 50 and with 1,500.
"""

from collections.abc import Callable, Sequence

import numpy as np

from classifier.model import DifficultyModel
from classifier.training import bars, studies, trials
from classifier.training.bars import Bar
from classifier.training.corpus import Corpus, is_templated
from classifier.training.evaluate import leave_out_fitted
from classifier.training.perturbations import flips
from classifier.training.recipe import SOURCES
from classifier.training.trials import Pair, Trial, group_of
from classifier.types import Turn

DRAWS = 5
MOST_LABELS = 1_500
FEWEST_ROWS = 100
HELD_MODELS = 4
FEWEST_PLACED = 150  # up to 100 place a model, the rest say how well
_KNOWN = {source for sources in SOURCES.values() for source in sources}
Progress = Callable[[str], None]


def assess(
    whole: Corpus, model: DifficultyModel, asked: Sequence[Pair] = (), progress: Progress = lambda _: None
) -> tuple[list[Bar], list[Trial]]:
    """The bars, and every pair tried; rows that the shipped artefact was fitted on are left out."""
    corpus = leave_out_fitted(whole)
    pairs_of = trials.pairs_in(corpus, asked)
    progress(f"estimating {len(corpus.queries):,} queries")
    tried = trials.trials_of(corpus, [model], [0] * len(corpus.queries), pairs_of)
    known, new = _split_by_novelty([trial for trial in tried if _is_enough(trial)], corpus, model)
    rows: list[Bar] = []
    if ranked := [trial for trial in known if not _is_of_templates(trial)]:
        progress("fitting TF-IDF beside it")
        baseline = {id(trial): studies.with_baseline(trial) for trial in ranked}
        rows += bars.of_ranking(ranked, baseline, ", ".join(dict.fromkeys(trial.group for trial in ranked)))
    held_out = corpus.of(holdout=True)
    tasks = trials.trials_of(held_out, [model], [0] * len(held_out.queries), pairs_of)
    if tasks := [trial for trial in tasks if _is_of_templates(trial) and _is_enough(trial)]:
        rows.append(bars.of_tasks(tasks))
    rows += _of_new_sources(new, model, progress)
    if known:
        rows.append(bars.of_calibration(known))
    progress("placing models by graded queries")
    rows += _of_placing(corpus, model)
    progress("rewriting texts")
    groups = list(dict.fromkeys(trial.group for trial in (*known, *new)))
    if groups:
        rows += bars.of_flips(studies.measure_flips(corpus, model, groups, pairs_of))
    texts = [query.text for query in corpus.queries]
    return rows + (bars.of_cost(model, texts) if texts else []), tried


def assess_labels(trial: Trial, model: DifficultyModel, progress: Progress = lambda _: None) -> list[Bar]:
    """The bars that an operator's own labels can tell of."""
    rows: list[Bar] = []
    if _is_enough(trial):
        progress("fitting TF-IDF beside it")
        rows += bars.of_ranking([trial], {id(trial): studies.with_baseline(trial)}, "these labels")
    rows.append(bars.of_calibration([trial]))
    progress("rewriting texts")
    texts = trial.texts[: studies.MOST_REWRITTEN]
    rows += bars.of_flips({trial.group: flips(lambda text: model.estimate([Turn("user", text)]).gain, texts)})
    return rows + bars.of_cost(model, trial.texts)


def _split_by_novelty(
    tried: Sequence[Trial], corpus: Corpus, model: DifficultyModel
) -> tuple[list[Trial], list[Trial]]:
    """Split trials into sources of the recipe's kinds and new ones; to an adapted artefact nothing counts as new."""
    known_groups = {group_of(query.source) for query in corpus.queries if model.is_adapted or query.source in _KNOWN}
    known = [trial for trial in tried if trial.group in known_groups]
    return known, [trial for trial in tried if trial.group not in known_groups]


def _of_new_sources(new: Sequence[Trial], model: DifficultyModel, progress: Progress) -> list[Bar]:
    rows: list[Bar] = []
    sources = []
    for group in dict.fromkeys(trial.group for trial in new):
        progress(f"{group} as a new source")
        own = [trial for trial in new if trial.group == group]
        sources.append(studies.of_new_source(own))
        labels = min(MOST_LABELS, len(own[0].texts) * 3 // 4)
        adapted = [studies.adapt_to(own[0], model, labels, seed) for seed in range(DRAWS)]
        rows.append(bars.of_labels(adapted, group, ">= .66, bounds above length"))
        rows += bars.of_no_labels(sources[-1], group)
    return rows + (bars.of_few_labels(sources) if sources else [])


def _of_placing(corpus: Corpus, model: DifficultyModel) -> list[Bar]:
    """Models that the artefact does not know by name first; a known one is placed as if it were not."""
    placed = {}
    groups = np.array([group_of(query.source) for query in corpus.queries])
    for group in sorted(set(groups.tolist())):
        rows = np.flatnonzero(groups == group)[:800]
        counts = np.isfinite(corpus.scores[rows]).sum(axis=0)
        names = [name for name, count in zip(corpus.models, counts.tolist(), strict=True) if count >= FEWEST_PLACED]
        names = sorted(names, key=lambda name: model.ability_of(name) is not None)[:HELD_MODELS]
        if names and not model.is_adapted:
            placed[group] = studies.placement_errors_on(model, corpus, rows, names)
    return bars.of_placing(placed) if placed else []


def _is_enough(trial: Trial) -> bool:
    """Whether a ranking can be judged at all."""
    return len(trial.texts) >= FEWEST_ROWS and min(int(trial.need.sum()), int((~trial.need).sum())) >= 10


def _is_of_templates(trial: Trial) -> bool:
    return is_templated(trial.group)
