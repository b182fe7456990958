"""What wording around a question does to its features, told from features alone: no text is needed. Training only.

Joined features are those of the joined text but for the pair of words at the seam, and for texts that are clipped.
"""

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from classifier.features import SURFACE_NAMES, Features, extract
from classifier.training.design import INSISTENCE, INVARIANCE_ROWS, Scales, design
from classifier.vocabulary import Vocabulary
from classifier.wording import around

_ASKED = slice(SURFACE_NAMES.index("question"), None)
_PADDING = 2.0  # bytes around a text
_AT = {name: place for place, name in enumerate(SURFACE_NAMES)}


def invariances_of(
    documents: Sequence[Features],
    vocabulary: Vocabulary,
    scales: Scales,
    seen: npt.NDArray[np.bool_],
    surface_weight: float,
) -> sparse.csr_matrix:
    """As `design.invariances`, of documents whose text is not known."""
    chance = random.Random(0)
    chosen = [documents[chance.randrange(len(documents))] for _ in range(INVARIANCE_ROWS)]
    at = np.arange(len(chosen))
    plain = design(chosen, vocabulary)
    wrapped = design([_wrap(document, chance) for document in chosen], vocabulary)
    return (wrapped.rows(at, scales, seen, surface_weight) - plain.rows(at, scales, seen, surface_weight)) * INSISTENCE


def join(first: Features, second: Features) -> Features:
    """Join the features of two texts, as if one came after the other."""
    grams, places = np.unique(np.concatenate((first.grams, second.grams)), return_inverse=True)
    counts = np.bincount(places, np.concatenate((_counts(first), _counts(second))), len(grams))
    a, b = (np.expm1(each.surface.astype(np.float64)) for each in (first, second))
    signals = a + b
    words, numbers, newlines = (signals[_AT[name]] for name in ("words", "numbers", "newlines"))
    size = sum(each[_AT["line_length"]] * (each[_AT["newlines"]] + 1) for each in (a, b))
    for longest in ("longest_word", "longest_quoted"):
        signals[_AT[longest]] = max(a[_AT[longest]], b[_AT[longest]])
    signals[_AT["word_length"]] = signals[_AT["letters"]] / (words + 1)
    signals[_AT["distinct"]] = len(grams) / (2 * words + 1)
    signals[_AT["number_length"]] = signals[_AT["digits"]] / (numbers + 1)
    signals[_AT["line_length"]] = size / (newlines + 1)
    signals[_ASKED] = _question_signals(a, b)
    frequencies = (1.0 + np.log(counts)).astype(np.float32)
    surface = np.log1p(signals).astype(np.float32)
    return Features(grams, frequencies, surface, first.is_ascii and second.is_ascii)


def _question_signals(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The question's signals: what follows answer options belongs to the last of them."""
    if a[_AT["options"]]:
        asked = a[_ASKED].copy()
        asked[_AT["options_length"] - _AT["question"]] += b[_AT["characters"]]
        return asked
    asked = a[_ASKED] + b[_ASKED]
    asked[_AT["sentences"] - _AT["question"]] -= 1  # the last of the first and the first of the second are one
    unfinished = max(0.0, a[_AT["last_sentence"]] - _PADDING)
    longest = max(a[_AT["longest_sentence"]], unfinished + b[_AT["longest_sentence"]])
    asked[_AT["longest_sentence"] - _AT["question"]] = longest
    is_one = b[_AT["sentences"]] < 1.5
    asked[_AT["last_sentence"] - _AT["question"]] = b[_AT["last_sentence"]] + unfinished * is_one
    return asked


def _counts(features: Features) -> npt.NDArray[np.float64]:
    return np.rint(np.exp(features.frequencies.astype(np.float64) - 1.0))


def _wrap(document: Features, chance: random.Random) -> Features:
    before, behind = around(chance)
    if before:
        document = join(extract(before), document)
    return join(document, extract(behind)) if behind else document
