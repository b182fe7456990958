"""`tierwise evaluate`: the table of routing quality for any artefact and any data it was not fitted on."""

from collections.abc import Sequence

import numpy as np

from classifier.model import DifficultyModel
from classifier.training import metrics, trials
from classifier.training.corpus import Corpus
from classifier.training.labels import GradedConversation
from classifier.training.trials import Pair, Trial

RANKINGS = ("classifier", "length only", "cost-matched shuffled", "random", "oracle")


def leave_out_fitted(corpus: Corpus) -> Corpus:
    """Leave out what the shipped artefact was fitted on: the tasks of the training split that may be learned."""
    keep = [
        query.use != "lengths-only"
        and (query.split != "train" or query.is_holdout_task or query.use == "evaluate-only")
        for query in corpus.queries
    ]
    return corpus.where(np.array(keep, np.bool_))


def of_outcomes(rows: Corpus, model: DifficultyModel, asked: Sequence[Pair] = ()) -> list[Trial]:
    """Trials on the unseen rows of recorded outcomes."""
    corpus = leave_out_fitted(rows)
    return trials.trials_of(corpus, [model], [0] * len(corpus.queries), trials.pairs_in(corpus, asked))


def of_labels(labels: Sequence[GradedConversation], model: DifficultyModel) -> list[Trial]:
    """One trial on an operator's labels; the abilities are the model's own reference or heads."""
    estimates = [model.estimate(label.turns) for label in labels]
    texts = [label.turns[-1].text if label.turns else "" for label in labels]
    trial = Trial(
        "labels",
        ("fast", "reasoning"),
        texts,
        texts,
        np.array([label.fast for label in labels]),
        np.array([label.reasoning for label in labels]),
        np.array([estimate.p_fast for estimate in estimates]),
        np.array([estimate.p_reasoning for estimate in estimates]),
        np.array([estimate.uncertainty for estimate in estimates]),
        np.zeros(len(estimates), np.intp),
        model.is_adapted,
    )
    return [trial]


def table(results: Sequence[Trial]) -> list[str]:
    """Markdown: every pair with the router and its controls, then calibration."""
    lines = [
        "| group | pair | n | ranking | need AUROC | APGR | share for 50 % / 80 % of the gap |",
        "|---|---|---|---|---|---|---|",
    ]
    for trial in results:
        for at, name in enumerate(RANKINGS):
            head = f"| {trial.group} | {_pair(trial)} | {len(trial.texts)} " if not at else "| | | "
            lines.append(f"{head}| {name} | {format_ranking(trial, name)} |")
        ends = f"{trial.weak.mean():.3f} / {trial.strong.mean():.3f}"
        lines.append(f"| | | | always fast / always reasoning | quality {ends} | | |")
    lines += [
        "",
        "| group | pair | head | mean said | mean true | ECE | noise floor | Brier |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for trial in results:
        for head, chance, right in (("fast", trial.p_fast, trial.weak), ("reasoning", trial.p_reasoning, trial.strong)):
            figures = (
                chance.mean(),
                right.mean(),
                metrics.ece(chance, right),
                metrics.ece_floor(chance),
                metrics.brier(chance, right),
            )
            lines.append(
                f"| {trial.group} | {_pair(trial)} | {head} | " + " | ".join(f"{each:.3f}" for each in figures) + " |"
            )
    return lines


def format_ranking(trial: Trial, name: str) -> str:
    """Write the cells of one ranking: need AUROC, APGR with intervals, and CPT."""
    score, weak, strong = trial.rankings[name], trial.weak, trial.strong
    need = metrics.bootstrap(lambda rows: metrics.auroc(trial.need[rows], score[rows]), trial.clusters, draws=200)
    gap = metrics.bootstrap(lambda rows: metrics.apgr(score[rows], weak[rows], strong[rows]), trial.clusters, draws=200)
    shares = " / ".join(f"{metrics.cpt(score, weak, strong, share):.2f}" for share in (0.5, 0.8))
    return f"{need} | {gap} | {shares}"


def _pair(trial: Trial) -> str:
    weak, strong = trial.pair
    return f"{weak} → {strong}" + ("" if trial.is_placed else " (reference abilities)")
