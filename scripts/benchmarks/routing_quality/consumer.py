"""`scripts/evaluate --only consumer`: how well the estimate knows what people ask, on the written queries kept apart.

Every figure stands beside what length alone and shuffled scores make of the same queries. Deep means that the default
thresholds, without cap and exploration, send a query to another tier than fast.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from classifier.instruction import split
from classifier.model import DifficultyModel
from classifier.training import metrics
from classifier.training.consumer_corpus import KEPT, ConsumerQuery, read_queries, read_second_annotation
from classifier.types import AnswerType, Estimate, Turn
from router.commands.estimate import tier_by
from router.decision.policy import Policy
from router.decision.share_cap import ScoreWindow
from router.types import Tier

INTRODUCTION = (
    "These are the written queries that were kept apart (`classifier/training/consumer`; its README has the rubric "
    "and says how far two annotators agree): neither their authors nor their subjects were taught. Levels are "
    "judgements by that rubric, not outcomes. *Deep* means that the default thresholds, without cap and exploration, "
    "send a query to another tier than fast. Settings were chosen on the train split, cross-fitted over authors."
)
Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

HARD, EASY = 3, 1
TAKE_ANY_TEXT = ("rewrite", "translate", "summarise", "extract", "classify")
ONE_LINE_CHARS = 80
RESAMPLINGS = 400
MIXED, MIXED_HARD, CAP, FRESH_SERVERS = 300, 30, 0.10, 50


@dataclass(frozen=True)
class Judged:
    """Queries with what the model says of them."""

    queries: tuple[ConsumerQuery, ...]
    estimates: tuple[Estimate, ...]

    @property
    def scores(self) -> Array:
        return np.array([each.score for each in self.estimates])

    @property
    def levels(self) -> Array:
        return np.array([each.level for each in self.queries], np.float64)

    @property
    def lengths(self) -> Array:
        return np.array([len(each.asked) for each in self.queries], np.float64)

    @property
    def deep(self) -> Mask:
        tier_for = tier_by(Policy(version=0))
        return np.array([tier_for(each) != Tier.FAST for each in self.estimates])

    def where(self, keep: Callable[[ConsumerQuery], bool]) -> "Judged":
        """The part whose queries are kept."""
        chosen = [(q, e) for q, e in zip(self.queries, self.estimates, strict=True) if keep(q)]
        return Judged(tuple(q for q, _ in chosen), tuple(e for _, e in chosen))


def judge(model: DifficultyModel, queries: Sequence[ConsumerQuery]) -> Judged:
    """Estimate every query."""
    return Judged(tuple(queries), tuple(model.estimate(query.turns) for query in queries))


def measure(model: DifficultyModel, prompts: Path | None = None) -> list[str]:
    """The table of the page; `prompts` is a parquet file of short utterances to assistants."""
    kept = judge(model, [query for query in read_queries() if query.split == KEPT])
    english = kept.where(lambda query: query.language == "en" and not (query.is_conversation or query.twin))
    others = kept.where(lambda query: query.language != "en" and not query.is_conversation)
    conversations = kept.where(lambda query: query.is_conversation)
    rows = [
        _row("AUROC, level 3-4 against 0-1: English, without twins", english, "≥ .95 (.97)"),
        _row("the same: 16 other languages", others, "≥ .89 (.93)"),
        _row("the same: last turn of conversations", conversations, "≥ .92 (.95)"),
        *_ranking_rows(kept, english),
        *_share_rows(kept),
        *_material_rows(model, kept),
        *_form_rows(kept),
        *_fresh_server_rows(model, kept),
    ]
    if prompts is not None and prompts.is_file():
        rows.append(_utterance_row(model, prompts))
    head = ["| measure | found | length alone | shuffled | bar (stretch) |", "|---|---|---|---|---|"]
    return [*head, *rows]


def _row(name: str, judged: Judged, bar: str) -> str:
    chosen = judged.where(lambda query: query.level >= HARD or query.level <= EASY)
    hard, random = chosen.levels >= HARD, np.random.default_rng(1)
    low, high = _interval(hard, chosen.scores)
    found = f"{metrics.auroc(hard, chosen.scores):.3f} [{low:.3f}, {high:.3f}], n = {len(hard)}"
    length = metrics.auroc(hard, chosen.lengths)
    shuffled = metrics.auroc(hard, random.permutation(chosen.scores))
    return f"| {name} | {found} | {length:.3f} | {shuffled:.3f} | {bar} |"


def _interval(hard: Mask, scores: Array) -> tuple[float, float]:
    """95 % by resampling queries."""
    random, drawn = np.random.default_rng(2), []
    for _ in range(RESAMPLINGS):
        at = random.integers(0, len(hard), len(hard))
        drawn.append(metrics.auroc(hard[at], scores[at]))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def _ranking_rows(kept: Judged, english: Judged) -> list[str]:
    chosen = english.where(lambda query: query.level >= HARD or query.level <= EASY)
    edges = np.quantile(chosen.lengths, np.linspace(0, 1, 11))
    tenths = []
    for low, high in pairwise(edges):
        rows = (chosen.lengths >= low) & ((chosen.lengths < high) | (high == edges[-1]))
        tenths.append(metrics.auroc(chosen.levels[rows] >= HARD, chosen.scores[rows]))
    correlation = float(spearmanr(kept.scores, kept.lengths)[0])
    pairs: dict[tuple[str, str], list[int]] = {}
    for place, query in enumerate(kept.queries):
        if query.twin:
            pairs.setdefault((query.author, query.twin), []).append(place)
    scores, levels = kept.scores, kept.levels
    right = [(scores[a] > scores[b]) == (levels[a] > levels[b]) for a, b in pairs.values()]
    return [
        f"| English, within each tenth of length: mean, least | {np.mean(tenths):.3f}, {min(tenths):.3f} | .5 | .5 "
        "| ≥ .90 |",
        f"| Spearman's correlation of score and length | {correlation:+.3f} | 1 | 0 | at most .25 |",
        f"| twins: the hard one scores higher | {np.mean(right):.0%} of {len(right)} | 50 % | 50 % | ≥ 88 % |",
    ]


def _share_rows(kept: Judged) -> list[str]:
    trivial = kept.where(lambda query: query.level == 0)
    short = trivial.where(lambda query: len(query.asked) <= ONE_LINE_CHARS)
    wordy = trivial.where(lambda query: len(query.asked) > ONE_LINE_CHARS)
    rows = [
        ("trivial in one line, sent deep", short, "0 of 200"),
        ("trivial and wordy, sent deep", wordy, "≤ 3 %"),
        ("level 0-1 sent deep", kept.where(lambda query: query.level <= EASY), "≤ 5 %"),
        ("level 2 sent deep", kept.where(lambda query: query.level == 2), "none"),
        ("level 3 sent deep", kept.where(lambda query: query.level == HARD), "none"),
        ("level 4 sent deep", kept.where(lambda query: query.level == 4), "≥ 80 %"),
    ]
    return [
        f"| {name} | {judged.deep.mean():.1%} ({judged.deep.sum()} of {len(judged.queries)}) | | | {bar} |"
        for name, judged, bar in rows
    ]


def _material_rows(model: DifficultyModel, kept: Judged) -> list[str]:
    """The same instruction that takes any text, over the short and over the long material of other queries."""
    parts = [(split(query.asked), query.kind in TAKE_ANY_TEXT) for query in kept.queries if not query.is_conversation]
    materials = sorted((each.material for each, _ in parts if each.material), key=lambda text: len(text.split()))
    third = len(materials) // 3
    tier_for = tier_by(Policy(version=0))
    differs, scores = [], []
    for place, each in enumerate(each for each, takes_any in parts if each.material and takes_any):
        short = materials[place % third]
        long = "\n\n".join(materials[-1 - (place + at) % third] for at in range(3))
        estimates = [model.estimate([Turn("user", f"{each.instruction}\n\n{text}")]) for text in (short, long)]
        differs.append(len({tier_for(estimate) for estimate in estimates}) > 1)
        scores.append(abs(estimates[0].score - estimates[1].score))
    words = [len(text.split()) for text in materials]
    return [
        f"| the same instruction to {', '.join(TAKE_ANY_TEXT[:-1])} or {TAKE_ANY_TEXT[-1]}, over short "
        f"({np.mean(words[:third]):.0f} words) and long material ({3 * np.mean(words[-third:]):.0f}): tier differs "
        f"| {np.mean(differs):.1%} of {len(differs)} (score by {np.median(scores):.3f}) | | | ≤ 5 % |"
    ]


def _form_rows(kept: Judged) -> list[str]:
    types = [q.answer_type is e.answer_type for q, e in zip(kept.queries, kept.estimates, strict=True)]
    stakes = [q.stakes is e.stakes for q, e in zip(kept.queries, kept.estimates, strict=True)]
    always_open = np.mean([query.answer_type is AnswerType.OPEN for query in kept.queries])
    always_low = np.mean([query.stakes.value == "low" for query in kept.queries])
    rated = {query.id: query for query in read_queries()}
    again = [(rated[at], kind, stakes) for at, (_, kind, stakes) in read_second_annotation().items()]
    types_again = np.mean([query.answer_type is kind for query, kind, _ in again])
    stakes_again = np.mean([query.stakes is stakes for query, _, stakes in again])
    return [
        f"| answer type right (always `open`: {always_open:.2f}; a second annotator: {types_again:.2f}) "
        f"| {np.mean(types):.3f} | | | ≥ .85 |",
        f"| stakes right (always low: {always_low:.2f}; a second annotator: {stakes_again:.2f}) "
        f"| {np.mean(stakes):.3f} | | | ≥ .95 |",
    ]


def _fresh_server_rows(model: DifficultyModel, kept: Judged) -> list[str]:
    """300 queries at a server that has seen none, a tenth of them hard, under a cap of a tenth."""
    random = np.random.default_rng(3)
    scores, levels, is_open = kept.scores, kept.levels, kept.deep
    easy, hard = np.flatnonzero(levels <= EASY), np.flatnonzero(levels >= HARD)
    shares, hits = [], []
    for _ in range(FRESH_SERVERS):
        at = np.concatenate((random.choice(easy, MIXED - MIXED_HARD), random.choice(hard, MIXED_HARD)))
        window, deep = ScoreWindow(model.reference_scores.tolist()), []
        for place in random.permutation(at):
            score, cap = float(scores[place]), window.cap(CAP)
            is_deep = bool(is_open[place] and (cap is None or score >= cap))
            window.add(score, is_deep)
            deep.append((place, is_deep))
        sent = [place for place, is_deep in deep if is_deep]
        shares.append(len(sent) / MIXED)
        hits.append(float(np.mean(levels[sent] >= HARD)) if sent else 0.0)
    return [
        f"| fresh server, {MIXED} mixed queries, a tenth of them hard, cap {CAP:.0%}: deep share "
        f"| {np.mean(shares):.3f} ({min(shares):.3f}-{max(shares):.3f}) | | | .04-.12 |",
        f"| of the deep ones are hard | {np.mean(hits):.2f} ({min(hits):.2f}-{max(hits):.2f}) | | | ≥ .7 |",
    ]


def _utterance_row(model: DifficultyModel, prompts: Path) -> str:
    import pyarrow.parquet as parquet

    texts = parquet.read_table(prompts, columns=["text"]).column("text").to_pylist()[::9]
    tier_for = tier_by(Policy(version=0))
    deep = [tier_for(model.estimate([Turn("user", text)])) != Tier.FAST for text in texts]
    found = f"{np.mean(deep):.2%} of {len(deep)}"
    return f"| short utterances (clinc150, banking77), sent deep | {found} | | | ≤ 1 % |"
