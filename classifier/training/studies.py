"""The questions that docs/measured/routing-quality.md answers: functions from a corpus to figures."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from classifier.model import DifficultyModel
from classifier.training import metrics, placement, recipe
from classifier.training.adapt import adapt
from classifier.training.corpus import Corpus
from classifier.training.design import folds_of
from classifier.training.heads import platt
from classifier.training.labels import GradedConversation
from classifier.training.levels import PRIOR, Prior, level_and_slope, logit, sigmoid
from classifier.training.perturbations import flips
from classifier.training.trials import HEADLINE, PAIRS, Pair, Trial, group_of, try_pair
from classifier.types import Abilities, Interval, Turn

Array = npt.NDArray[np.float64]
Log = Callable[[str], None]
MOST_REWRITTEN = 600


def fit_model(corpus: Corpus) -> DifficultyModel:
    """The recipe on all rows given, but for the lengths of answers."""
    parameters, abilities = recipe.fit(corpus, with_lengths=False)
    return DifficultyModel(parameters, version="trial", abilities=abilities)


@dataclass(frozen=True)
class Baseline:
    """Out-of-fold scores of a learner on a pair's own need labels, and which fold's learner gave them."""

    scores: Array
    folds: npt.NDArray[np.intp]

    @cached_property
    def quantiles(self) -> Array:
        """Comparable over folds."""
        return metrics.quantiles_within(self.scores, self.folds)


def with_baseline(trial: Trial) -> Baseline:
    """Fit TF-IDF and logistic regression to a pair's own labels, out of fold."""
    folds = folds_of(trial.clusters)
    scores = np.zeros(len(trial.texts))
    texts = np.array(trial.texts, dtype=object)
    for fold in np.unique(folds):
        test = folds == fold
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        learner = LogisticRegression(max_iter=500).fit(words.fit_transform(texts[~test]), trial.need[~test])
        scores[test] = learner.predict_proba(words.transform(texts[test]))[:, 1]
    return Baseline(scores, folds)


@dataclass(frozen=True)
class NewSource:
    """A source that the base never saw."""

    group: str
    need: Interval
    need_by_length: Interval
    apgr: Interval
    apgr_by_length: Interval
    ece: list[float]  # of p_fast by pair, without labels
    ece_50: list[float]  # with 50 labels, mean of 10 draws
    ece_50_of_perfect: list[float]  # what 50 labels would leave of a base whose forecasts are true
    covered: float  # share of pairs whose error of the mean gain lies within the model's own interval


def without_source(corpus: Corpus, group: str) -> tuple[NewSource, DifficultyModel]:
    """Fit on the other sources, test on this one, without labels and with 50."""
    keep = np.array([group_of(query.source) != group for query in corpus.queries])
    base = fit_model(corpus.where(keep))
    trials = [try_pair(corpus, group, pair, [base], [0] * len(corpus.queries)) for pair in PAIRS[group]]
    return of_new_source(trials), base


def of_new_source(trials: Sequence[Trial]) -> NewSource:
    """What pairs on a source show of a model that never saw it; rankings are those of the first pair."""
    first = trials[0]
    length = first.rankings["length only"]

    def over(trial: Trial, score: Array, measure: str) -> Interval:
        if measure == "need":
            return metrics.bootstrap(lambda rows: metrics.auroc(trial.need[rows], score[rows]), trial.clusters)
        return metrics.bootstrap(
            lambda rows: metrics.apgr(score[rows], trial.weak[rows], trial.strong[rows]), trial.clusters
        )

    inside = [
        abs(float(np.mean(trial.gain) - np.mean(trial.strong - trial.weak))) <= float(trial.half_width.mean())
        for trial in trials
    ]
    return NewSource(
        first.group,
        over(first, first.gain, "need"),
        over(first, length, "need"),
        over(first, first.gain, "apgr"),
        over(first, length, "apgr"),
        [metrics.ece(trial.p_fast, trial.weak) for trial in trials],
        [ece_with_labels(logit(trial.p_fast), trial.weak, 50) for trial in trials],
        [_ece_of_perfect(trial, 50) for trial in trials],
        float(np.mean(inside)),
    )


