"""Fits the head for what consumers ask: from levels of written queries to P(correct) at each ability.

A level is no outcome. What it means for P(correct) is a stated prior, `CHANCES`, which operators replace by own labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import sparse

from classifier.characters import BITS, slots_of
from classifier.consumer import CERTAIN_ODDS, WORD_BITS, ConsumerParameters
from classifier.conversation import summarise
from classifier.cues import read_cues, stakes_of
from classifier.features import Features, extract
from classifier.instruction import split
from classifier.training.consumer_corpus import TRAIN, ConsumerQuery, read_queries
from classifier.training.corpus import Corpus
from classifier.training.design import folds_of
from classifier.training.heads import platt
from classifier.training.learner import TextRidge, gram, out_of_fold
from classifier.types import Stakes
from classifier.wording import stripped

Array = npt.NDArray[np.float64]

# P(correct) where no thinking is needed and where it is, at knots of the ability scale: a small, a usual fast and a
# strong reasoning model. From the rubric: without need a small model satisfies 95 of 100; with it, it is mostly wrong.
CHANCE_KNOTS = (-1.5, 0.3, 2.3)
CHANCES = ((0.90, 0.08), (0.96, 0.22), (0.985, 0.88))
# Log-odds of need are even at the level above which so many easy queries (0 and 1) lie, read out of fold over authors.
# They are steeper than the levels themselves say (3.4), so that both default thresholds lie near that level.
NEED_STEEPNESS, EASY_ABOVE = 8.0, 0.05
# P(thinking is needed) by level, to tell how far off the gain may be.
NEEDED = (0.0, 0.02, 0.15, 0.8, 1.0)
# What the head is fitted to: levels, wider apart where thinking changes the answer.
TARGETS = (0.0, 0.4, 1.2, 2.8, 3.6)

_ODDS_STRENGTH = 0.3
_STAKES_STRENGTH = 0.5


@dataclass(frozen=True)
class ConsumerSettings:
    """What was chosen by cross-validation over authors, on the train split alone."""

    strength: float = 1.0
    least_documents: int = 2
    characters_weight: float = 1.4  # beside words
    whole_weight: float = 0.35
    earlier_weight: float = 0.3
    earlier_half_chars: float = 160.0
    texts_of_a_source: int = 250
    consumer_prior: float = 1.0  # log-odds beside even ones: most of the traffic is of consumers


@dataclass(frozen=True)
class Reading:
    """What the head reads of a query."""

    instruction: str
    features: Features
    whole: Features | None
    earlier: str
    earlier_features: Features | None


def read_query(query: ConsumerQuery) -> Reading:
    """The parts of a query that the head reads when it serves."""
    summary = summarise(query.turns)
    earlier = extract(summary.earlier) if summary.earlier else None
    whole = extract(summary.text) if summary.has_material else None
    return Reading(summary.instruction, extract(summary.instruction), whole, summary.earlier, earlier)


class HashedTexts:
    """Texts as rows over hashed words (and pairs) and hashed characters, weighed by how rare each slot is."""

    def __init__(self, texts: Sequence[str], documents: Sequence[Features], settings: ConsumerSettings) -> None:
        """Count in how many of the texts each slot occurs."""
        words, characters = self._count(texts, documents)
        self._words = _rarity(words, settings.least_documents)
        self._characters = _rarity(characters, settings.least_documents) * settings.characters_weight
        self.counted = self.rows(texts, documents)

    @staticmethod
    def _count(texts: Sequence[str], documents: Sequence[Features]) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        words = list(map(_slots_of_words, documents))
        characters = [
            (slots, np.ones(len(slots), np.float32)) for slots in (slots_of(stripped(text)) for text in texts)
        ]
        return _table(words, 1 << WORD_BITS), _table(characters, 1 << BITS)

    def rows(self, texts: Sequence[str], documents: Sequence[Features]) -> sparse.csr_matrix:
        """Rows in the order of the slots: words, then characters."""
        words, characters = self._count(texts, documents)
        return sparse.hstack([words @ sparse.diags(self._words), characters @ sparse.diags(self._characters)]).tocsr()

    def fold(self, weights: Array) -> tuple[Array, Array]:
        """Weights over rows as weights over what serving counts: by slot of a word, by slot of characters."""
        return weights[: 1 << WORD_BITS] * self._words, weights[1 << WORD_BITS :] * self._characters


def _table(
    documents: Sequence[tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]], slots: int
) -> sparse.csr_matrix:
    """Counts by slot, each text's divided by the root of its number of n-grams, as serving does."""
    starts = np.concatenate(([0], np.cumsum([len(at) for at, _ in documents])))
    columns = np.concatenate([at for at, _ in documents]).astype(np.int64)
    values = np.concatenate([counts / np.sqrt(max(1, len(at))) for at, counts in documents]).astype(np.float64)
    return sparse.csr_matrix((values, columns, starts), shape=(len(documents), slots))


