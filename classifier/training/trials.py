"""Puts a model to the test on recorded outcomes: what it says of queries, beside what two models really did."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from classifier.model import DifficultyModel
from classifier.training import controls, metrics
from classifier.training.corpus import Corpus
from classifier.training.design import folds_of
from classifier.types import Abilities, Interval, Turn

Array = npt.NDArray[np.float64]
Fitter = Callable[[Corpus], DifficultyModel]
Pair = tuple[str, str]

# Weak and strong model by group of sources, as in the exploration that came before.
PAIRS: dict[str, tuple[Pair, ...]] = {
    "crux": (("gpt-4o-mini-2024-07-18", "o1-mini-2024-09-12"), ("Meta-Llama-3.1-8B-Instruct", "gpt-4o-2024-08-06")),
    "math-l5": (("gpt-4o-mini-2024-07-18", "o1-mini-2024-09-12"), ("Qwen2.5-7B-Instruct", "o1-mini-2024-09-12")),
    "mmlu_pro": (
        ("Meta-Llama-3_1-8B-Instruct", "gemini-1.5-pro-002"),
        ("Mixtral-8x7B-Instruct-v0.1", "gemini-1.5-pro-002"),
    ),
    "rgym": (
        ("mistralai_mistral-small-3.1-24b-instruct", "openai_o3-mini"),
        ("meta-llama_llama-4-scout", "deepseek_deepseek-r1"),
    ),
}
HEADLINE = ("crux", "math-l5", "mmlu_pro")


@dataclass(frozen=True)
class Trial:
    """One pair on one group of queries: outcomes and what was predicted, row by row."""

    group: str
    pair: tuple[str, str]
    texts: list[str]
    clusters: list[str]
    weak: Array
    strong: Array
    p_fast: Array
    p_reasoning: Array
    half_width: Array  # the model's own uncertainty of the gain
    judge: npt.NDArray[np.intp]  # which of several models estimated the row
    is_placed: bool  # abilities known by name; else the reference pair spoke

    @property
    def need(self) -> npt.NDArray[np.bool_]:
        """The weak model fails and the strong one succeeds."""
        return (self.weak < 0.5) & (self.strong >= 0.5)

    @property
    def gain(self) -> Array:
        return self.p_reasoning - self.p_fast

    @cached_property
    def rankings(self) -> dict[str, Array]:
        """The router, each of its models ranking its own rows, and the controls."""
        return {
            "classifier": metrics.quantiles_within(self.gain, self.judge),
            "length only": controls.length(self.texts),
            "cost-matched shuffled": controls.shuffled(self.gain),
            "random": controls.random(len(self.texts)),
            "oracle": controls.oracle(self.weak, self.strong),
        }


def group_of(source: str) -> str:
    """Sources that are reported together."""
    return "rgym" if source.startswith("rgym") else source.removeprefix("zeroeval_")


def try_pair(
    corpus: Corpus, group: str, pair: tuple[str, str], models: Sequence[DifficultyModel], model_of: Sequence[int]
) -> Trial:
    """Estimate each query of the group that both models answered, by the model that `model_of` assigns it."""
    weak, strong = (corpus.scores[:, corpus.column(name)] for name in pair)
    rows = [
        row
        for row, query in enumerate(corpus.queries)
        if group_of(query.source) == group and np.isfinite(weak[row]) and np.isfinite(strong[row])
    ]
    placed = [Abilities(*(model.ability_of(name) for name in pair)) for model in models]
    estimates = [
        models[model_of[row]].estimate([Turn("user", corpus.queries[row].text)], placed[model_of[row]]) for row in rows
    ]
    return Trial(
        group,
        pair,
        [corpus.queries[row].text for row in rows],
        [corpus.queries[row].cluster for row in rows],
        weak[rows],
        strong[rows],
        np.array([estimate.p_fast for estimate in estimates]),
        np.array([estimate.p_reasoning for estimate in estimates]),
        np.array([estimate.uncertainty for estimate in estimates]),
        np.array(model_of)[rows],
        all(None not in (abilities.fast, abilities.reasoning) for abilities in placed),
    )


def cross_fit(
    corpus: Corpus, fit: Fitter, count: int = 5, *, by_query: bool = False
) -> tuple[list[DifficultyModel], list[int]]:
    """Fit once per fold without the fold; queries are assigned to the model that has not seen their cluster.

    By query, other queries of the same template may have been seen.
    """
    folds = folds_of([query.query_id if by_query else query.cluster for query in corpus.queries], count).tolist()
    return [fit(corpus.where(np.array(folds) != fold)) for fold in range(count)], folds


def trials_of(
    corpus: Corpus,
    models: Sequence[DifficultyModel],
    model_of: Sequence[int],
    pairs_of: Mapping[str, Sequence[Pair]] = PAIRS,
) -> list[Trial]:
    """All pairs whose models are in the corpus."""
    return [
        try_pair(corpus, group, pair, models, model_of)
        for group, pairs in pairs_of.items()
        for pair in pairs
        if set(pair) <= set(corpus.models) and any(group_of(query.source) == group for query in corpus.queries)
    ]


class PairsError(ValueError):
    """A pair of models that cannot be tried, said in the operator's words."""