def ece_with_labels(
    logits: Array, right: Array, count: int, *, prior: Prior = PRIOR, seeds: Sequence[int] = range(10)
) -> float:
    """ECE on the rest after so many labels have moved slope and level, mean of a draw for each seed."""
    values = []
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(logits))
        known, rest = order[:count], order[count:]
        slope, level = level_and_slope(logits[known], right[known], prior=prior)
        values.append(metrics.ece(sigmoid(slope * logits[rest] + level), right[rest]))
    return float(np.mean(values))


def _ece_of_perfect(trial: Trial, count: int, draws: int = 10) -> float:
    """The same where forecasts have the slope and level of what is true, and outcomes are drawn from them."""
    logits = logit(trial.p_fast)
    slope, level = platt(logits, trial.weak)
    logits = slope * logits + level
    random = np.random.default_rng(0)
    drawn = [(random.random(len(logits)) < sigmoid(logits)).astype(float) for _ in range(draws)]
    return float(np.mean([ece_with_labels(logits, right, count) for right in drawn]))


@dataclass(frozen=True)
class Adaptation:
    """One draw of labels from a source that the base never saw, tested on the rest of the source."""

    pair: tuple[str, str]
    labels: int
    need: float
    apgr: Interval
    apgr_by_length: float
    apgr_of_tfidf: float
    ece: float
    method: str


def adapt_to(trial: Trial, base: DifficultyModel, labels: int, draw: int) -> Adaptation:
    """What `tierwise train` makes of so many labels."""
    order = np.random.default_rng(draw).permutation(len(trial.texts))
    known, rest = order[:labels], order[labels:]
    given = [
        GradedConversation((Turn("user", trial.texts[at]),), float(trial.weak[at]), float(trial.strong[at]))
        for at in known
    ]
    adapted = adapt(given, base, "trial", lambda _: None)
    estimates = [adapted.model.estimate([Turn("user", trial.texts[at])]) for at in rest]
    gain = np.array([estimate.gain for estimate in estimates])
    p_fast = np.array([estimate.p_fast for estimate in estimates])
    weak, strong = trial.weak[rest], trial.strong[rest]
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    features = words.fit_transform([trial.texts[at] for at in known])
    learner = LogisticRegression(max_iter=500).fit(features, trial.need[known])
    baseline = learner.predict_proba(words.transform([trial.texts[at] for at in rest]))[:, 1]
    length = np.array([float(len(trial.texts[at])) for at in rest])
    clusters = [str(at) for at in rest]
    return Adaptation(
        trial.pair,
        labels,
        metrics.auroc(trial.need[rest], gain),
        metrics.bootstrap(lambda rows: metrics.apgr(gain[rows], weak[rows], strong[rows]), clusters),
        metrics.apgr(length, weak, strong),
        metrics.apgr(baseline, weak, strong),
        metrics.ece(p_fast, weak),
        adapted.method,
    )


def placement_errors(
    corpus: Corpus, counts: Sequence[int] = (10, 25, 50, 100)
) -> dict[str, dict[int, tuple[float, float]]]:
    """Error of a held model's predicted accuracy on unseen queries: by ability, and by the plain mean of the sample."""
    held = ("gpt-4o-2024-08-06", "Meta-Llama-3.1-8B-Instruct", "Qwen2.5-72B-Instruct", "claude-3-haiku-20240307")
    held_exam = ("Meta-Llama-3_1-70B-Instruct", "gemini-1.5-flash-002", "Mixtral-8x7B-Instruct-v0.1", "mathstral-7B")
    folds = folds_of([query.cluster for query in corpus.queries], 2)
    scores = corpus.scores.copy()
    scores[:, [corpus.column(name) for name in (*held, *held_exam)]] = np.nan
    base = fit_model(replace(corpus, scores=scores).where(folds == 0))
    errors = {}
    for group, names in (("crux", held), ("math-l5", held), ("mmlu_pro", held_exam)):
        rows = np.array(
            [row for row, query in enumerate(corpus.queries) if group_of(query.source) == group and folds[row]]
        )
        errors[group] = placement_errors_on(base, corpus, rows[:800], names, counts)
    return errors


