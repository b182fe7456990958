"""Does the score find the chat prompts where thinking was worth something? Recorded outcomes, with an observer."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from classifier.model import DifficultyModel
from classifier.training import metrics
from classifier.training.corpus import Corpus
from classifier.types import Turn

Array = npt.NDArray[np.float64]

FEWEST_PROMPTS = 100
RESAMPLINGS = 400
INTRODUCTION = (
    "**Recorded outcomes of chat prompts.** *Need* is the top third of what the reasoning and strong models gain "
    "over the cheap ones, pooled over models (for one pair of models with and without thinking, the gain agrees "
    "between pairs at r = .02-.06, which no text can predict). *Short* is the top third of how far cheap models fall "
    "short. The observer knows the results of half of the models and predicts the other half, which is an upper "
    "bound. Nothing that ships was fitted to these outcomes. If the interval includes .5, the text does not predict "
    "the outcome."
)


def measure(model: DifficultyModel, rows: Corpus, directory: Path) -> list[str]:
    """One row a source and measure: AUROC of the score, of length, of shuffled scores and of the observer."""
    lines = [
        "| prompts | n | of | score | length alone | shuffled | observer |",
        "|---|---|---|---|---|---|---|",
    ]
    alpaca = rows.of(sources=["alpaca_eval"])
    texts = {query.query_id: query.text for query in alpaca.queries}
    found: dict[str, list[tuple[str, str, str, float]]] = {
        "alpaca_eval": _outcomes_of(directory.parent / "outcomes", texts)
    }
    if (directory / "outcomes.parquet").is_file():
        import pyarrow.parquet as parquet

        queries = parquet.read_table(directory / "queries.parquet").to_pylist()
        texts |= {row["query_id"]: row["text"] for row in queries}
        source_of = {row["query_id"]: row["source"] for row in queries}
        for outcome in _outcomes_of(directory, texts):
            found.setdefault(source_of[outcome[0]], []).append(outcome)
    for source, outcomes in found.items():
        lines += _rows_of(model, source, texts, outcomes)
    return lines


def _outcomes_of(directory: Path, texts: dict[str, str]) -> list[tuple[str, str, str, float]]:
    """Query, model, kind of model and score, of the queries with a text."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(directory / "outcomes.parquet", columns=["query_id", "model", "kind", "score"])
    return [
        (row["query_id"], row["model"], row["kind"], float(row["score"]))
        for row in table.to_pylist()
        if row["query_id"] in texts and row["score"] is not None
    ]


def _rows_of(
    model: DifficultyModel, source: str, texts: dict[str, str], outcomes: Sequence[tuple[str, str, str, float]]
) -> list[str]:
    halves = [_figures(outcomes, half) for half in (0, 1)]
    both = _figures(outcomes, None)
    lines = []
    for name in ("need", "short"):
        ids = sorted(both[name].keys() & halves[0][name].keys() & halves[1][name].keys())
        if len(ids) < FEWEST_PROMPTS:
            continue
        values = np.array([both[name][at] for at in ids])
        is_top = values >= np.quantile(values, 2 / 3)
        if is_top.all() or not is_top.any():
            continue
        estimates = [model.estimate([Turn("user", texts[at])]) for at in ids]
        scores = np.array([each.score if name == "need" else 1 - each.p_fast for each in estimates])
        lengths = np.array([float(len(texts[at])) for at in ids])
        low, high = _interval(is_top, scores)
        one, other = (np.array([half[name][at] for at in ids]) for half in halves)
        observer = metrics.auroc(other >= np.quantile(other, 2 / 3), one)
        shuffled = metrics.auroc(is_top, np.random.default_rng(1).permutation(scores))
        lines.append(
            f"| {source} | {len(ids)} | {name} | {metrics.auroc(is_top, scores):.3f} [{low:.3f}, {high:.3f}] "
            f"| {metrics.auroc(is_top, lengths):.3f} | {shuffled:.3f} | {observer:.3f} |"
        )
    return lines


def _figures(outcomes: Sequence[tuple[str, str, str, float]], half: int | None) -> dict[str, dict[str, float]]:
    """By prompt: the pooled gain of strong and reasoning models over cheap ones, and how far cheap ones fall short."""
    names = sorted({model for _, model, _, _ in outcomes})
    chosen = {name for place, name in enumerate(names) if half is None or place % 2 == half}
    sums: dict[tuple[str, bool], list[float]] = defaultdict(list)
    for query, model, kind, score in outcomes:
        if model in chosen:
            sums[query, kind == "cheap"].append(score)
    weak = {query: float(np.mean(scores)) for (query, is_cheap), scores in sums.items() if is_cheap}
    strong = {query: float(np.mean(scores)) for (query, is_cheap), scores in sums.items() if not is_cheap}
    return {
        "need": {query: strong[query] - weak[query] for query in weak.keys() & strong.keys()},
        "short": {query: -score for query, score in weak.items()},
    }


def _interval(is_top: npt.NDArray[np.bool_], scores: Array) -> tuple[float, float]:
    random, drawn = np.random.default_rng(2), []
    for _ in range(RESAMPLINGS):
        at = random.integers(0, len(is_top), len(is_top))
        if is_top[at].any() and not is_top[at].all():
            drawn.append(metrics.auroc(is_top[at], scores[at]))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)
