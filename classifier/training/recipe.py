"""The recipe of the shipped artefact: from recorded outcomes to fitted parameters. Training only.

An expert is fitted for each kind of source; a gate learns which expert a text belongs to, and from kinds left out how
texts of no known kind look. docs/measured/routing-quality.md says how the numbers in `RecipeSettings` were chosen and
what else was tried.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from classifier.features import LONGEST_SENTENCE, QUESTION, extract
from classifier.model import Parameters
from classifier.training.consumer_head import fit_consumer
from classifier.training.corpus import Corpus
from classifier.training.design import Scales, design, folds_of, invariances, scales_of
from classifier.training.familiarity import Gate, fit_familiarity
from classifier.training.heads import Shape, fit_heads
from classifier.training.learner import TextRidge, gram, out_of_fold
from classifier.training.length import fit_falls, fit_lines, length_logits, on_scale
from classifier.training.recall import Recall, fit_recall, shares_known
from classifier.training.targets import as_served, outcomes_of, targets_of
from classifier.vocabulary import Vocabulary, learn

Array = npt.NDArray[np.float64]

SOURCES: dict[str, tuple[str, ...]] = {
    "code": ("zeroeval_crux",),
    "maths": ("zeroeval_math-l5",),
    "numbers": ("zeroeval_numersense-v2",),
    "exam": ("mmlu_pro",),
    "puzzles": ("rgym_easy", "rgym_hard"),
}
SHAPES: dict[str, Shape] = {
    "code": Shape(alpha=3.0, alpha_shape=None, surface_weight=0.15, irt_share=0.5),
    "maths": Shape(alpha=3.0, alpha_shape=None, surface_weight=0.12),
    "numbers": Shape(alpha=3.0, alpha_shape=None, surface_weight=0.15),
    "exam": Shape(alpha=1.2, alpha_shape=1.2, surface_weight=0.12, irt_share=0.5),
    "puzzles": Shape(alpha=3.0, alpha_shape=3.0, surface_weight=0.12, irt_share=0.5),
}
# Kinds whose texts come from templates, and how what is said of a recalled template is fitted.
TEMPLATES: dict[str, Shape] = {
    "puzzles": Shape(alpha=1.0, alpha_shape=1.0, surface_weight=0.25, irt_share=0.0),
}


@dataclass(frozen=True)
class RecipeSettings:
    """What was chosen for the artefact as a whole."""

    knots: tuple[float, ...] = (-1.5, 0.3, 2.3)
    reference: tuple[str, str] = ("gpt-4o-mini", "o3-mini")
    min_documents: int = 2
    max_rows: int = 60_000
    gate_surface_weight: float = 0.05
    spread: tuple[float, float] = (0.07, 0.35)  # of the gain, so that intervals cover sources left out
    gate_sharpness: float = 3.0  # a doubtful gate mixes base rates into the ranking within a kind of question
    own_share: float = 0.7  # of an expert's own word; the rest is what length alone tells, which holds for new tasks
    own_level: float = 0.75  # share of a kind's own level in what is said of texts that are only like the kind
    max_rows_of_templates: int = 2600  # more of the same templates cost minutes and say little more
    shapes: dict[str, Shape] = field(default_factory=lambda: dict(SHAPES))
    templates: dict[str, Shape] = field(default_factory=lambda: dict(TEMPLATES))


@dataclass
class Columns:
    """The weight tables while they are filled, column by column."""

    grams: Array
    surface: Array
    bias: Array

    @classmethod
    def empty(cls, rows: int, signals: int, columns: int) -> "Columns":
        return cls(np.zeros((rows + 1, columns)), np.zeros((signals, columns)), np.zeros(columns))

    def put(self, at: slice, weights: Array, surface_weight: float) -> None:
        """Take weights over features as `Design.rows` lays them out."""
        rows = len(self.grams) - 1
        self.grams[:rows, at] = weights[:rows]
        self.surface[:, at] = weights[rows:-1] * surface_weight
        self.bias[at] = weights[-1]

    def lean(self, at: slice, own_share: float, line: Array) -> None:
        """Draw an expert's logits towards what length tells on its scale."""
        for table in (self.grams, self.surface, self.bias):
            table[..., at] *= own_share
        self.surface[QUESTION, at] -= (1 - own_share) * line[:, 0]
        self.surface[LONGEST_SENTENCE, at] -= (1 - own_share) * line[:, 1]
        self.bias[at] += (1 - own_share) * line[:, 2]