def placement_errors_on(
    base: DifficultyModel,
    corpus: Corpus,
    rows: npt.NDArray[np.intp],
    names: Sequence[str],
    counts: Sequence[int] = (10, 25, 50, 100),
) -> dict[int, tuple[float, float]]:
    """The errors of `placement_errors` for some models on some rows, by number of graded queries."""
    chance = placement.chances(base, [[Turn("user", corpus.queries[row].text)] for row in rows])
    columns = [corpus.column(name) for name in names]
    return {count: _mean_placement_errors(chance, corpus.scores[rows], columns, count) for count in counts}


def _mean_placement_errors(
    chance: Array, scores: Array, columns: list[int], count: int, draws: int = 30
) -> tuple[float, float]:
    errors = []
    for column in columns:
        asked = np.flatnonzero(np.isfinite(scores[:, column]))
        for draw in range(draws):
            order = np.random.default_rng(draw).permutation(asked)
            known, rest = order[:count], order[count:]
            ability = placement.ability_from(chance[known], scores[known, column])
            predicted = placement.chances_at(chance[rest], ability).mean()
            truth = scores[rest, column].mean()
            errors.append((abs(predicted - truth), abs(scores[known, column].mean() - truth)))
    by_ability, by_mean = np.mean(errors, axis=0)
    return float(by_ability), float(by_mean)


def measure_flips(
    corpus: Corpus,
    model: DifficultyModel,
    groups: Sequence[str] = HEADLINE,
    pairs_of: Mapping[str, Sequence[Pair]] = PAIRS,
) -> dict[str, dict[str, list[float]]]:
    """Measure how many decisions rewrites change, per group, for the group's first pair."""
    shares = {}
    for group in groups:
        texts = [query.text for query in corpus.queries if group_of(query.source) == group]
        texts = random.Random(0).sample(texts, min(MOST_REWRITTEN, len(texts)))
        abilities = Abilities(*(model.ability_of(name) for name in pairs_of[group][0]))
        shares[group] = flips(lambda text, at=abilities: model.estimate([Turn("user", text)], at).gain, texts)  # type: ignore[misc]
    return shares


_WORDS_READ = 60 * 750


def measure_speed(model: DifficultyModel, texts: Sequence[str], rounds: int = 9) -> dict[int, tuple[float, float]]:
    """Measure the CPU milliseconds of an estimate at about 20, 200 and 1,000 tokens of real text.

    The median of the quietest round, because cores are shared and change their clock; and the best single one.
    """
    words = " ".join(texts).split()
    words *= 1 + _WORDS_READ // len(words)
    milliseconds = {}
    for tokens in (20, 200, 1000):
        size = int(tokens * 0.75)
        parts = [(Turn("user", " ".join(words[start : start + size])),) for start in range(0, 60 * size, size)]
        times = np.array([[_milliseconds(model, turns) for turns in parts * 4] for _ in range(rounds)])
        milliseconds[tokens] = float(np.median(times, axis=1).min()), float(times.min())
    return milliseconds


def _milliseconds(model: DifficultyModel, turns: Sequence[Turn]) -> float:
    begin = time.process_time_ns()
    model.estimate(turns)
    return (time.process_time_ns() - begin) / 1e6


def footprint() -> tuple[float, float]:
    """Megabytes that the loaded model adds to a process with numpy, and seconds to load it, in a fresh process."""
    code = (
        "import time, numpy; usage = lambda: int(open('/proc/self/statm').read().split()[1]) * 4096 / 1e6;"
        "before = usage(); begin = time.perf_counter();"
        "from classifier import artifact; from classifier.types import Turn; model = artifact.load();"
        "took = time.perf_counter() - begin; model.estimate([Turn('user', 'word ' * 1000)]);"
        "print(usage() - before, took)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    megabytes, seconds = map(float, done.stdout.split())
    return megabytes, seconds
