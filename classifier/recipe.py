"""The recipe of the shipped artefact: from recorded outcomes to fitted parameters. Training only.

An expert is fitted for each kind of source. Its targets are, at each knot of the ability scale, the chance that a
model of that ability is right: a blend of what item response theory says of the query and of what models near the knot
really did.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from classifier import irt
from classifier.abilities import canonical
from classifier.corpus import Corpus
from classifier.features import Features, extract
from classifier.learner import TextRidge, gram, out_of_fold
from classifier.model import LOGIT_BOUND, SURFACE_BOUND, Parameters
from classifier.vocabulary import Vocabulary, learn

Array = npt.NDArray[np.float64]

EXPERTS: dict[str, tuple[str, ...]] = {
    "code": ("zeroeval_crux",),
    "maths": ("zeroeval_math-l5",),
    "numbers": ("zeroeval_numersense-v2",),
    "exam": ("mmlu_pro",),
    "puzzles": ("rgym_easy", "rgym_hard"),
}


@dataclass(frozen=True)
class Settings:
    """Everything that was chosen, by cross-validation on the training split."""

    knots: tuple[float, ...] = (-0.7, 0.7, 2.2)
    reference: tuple[float, float] = (0.0, 2.0)
    min_documents: int = 2
    max_rows: int = 60_000
    surface_weight: dict[str, float] = field(default_factory=lambda: dict.fromkeys(EXPERTS, 0.15))
    alpha: dict[str, float] = field(default_factory=lambda: dict.fromkeys(EXPERTS, 3.0))
    irt_share: dict[str, float] = field(
        default_factory=lambda: {"code": 1.0, "maths": 1.0, "numbers": 1.0, "exam": 0.5, "puzzles": 0.5}
    )
    neighbourhood: float = 0.7  # of abilities, for the raw targets


@dataclass(frozen=True)
class Design:
    """Texts as matrices: n-grams at unit length and standardised surface signals."""

    vocabulary: Vocabulary
    grams: sparse.csr_matrix
    surface: Array
    mean: Array
    scale: Array
    coverage: Array

    def block(self, surface_weight: float) -> sparse.csr_matrix:
        """Both blocks side by side."""
        return sparse.hstack([self.grams, sparse.csr_matrix(self.surface * surface_weight)]).tocsr()


@dataclass(frozen=True)
class Outcomes:
    """The outcome matrix with models merged under their canonical names, and what IRT makes of it."""

    names: tuple[str, ...]
    scores: Array
    items: irt.Items

    @property
    def abilities(self) -> dict[str, float]:
        return dict(zip(self.names, self.items.ability.tolist(), strict=True))


def outcomes_of(corpus: Corpus) -> Outcomes:
    """Merge spellings of one model and fit abilities and difficulties jointly over all sources."""
    scored = [at for at in range(len(corpus.models)) if np.isfinite(corpus.scores[:, at]).any()]
    names = tuple(sorted({canonical(corpus.models[at]) for at in scored}))
    merged = np.full((len(corpus.queries), len(names)), np.nan)
    for column, name in enumerate(names):
        of_name = corpus.scores[:, [at for at in scored if canonical(corpus.models[at]) == name]]
        counts = np.isfinite(of_name).sum(axis=1)
        merged[:, column] = np.where(counts > 0, np.nansum(of_name, axis=1) / np.maximum(counts, 1), np.nan)
    sources = sorted({query.source for query in corpus.queries})
    groups = np.array([sources.index(query.source) for query in corpus.queries])
    return Outcomes(names, merged, irt.fit(merged, groups))


def design(documents: list[Features], vocabulary: Vocabulary, mean: Array, scale: Array) -> Design:
    """Matrices of documents over a vocabulary."""
    weighed = [vocabulary.weigh(document) for document in documents]
    starts = np.concatenate(([0], np.cumsum([len(rows) for rows, _, _ in weighed])))
    rows = np.concatenate([rows for rows, _, _ in weighed]).astype(np.int64)
    weights = np.concatenate([weights for _, weights, _ in weighed]).astype(np.float64)
    grams = sparse.csr_matrix((weights, rows, starts), shape=(len(documents), len(vocabulary)))
    surface = np.stack([document.surface for document in documents]).astype(np.float64)
    surface = np.clip((surface - mean) / scale, -SURFACE_BOUND, SURFACE_BOUND)
    return Design(vocabulary, grams, surface, mean, scale, np.array([known for _, _, known in weighed]))


def design_of_training(documents: list[Features], settings: Settings) -> Design:
    """Learn the vocabulary and the scales, then build the matrices."""
    vocabulary = learn(documents, min_documents=settings.min_documents, max_rows=settings.max_rows)
    surface = np.stack([document.surface for document in documents]).astype(np.float64)
    return design(documents, vocabulary, surface.mean(axis=0), surface.std(axis=0) + 0.05)


def targets_of(outcomes: Outcomes, settings: Settings, irt_share: float, at: npt.NDArray[np.intp]) -> Array:
    """Chance of being right at each knot, rows `at`: IRT and the neighbours' own results, blended."""
    items, scores = outcomes.items, outcomes.scores[at]
    columns = []
    for knot in settings.knots:
        believed = items.probability(knot)[at]
        near = np.exp(-(((items.ability - knot) / settings.neighbourhood) ** 2))
        weights = np.where(np.isfinite(scores), near, 0.0)
        total = weights.sum(axis=1)
        raw = np.nansum(weights * np.nan_to_num(scores), axis=1) / np.maximum(total, 1e-9)
        raw = np.where(total > 0.05, raw, believed)
        columns.append(irt_share * believed + (1 - irt_share) * raw)
    return np.stack(columns, axis=1)


