"""Fits the head for what consumers ask: from levels of written queries to P(correct) at each ability.

A level is no outcome. What it means for P(correct) is a stated prior, `CHANCES`, which operators replace by own labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import sparse

from classifier.consumer import CERTAIN_ODDS, HINTS, WORD_BITS, ConsumerParameters
from classifier.cues import ROWS
from classifier.features import extract
from classifier.instruction import split
from classifier.training.consumer_corpus import TRAIN, ConsumerQuery, read_queries
from classifier.training.consumer_forms import FittedForms, fit_forms
from classifier.training.consumer_rows import (
    ConsumerSettings,
    HashedTexts,
    Reading,
    authors_of,
    hint_rows_of,
    rarity_of,
    read_query,
    slots_of_words,
    table_of,
)
from classifier.training.corpus import Corpus
from classifier.training.design import folds_of
from classifier.training.heads import platt
from classifier.training.learner import TextRidge, gram, out_of_fold

Array = npt.NDArray[np.float64]

# P(correct) where no thinking is needed and where it is, at knots of the ability scale: a small, a usual fast and a
# strong reasoning model. From the rubric: without need a small model satisfies 95 of 100; with it, it is mostly wrong.
CHANCE_KNOTS = (-1.5, 0.3, 2.3)
CHANCES = ((0.90, 0.08), (0.96, 0.22), (0.975, 0.88))
# Log-odds of need are even at the level above which so many easy queries (0 and 1) lie, read out of fold over authors.
# They are steeper than the levels themselves say (3.4), so that both default thresholds lie near that level.
NEED_STEEPNESS, EASY_ABOVE = 16.0, 0.03
# P(thinking is needed) by level, to tell how far off the gain may be.
NEEDED = (0.0, 0.02, 0.15, 0.8, 1.0)
# What the head is fitted to: levels, wider apart where thinking changes the answer.
TARGETS = (0.0, 0.4, 1.2, 2.8, 3.6)

CHOSEN = ConsumerSettings()
_ODDS_STRENGTH = 0.3


@dataclass(frozen=True)
class Levels:
    """The fitted level: weights of instructions and of whole messages, and what is read of each query out of fold."""

    texts: HashedTexts
    weights: Array
    hints: Array  # by row of a cue
    whole: Array  # by slot of a word
    usual: float
    held_out: Array
    queries: tuple[ConsumerQuery, ...]
    readings: tuple[Reading, ...]

    @property
    def needy(self) -> float:
        """The level from which thinking is likelier needed than not; nobody asks the easy ones of twins."""
        easy = np.array([query.level <= 1 and not query.twin for query in self.queries])
        return float(np.quantile(self.held_out[easy], 1 - EASY_ABOVE))


@cache
def fit_levels(settings: ConsumerSettings = CHOSEN) -> Levels:
    """Fit levels on the train split; the same for every corpus of outcomes."""
    queries = tuple(query for query in read_queries() if query.split == TRAIN)
    readings = tuple(map(read_query, queries))
    level = np.array([TARGETS[query.level] for query in queries])
    texts = HashedTexts([each.instruction for each in readings], [each.features for each in readings], settings)
    counted = table_of([slots_of_words(each.whole) for each in readings], 1 << WORD_BITS)
    rarity = rarity_of(counted, settings.least_documents) * settings.whole_weight
    hints, of_hints = hint_rows_of(readings)
    of_hints[ROWS:] = 0.0  # what the rules make of the cues tells the level nothing new
    of_hints *= settings.hints_weight
    hints = hints @ sparse.diags(settings.hints_weight * (np.arange(HINTS) < ROWS))
    rows = sparse.hstack([texts.counted, hints, counted @ sparse.diags(rarity)]).tocsr()
    usual = float(level.mean())
    ridge = TextRidge(settings.strength, fit_intercept=False).fit(rows, level - usual)
    held_out = usual + out_of_fold(gram(rows), (level - usual)[:, None], authors_of(queries), settings.strength)[:, 0]
    parts = np.cumsum((texts.counted.shape[1], HINTS))
    own, of_cues, of_whole = np.split(np.asarray(ridge.coef_, np.float64), parts)
    held_out += _leaning(settings, texts, readings, own)
    whole = of_whole * rarity
    return Levels(texts, own, of_cues * of_hints, whole, usual, np.maximum(held_out, 0.0), queries, readings)


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
    settings = CHOSEN
    levels = fit_levels(settings)
    level_words, characters = levels.texts.fold(levels.weights)
    odds_words, odds_bias = _fit_odds(corpus, levels, settings)
    length_words, length_bias = _fit_lengths(corpus, levels) if with_lengths else (np.zeros(1 << WORD_BITS), 0.0)
    forms = _fit_forms_of_train()
    nothing = np.zeros(HINTS)
    return ConsumerParameters(
        words=_as_stored(np.column_stack((level_words, odds_words, length_words, forms.words))),
        hints=_as_stored(np.column_stack((levels.hints, nothing, nothing, forms.hints))),
        characters=_as_stored(characters),
        whole=_as_stored(levels.whole),
        bias=np.array((levels.usual, odds_bias, length_bias, *forms.bias), np.float32),
        chances=np.array(CHANCES, np.float32),
        need=np.array((NEED_STEEPNESS, levels.needy), np.float32),
        earlier=np.array((settings.earlier_weight, settings.earlier_half_chars, levels.usual), np.float32),
        spread=float(np.float32(_error_of_gain(levels))),
    )


@cache
def _fit_forms_of_train() -> FittedForms:
    levels = fit_levels()
    return fit_forms(levels.queries, levels.readings, levels.texts)


def _as_stored(weights: Array) -> npt.NDArray[np.float32]:
    """As they are kept in an artefact."""
    return weights.astype(np.float16).astype(np.float32)


def _error_of_gain(levels: Levels) -> float:
    """How far off the gain is, by levels read out of fold, for a usual fast model and a strong one."""
    gain_without, gain_with = np.subtract(CHANCES[2], CHANCES[1])
    need = 1 / (1 + np.exp(-NEED_STEEPNESS * (levels.held_out - levels.needy)))
    needed = np.array([NEEDED[query.level] for query in levels.queries])
    return float(np.sqrt(np.mean(((need - needed) * (gain_with - gain_without)) ** 2)))


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
        for query, reading in zip(levels.queries[::2], levels.readings[::2], strict=True)
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
    return hashed.fold_words(ridge.coef_ * slope), float(ridge.intercept_ * slope + intercept) + settings.consumer_prior


def _fit_lengths(corpus: Corpus, levels: Levels) -> tuple[Array, float]:
    """Log of the mean visible length of recorded answers, by words."""
    lengths = corpus.mean_output_tokens()
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
    return levels.texts.fold_words(ridge.coef_), float(ridge.intercept_)