def pairs_of_names(names: Sequence[str]) -> list[Pair]:
    """Read `WEAK:STRONG`; raises PairsError."""
    pairs = []
    for each in names:
        weak, _, strong = each.partition(":")
        if not weak or not strong or weak == strong:
            raise PairsError(f"--pair {each}: give two models as WEAK:STRONG")
        pairs.append((weak, strong))
    return pairs


def pairs_in(corpus: Corpus, asked: Sequence[Pair] = ()) -> dict[str, tuple[Pair, ...]]:
    """What to try on each group of any corpus: the pairs asked for, else those above, else a pair of its own models.

    Of those that answered at least half as many queries as the busiest, the best is the strong model, and of the
    others the one in the middle is the weak model. Raises PairsError for models that are not in the corpus.
    """
    if unknown := sorted({name for pair in asked for name in pair} - set(corpus.models)):
        raise PairsError(f"no outcomes of {', '.join(unknown)}; there are {', '.join(corpus.models)}")
    tried: dict[str, tuple[Pair, ...]] = {}
    groups = np.array([group_of(query.source) for query in corpus.queries])
    for group in sorted(set(groups.tolist())):
        scores = corpus.scores[groups == group]
        counts = np.isfinite(scores).sum(axis=0)
        busy = [at for at in np.argsort(corpus.models) if counts[at] and counts[at] * 2 >= counts.max()]
        present = {corpus.models[at] for at in busy}
        listed = tuple(pair for pair in asked or PAIRS.get(group, ()) if set(pair) <= present)
        if not listed and not asked and len(busy) > 1:
            *others, best = sorted(busy, key=lambda at: float(np.nanmean(scores[:, at])))
            listed = ((corpus.models[others[len(others) // 2]], corpus.models[best]),)
        if listed:
            tried[group] = listed
    return tried


def pool(tried: Sequence[Trial], name: str) -> Array:
    """Join one of the arrays of all trials, end to end."""
    return np.concatenate([getattr(trial, name) for trial in tried])


def mean_over(trials: Sequence[Trial], measure: Callable[[Trial, npt.NDArray[np.intp]], float]) -> Interval:
    """Mean of groups of the mean of pairs, with an interval over joint draws of queries (shared by a group's pairs)."""
    groups = sorted({trial.group for trial in trials})
    draws = []
    for group in groups:
        members = [trial for trial in trials if trial.group == group]
        per_pair = [_draws(trial, measure) for trial in members]
        draws.append(np.mean(per_pair, axis=0))
    values = np.mean(draws, axis=0)
    return Interval(float(values[0]), *(float(value) for value in np.nanquantile(values[1:], (0.025, 0.975))))


def _draws(trial: Trial, measure: Callable[[Trial, npt.NDArray[np.intp]], float], count: int = 200) -> Array:
    """The measure on all rows, then on `count` draws of clusters; one seed draws the same clusters for each pair."""
    names, member = np.unique(np.asarray(trial.clusters), return_inverse=True)
    rows_of = np.split(np.argsort(member, kind="stable"), np.cumsum(np.bincount(member))[:-1])
    random = np.random.default_rng(0)
    samples = [np.concatenate([rows_of[at] for at in random.integers(0, len(names), len(names))]) for _ in range(count)]
    return np.array([measure(trial, np.arange(len(member))), *(measure(trial, rows) for rows in samples)])


def need_auroc(ranking: str) -> Callable[[Trial, npt.NDArray[np.intp]], float]:
    """AUROC of need for one of the rankings."""
    return lambda trial, rows: metrics.auroc(trial.need[rows], trial.rankings[ranking][rows])