def folds_of(clusters: Sequence[str], count: int = 5) -> npt.NDArray[np.intp]:
    """Folds that keep clusters whole, by a seeded shuffle of cluster names."""
    names = sorted(set(clusters))
    order = np.random.default_rng(7).permutation(len(names))
    fold_of = {name: int(at) % count for name, at in zip(names, order, strict=True)}
    return np.array([fold_of[cluster] for cluster in clusters])


def platt(raw: Array, target: Array) -> tuple[float, float]:
    """Slope and intercept so that sigmoid(slope * raw + intercept) matches soft targets."""
    values = np.concatenate((raw, raw))[:, None]
    labels = np.repeat([1, 0], len(raw))
    weights = np.clip(np.concatenate((target, 1 - target)), 1e-6, None)
    fitted = LogisticRegression(C=1e4, max_iter=500).fit(values, labels, sample_weight=weights)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def fit(corpus: Corpus, settings: Settings | None = None) -> tuple[Parameters, dict[str, float]]:
    """Fit all parameters and the abilities of the models seen, on every row given."""
    settings = settings or Settings()
    scored = corpus.of(use="train")
    outcomes = outcomes_of(scored)
    documents = [extract(query.text) for query in scored.queries]
    whole = design_of_training(documents, settings)
    knots, rows, signals = len(settings.knots), len(whole.vocabulary), whole.surface.shape[1]
    heads = len(EXPERTS) * knots
    gram_weights = np.zeros((rows + 1, heads + len(EXPERTS) + 1))
    surface_weights, bias = np.zeros((signals, gram_weights.shape[1])), np.zeros(gram_weights.shape[1])
    label = np.zeros(len(documents), np.intp)
    gains = []
    for expert, (name, sources) in enumerate(EXPERTS.items()):
        at = np.array([row for row, query in enumerate(scored.queries) if query.source in sources])
        if not len(at):
            continue
        label[at] = expert
        block = whole.block(settings.surface_weight[name])[at]
        target = targets_of(outcomes, settings, settings.irt_share[name], at)
        folds = folds_of([scored.queries[row].cluster for row in at])
        held_out = out_of_fold(gram(block), target, folds, settings.alpha[name])
        ridge = TextRidge(settings.alpha[name]).fit(block, target)
        for knot in range(knots):
            slope, intercept = platt(held_out[:, knot], target[:, knot])
            column = expert * knots + knot
            gram_weights[:rows, column] = ridge.coef_[:rows, knot] * slope
            surface_weights[:, column] = ridge.coef_[rows:, knot] * slope * settings.surface_weight[name]
            bias[column] = ridge.intercept_[knot] * slope + intercept
        gains.append(target)
    gate = LogisticRegression(C=20.0, max_iter=300).fit(whole.block(0.15), label)
    gram_weights[:rows, heads:-1] = gate.coef_[:, :rows].T
    surface_weights[:, heads:-1] = gate.coef_[:, rows:].T * 0.15
    bias[heads:-1] = gate.intercept_
    factors = _fit_lengths(corpus, whole, gram_weights, surface_weights, bias)
    typical = np.concatenate(gains).mean(axis=0).clip(0.02, 0.98)
    prior = np.interp(settings.reference, settings.knots, np.log(typical / (1 - typical)))
    parameters = Parameters(
        keys=whole.vocabulary.keys[:-1],
        idf=whole.vocabulary.idf[:-1],
        gram_weights=gram_weights.astype(np.float16).astype(np.float32),
        surface_mean=whole.mean.astype(np.float32),
        surface_scale=whole.scale.astype(np.float32),
        surface_weights=surface_weights.astype(np.float32),
        bias=np.clip(bias, -20 * LOGIT_BOUND, 20 * LOGIT_BOUND).astype(np.float32),
        knots=np.array(settings.knots, np.float32),
        reference=np.array(settings.reference, np.float32),
        prior_logits=prior.astype(np.float32),
        final=np.array([[1.0, 0.0], [1.0, 0.0]], np.float32),
        familiar_coverage=float(np.quantile(whole.coverage, 0.05)),
        spread=np.array([0.08, 0.2], np.float32),
        length_quantiles=factors.astype(np.float32),
        thinking=np.array([np.log(300.0), np.log(20.0)], np.float32),
        reference_scores=np.zeros(1, np.float32),
    )
    return parameters, outcomes.abilities


def _fit_lengths(corpus: Corpus, whole: Design, gram_weights: Array, surface_weights: Array, bias: Array) -> Array:
    """Fill the last column with the log of the mean visible length; return factors for the 10, 50, 90 % points."""
    lengths = np.array([np.nanmean(row) if np.isfinite(row).any() else np.nan for row in corpus.output_tokens])
    at = np.flatnonzero(np.isfinite(lengths) & (lengths > 0))
    at = at[[corpus.queries[row].use != "evaluate-only" for row in at]]
    # Templates outnumber everything else threefold; a third of them says as much.
    at = at[[not corpus.queries[row].source.startswith("rgym") or row % 3 == 0 for row in at]]
    texts = design([extract(corpus.queries[row].text) for row in at], whole.vocabulary, whole.mean, whole.scale)
    rows = len(whole.vocabulary)
    block = texts.block(0.3)
    ridge = TextRidge(1.0).fit(block, np.log(lengths[at]))
    folds = folds_of([corpus.queries[row].cluster for row in at])
    residual = np.log(lengths[at]) - out_of_fold(gram(block), np.log(lengths[at]), folds, 1.0)
    gram_weights[:rows, -1], surface_weights[:, -1], bias[-1] = (
        ridge.coef_[:rows],
        ridge.coef_[rows:] * 0.3,
        ridge.intercept_,
    )
    spread = np.exp(np.quantile(residual, (0.1, 0.5, 0.9)))
    return np.stack((spread, spread * np.array([0.5, 1.0, 1.8])))