def _rarity(counted: sparse.csr_matrix, least_documents: int) -> Array:
    """Inverse document frequency, none for what too few texts hold, scaled so that rows have unit length on average."""
    documents = np.asarray((counted > 0).sum(axis=0)).ravel()
    rarity = np.maximum(0.0, np.log(counted.shape[0] / (documents + 1.0))) * (documents >= least_documents)
    weighed = counted @ sparse.diags(rarity)
    squares = np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel()
    return np.asarray(rarity / np.sqrt(squares[squares > 0].mean()))


@dataclass(frozen=True)
class Levels:
    """The fitted level: weights of instructions and of whole messages, and what is read of each query out of fold."""

    texts: HashedTexts
    weights: Array
    whole: Array  # by slot of a word
    usual: float
    held_out: Array
    queries: tuple[ConsumerQuery, ...]
    readings: tuple[Reading, ...]

    @property
    def needy(self) -> float:
        """The level from which thinking is likelier needed than not."""
        easy = np.array([query.level <= 1 for query in self.queries])
        return float(np.quantile(self.held_out[easy], 1 - EASY_ABOVE))


@cache
def fit_levels(settings: ConsumerSettings = ConsumerSettings()) -> Levels:
    """Fit levels on the train split; the same for every corpus of outcomes."""
    queries = tuple(query for query in read_queries() if query.split == TRAIN)
    readings = tuple(map(read_query, queries))
    level = np.array([TARGETS[query.level] for query in queries])
    texts = HashedTexts([each.instruction for each in readings], [each.features for each in readings], settings)
    counted = _table([_slots_of_words(each.whole) for each in readings], 1 << WORD_BITS)
    rarity = _rarity(counted, settings.least_documents) * settings.whole_weight
    rows = sparse.hstack([texts.counted, counted @ sparse.diags(rarity)]).tocsr()
    usual = float(level.mean())
    ridge = TextRidge(settings.strength, fit_intercept=False).fit(rows, level - usual)
    folds = folds_of([query.author for query in queries], 4)
    held_out = usual + out_of_fold(gram(rows), (level - usual)[:, None], folds, settings.strength)[:, 0]
    own, of_whole = np.split(np.asarray(ridge.coef_, np.float64), [texts.counted.shape[1]])
    held_out += _leaning(settings, texts, readings, own)
    return Levels(texts, own, of_whole * rarity, usual, np.maximum(held_out, 0.0), queries, readings)


def _slots_of_words(document: Features | None) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
    if document is None:
        return np.zeros(0, np.uint32), np.zeros(0, np.float32)
    return document.grams >> np.uint32(32 - WORD_BITS), document.frequencies


def _leaning(settings: ConsumerSettings, texts: HashedTexts, readings: Sequence[Reading], weights: Array) -> Array:
    """What the turns before add to the levels of short turns."""
    added = np.zeros(len(readings))
    at = [place for place, each in enumerate(readings) if each.earlier_features is not None]
    if at:
        features = [each.earlier_features for each in readings if each.earlier_features is not None]
        before = texts.rows([readings[place].earlier for place in at], features) @ weights
        lengths = np.array([len(readings[place].instruction) for place in at])
        added[at] = settings.earlier_weight / (1 + lengths / settings.earlier_half_chars) * before
    return added


def fit_consumer(corpus: Corpus, *, with_lengths: bool = True) -> ConsumerParameters:
    """Fit the whole head; what is no consumer's text is learnt from the texts of a corpus of outcomes.

    Without lengths, answers are taken for one token long, as in `recipe.fit`.
    """
    settings = ConsumerSettings()
    levels = fit_levels(settings)
    level_words, characters = levels.texts.fold(levels.weights)
    odds_words, odds_bias = _fit_odds(corpus, levels, settings)
    stakes_words, stakes_bias, stakes = fit_stakes()
    length_words, length_bias = _fit_lengths(corpus, levels) if with_lengths else (np.zeros(1 << WORD_BITS), 0.0)
    return ConsumerParameters(
        words=np.stack((level_words, odds_words, length_words, stakes_words), axis=1)
        .astype(np.float16)
        .astype(np.float32),
        characters=characters.astype(np.float16).astype(np.float32),
        whole=levels.whole.astype(np.float16).astype(np.float32),
        bias=np.array((levels.usual, odds_bias, length_bias, stakes_bias), np.float32),
        stakes=stakes.astype(np.float32),
        chances=np.array(CHANCES, np.float32),
        need=np.array((NEED_STEEPNESS, levels.needy), np.float32),
        earlier=np.array((settings.earlier_weight, settings.earlier_half_chars, levels.usual), np.float32),
        spread=float(np.float32(_error_of_gain(levels))),
    )