def fit(
    corpus: Corpus, settings: RecipeSettings | None = None, *, with_lengths: bool = True
) -> tuple[Parameters, dict[str, float]]:
    """Fit all parameters and the abilities of the models seen, on every row given whose use allows it.

    Without lengths, what takes most of the time and no study of rankings needs, answers are taken for one token long.
    """
    settings = settings or RecipeSettings()
    scored = corpus.of(use="train")
    outcomes = outcomes_of(scored)
    documents = [extract(query.text) for query in scored.queries]
    common = scales_of(documents)
    groups = [
        next(place for place, sources in enumerate(SOURCES.values()) if query.source in sources)
        for query in scored.queries
    ]
    vocabulary = learn(documents, groups, min_documents=settings.min_documents, max_rows=settings.max_rows)
    whole = design(documents, vocabulary)
    experts = {name: _rows_of(scored, sources) for name, sources in SOURCES.items()}
    experts = {name: at for name, at in experts.items() if len(at)}
    templates = experts.get("puzzles", np.zeros(0, np.intp))
    if len(templates):
        experts["puzzles"] = templates[:: 1 + (len(templates) - 1) // settings.max_rows_of_templates]
    knots = len(settings.knots)
    heads = len(experts) * knots
    of_templates = [name for name in experts if name in settings.templates]
    recalled = heads + len(experts)
    columns = Columns.empty(len(vocabulary), len(common.mean), recalled + len(of_templates) * knots + 1)
    seen = np.zeros((len(vocabulary) + 1, len(experts) + 1), np.float32)
    seen[:-1, -1] = 1.0
    scales: dict[str, Scales] = {}
    targets: dict[str, Array] = {}
    held_out: dict[str, Array] = {}
    usual: dict[str, float] = {}
    recalls: list[tuple[int, Recall]] = []
    recalled_answers: list[tuple[Array, Array]] = []
    for place, (name, at) in enumerate(experts.items()):
        shape = settings.shapes[name]
        targets[name] = target = targets_of(outcomes, settings.knots, shape.irt_share, at)
        scales[name] = scales_of([documents[row] for row in at])
        seen[:-1, place] = known = whole.frequent_grams(at, settings.min_documents)
        invariant = invariances(
            [scored.queries[row].text for row in at], vocabulary, scales[name], known, shape.surface_weight
        )
        folds = folds_of([scored.queries[row].cluster for row in at])
        rows = whole.rows(at, scales[name], known, shape.surface_weight)
        fitted = fit_heads(rows, invariant, target, folds, shape)
        columns.put(slice(place * knots, (place + 1) * knots), fitted.weights, shape.surface_weight)
        held_out[name] = fitted.held_out
        shares = shares_known(whole, at, known, folds)
        usual[name] = float(np.median(shares))
        if taught := settings.templates.get(name):
            target = targets_of(outcomes, settings.knots, taught.irt_share, at)
            folds = folds_of([scored.queries[row].query_id for row in at])
            fitted = fit_heads(rows, invariant, target, folds, taught)
            begin = recalled + len(recalls) * knots
            columns.put(slice(begin, begin + knots), fitted.weights, shape.surface_weight)
            recalls.append((place, fit_recall(shares, shares_known(whole, at, known, folds))))
            recalled_answers.append((fitted.held_out, outcomes.scores[at]))
    gate = Gate(common, settings.gate_surface_weight, settings.gate_sharpness, settings.min_documents)
    if len(experts) > 1:
        columns.put(slice(heads, heads + len(experts)), gate.weights(whole, experts), settings.gate_surface_weight)
    folds = folds_of([query.cluster for query in scored.queries], 3)
    familiarity = fit_familiarity(whole, experts, scales, usual, folds, gate)
    signals = common.apply(documents)
    falls = fit_falls([part for name, at in experts.items() for part in _by_source(scored, at, signals, targets[name])])
    lines = fit_lines(falls, [(signals[at], targets[name]) for name, at in experts.items()], settings.own_level)
    answered = []
    for place, (name, at) in enumerate(experts.items()):
        line = on_scale(lines[place], common, scales[name])
        columns.lean(slice(place * knots, (place + 1) * knots), settings.own_share, line)
        by_length = length_logits(line, scales[name].apply([documents[row] for row in at]))
        own = settings.own_share * held_out[name] + (1 - settings.own_share) * by_length
        weight = familiarity.known[name][:, None]
        answered.append((weight * own + (1 - weight) * length_logits(lines[place], signals[at]), outcomes.scores[at]))
    factors = _fit_lengths(corpus, vocabulary, common, columns) if with_lengths else np.ones((2, 3))
    abilities = as_served(outcomes, answered + recalled_answers, settings.knots)
    reference = [abilities.get(name, fallback) for name, fallback in zip(settings.reference, (0.4, 1.9), strict=True)]
    typical = np.mean([target.mean(axis=0) for target in targets.values()], axis=0)
    prior = np.interp(reference, settings.knots, np.log(typical / (1 - typical)))
    parameters = Parameters(
        keys=vocabulary.keys[:-1],
        idf=vocabulary.idf[:-1],
        gram_weights=columns.grams.astype(np.float16).astype(np.float32),
        seen=seen,
        surface_mean=np.stack([each.mean for each in (*scales.values(), common)]).astype(np.float32),
        surface_scale=np.stack([each.scale for each in (*scales.values(), common)]).astype(np.float32),
        surface_weights=columns.surface.astype(np.float32),
        bias=columns.bias.astype(np.float32),
        recalled=np.array([(at, each.slope, each.constant) for at, each in recalls], np.float32).reshape(-1, 3),
        knots=np.array(settings.knots, np.float32),
        reference=np.array(reference, np.float32),
        prior_logits=prior.astype(np.float32),
        final=np.array([[1.0, 0.0], [1.0, 0.0]], np.float32),
        general=lines.astype(np.float32),
        familiarity=familiarity.weights.astype(np.float32),
        familiar_coverage=float(np.float32(0.5 * np.quantile(whole.coverage, 0.05))),
        usual_coverage=np.array(list(usual.values()), np.float32),
        spread=np.array(settings.spread, np.float32),
        length_quantiles=factors.astype(np.float32),
        thinking=np.array([np.log(300.0), np.log(20.0)], np.float32),
        reference_scores=np.zeros(1, np.float32),
        consumer=fit_consumer(corpus, with_lengths=with_lengths),
    )
    return parameters, abilities


def _rows_of(corpus: Corpus, sources: tuple[str, ...]) -> npt.NDArray[np.intp]:
    return np.array([row for row, query in enumerate(corpus.queries) if query.source in sources], np.intp)


def _by_source(corpus: Corpus, at: npt.NDArray[np.intp], signals: Array, target: Array) -> list[tuple[Array, Array]]:
    """Signals and targets of each source of a kind."""
    sources = np.array([corpus.queries[row].source for row in at])
    return [(signals[at[sources == source]], target[sources == source]) for source in sorted(set(sources.tolist()))]


def _fit_lengths(corpus: Corpus, vocabulary: Vocabulary, scales: Scales, columns: Columns) -> Array:
    """Fill the last column with the log of the mean visible length; return factors for the 10, 50, 90 % points."""
    lengths = corpus.mean_output_tokens()
    # Templates outnumber everything else threefold; a third of them says as much.
    at = [
        row
        for row, query in enumerate(corpus.queries)
        if lengths[row] > 0
        and query.use != "evaluate-only"
        and (not query.cluster.startswith("template") or row % 3 == 0)
    ]
    texts = design([extract(corpus.queries[row].text) for row in at], vocabulary)
    rows = texts.rows(np.arange(len(at)), scales, np.ones(len(vocabulary), np.bool_), 0.3)
    target = np.log(lengths[at])
    ridge = TextRidge(1.0).fit(rows[:, :-1], target)
    folds = folds_of([corpus.queries[row].cluster for row in at])
    residual = target - target.mean() - out_of_fold(gram(rows), target - target.mean(), folds, 1.0)
    columns.put(slice(-1, None), np.append(ridge.coef_, ridge.intercept_)[:, None], 0.3)
    spread = np.exp(np.quantile(residual, (0.1, 0.5, 0.9)))
    # Thinking adds to the visible answer; its spread was not recorded and is taken to be wider.
    return np.stack((spread, spread * np.array([0.5, 1.0, 1.8])))