def _error_of_gain(levels: Levels) -> float:
    """How far off the gain is, by levels read out of fold, for a usual fast model and a strong one."""
    gain_without, gain_with = np.subtract(CHANCES[2], CHANCES[1])
    need = 1 / (1 + np.exp(-NEED_STEEPNESS * (levels.held_out - levels.needy)))
    needed = np.array([NEEDED[query.level] for query in levels.queries])
    return float(np.sqrt(np.mean(((need - needed) * (gain_with - gain_without)) ** 2)))


@cache
def fit_stakes() -> tuple[Array, float, Array]:
    """By words, whether stakes are high, beside the rules; the threshold is the most accurate one out of fold."""
    levels = fit_levels()
    by_rules = [stakes_of(read_cues(reading.instruction)) is Stakes.HIGH for reading in levels.readings]
    high = np.array([query.stakes is Stakes.HIGH for query in levels.queries], np.float64)
    words = levels.texts.counted[:, : 1 << WORD_BITS]
    rows = sparse.hstack([words, np.array(by_rules, np.float64)[:, None]]).tocsr()
    ridge, centre = TextRidge(_STAKES_STRENGTH).fit(rows, high), float(high.mean())
    folds = folds_of([query.author for query in levels.queries], 4)
    held_out = out_of_fold(gram(rows) + 1.0, (high - centre)[:, None], folds, _STAKES_STRENGTH)[:, 0] + centre
    candidates = np.quantile(held_out, np.linspace(0.8, 0.999, 200))
    right = [np.mean((held_out >= each) == (high > 0)) for each in candidates]
    weights, _ = levels.texts.fold(np.concatenate((ridge.coef_[:-1], np.zeros(1 << BITS))))
    return weights, float(ridge.intercept_), np.array((ridge.coef_[-1], candidates[int(np.argmax(right))]))


def _texts_of(corpus: Corpus, use: str, most: int) -> list[tuple[str, str]]:
    """Recorded texts of one use, evenly of each source, with their clusters."""
    chosen: list[tuple[str, str]] = []
    for source in sorted({query.source for query in corpus.queries if query.use == use}):
        of_source = [query for query in corpus.queries if query.source == source and query.use == use]
        chosen += [
            (split(query.text).instruction, query.cluster) for query in of_source[:: 1 + (len(of_source) - 1) // most]
        ]
    return chosen


def _fit_odds(corpus: Corpus, levels: Levels, settings: ConsumerSettings) -> tuple[Array, float]:
    """Log-odds that a text is a consumer's, by words: written and recorded prompts against graded questions."""
    written = [
        (reading.instruction, f"{query.author} {query.kind}")
        for query, reading in zip(levels.queries[::3], levels.readings[::3], strict=True)
    ]
    own = written + _texts_of(corpus, "lengths-only", settings.texts_of_a_source)
    others = _texts_of(corpus, "train", settings.texts_of_a_source)
    if not others:
        return np.zeros(1 << WORD_BITS), 2 * CERTAIN_ODDS
    texts = [text for text, _ in own + others]
    hashed = HashedTexts(texts, [extract(text) for text in texts], settings)
    rows = hashed.counted[:, : 1 << WORD_BITS]
    sign = np.concatenate((np.ones(len(own)), -np.ones(len(others))))
    centre = float(sign.mean())
    ridge = TextRidge(_ODDS_STRENGTH).fit(rows, sign)
    folds = folds_of([cluster for _, cluster in own + others], 4)
    held_out = out_of_fold(gram(rows) + 1.0, (sign - centre)[:, None], folds, _ODDS_STRENGTH)[:, 0] + centre
    weight = np.where(sign > 0, 1.0 / len(own), 1.0 / len(others)) * len(sign) / 2
    slope, intercept = platt(held_out, (sign + 1) / 2, weight)
    words, _ = hashed.fold(np.concatenate((ridge.coef_ * slope, np.zeros(1 << BITS))))
    return words, float(ridge.intercept_ * slope + intercept) + settings.consumer_prior


def _fit_lengths(corpus: Corpus, levels: Levels) -> tuple[Array, float]:
    """Log of the mean visible length of recorded answers, by words."""
    tokens = corpus.output_tokens
    counts = np.isfinite(tokens).sum(axis=1)
    lengths = np.nansum(tokens, axis=1) / np.maximum(counts, 1)
    at = [
        row
        for row, query in enumerate(corpus.queries)
        if lengths[row] > 0 and query.use != "evaluate-only" and not query.cluster.startswith("template")
    ][:4000]
    if not at:
        return np.zeros(1 << WORD_BITS), float(np.log(300.0))
    texts = [corpus.queries[row].text for row in at]
    rows = levels.texts.rows(texts, [extract(text) for text in texts])[:, : 1 << WORD_BITS]
    ridge = TextRidge(1.0).fit(rows, np.log(lengths[at]))
    words, _ = levels.texts.fold(np.concatenate((ridge.coef_, np.zeros(1 << BITS))))
    return words, float(ridge.intercept_)
