"""Written queries as the rows that the consumer head is fitted to: hashed words, hashed characters, cues."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from classifier.characters import BITS, slots_of
from classifier.consumer import HINTS, WORD_BITS, hints_of
from classifier.conversation import summarise
from classifier.cues import ROWS, Cues, answer_type_of, read_cues, stakes_of
from classifier.features import Features, extract
from classifier.training.consumer_corpus import ConsumerQuery
from classifier.wording import stripped

Array = npt.NDArray[np.float64]

WEIGHT_OF_RULES = 2.0  # of what the rules make of the cues, beside one cue


@dataclass(frozen=True)
class ConsumerSettings:
    """What was chosen by cross-validation over authors, on the train split alone."""

    strength: float = 1.0
    least_documents: int = 2
    characters_weight: float = 1.4  # beside words
    hints_weight: float = 0.35  # of cues, beside words
    whole_weight: float = 0.35
    earlier_weight: float = 0.5
    earlier_half_chars: float = 160.0
    texts_of_a_source: int = 250
    consumer_prior: float = 1.0  # log-odds beside even ones: most of the traffic is of consumers


@dataclass(frozen=True)
class Reading:
    """What the head reads of a query."""

    instruction: str
    features: Features
    cues: Cues
    whole: Features | None
    earlier: str
    earlier_features: Features | None


def read_query(query: ConsumerQuery) -> Reading:
    """The parts of a query that the head reads when it serves."""
    summary = summarise(query.turns)
    earlier = extract(summary.earlier) if summary.earlier else None
    whole = extract(summary.text) if summary.has_material else None
    cues = read_cues(summary.instruction, has_material=summary.has_material, earlier=summary.earlier)
    return Reading(summary.instruction, extract(summary.instruction), cues, whole, summary.earlier, earlier)


class HashedTexts:
    """Texts as rows over hashed words (and pairs) and hashed characters, weighed by how rare each slot is."""

    def __init__(self, texts: Sequence[str], documents: Sequence[Features], settings: ConsumerSettings) -> None:
        """Count in how many of the texts each slot occurs."""
        words, characters = self._count(texts, documents)
        self._words = rarity_of(words, settings.least_documents)
        self._characters = rarity_of(characters, settings.least_documents) * settings.characters_weight
        self.counted = self._weigh(words, characters)

    @staticmethod
    def _count(texts: Sequence[str], documents: Sequence[Features]) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        words = list(map(slots_of_words, documents))
        characters = [
            (slots, np.ones(len(slots), np.float32)) for slots in (slots_of(stripped(text)) for text in texts)
        ]
        return table_of(words, 1 << WORD_BITS), table_of(characters, 1 << BITS)

    def rows(self, texts: Sequence[str], documents: Sequence[Features]) -> sparse.csr_matrix:
        """Rows in the order of the slots: words, then characters."""
        return self._weigh(*self._count(texts, documents))

    def fold(self, weights: Array) -> tuple[Array, Array]:
        """Weights over rows as weights over what serving counts: by slot of a word, by slot of characters."""
        return self.fold_words(weights[: 1 << WORD_BITS]), weights[1 << WORD_BITS :] * self._characters

    def fold_words(self, weights: Array) -> Array:
        """The same of words alone, for one column of weights or several."""
        return np.asarray((weights.T * self._words).T)

    def _weigh(self, words: sparse.csr_matrix, characters: sparse.csr_matrix) -> sparse.csr_matrix:
        return sparse.hstack([words @ sparse.diags(self._words), characters @ sparse.diags(self._characters)]).tocsr()


def table_of(
    documents: Sequence[tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]], slots: int
) -> sparse.csr_matrix:
    """Counts by slot, each text's divided by the root of its number of n-grams, as serving does."""
    starts = np.concatenate(([0], np.cumsum([len(at) for at, _ in documents])))
    columns = np.concatenate([at for at, _ in documents]).astype(np.int64)
    values = np.concatenate([counts / np.sqrt(max(1, len(at))) for at, counts in documents]).astype(np.float64)
    return sparse.csr_matrix((values, columns, starts), shape=(len(documents), slots))


def rarity_of(counted: sparse.csr_matrix, least_documents: int) -> Array:
    """Inverse document frequency, none for what too few texts hold, scaled so that rows have unit length on average."""
    documents = np.asarray((counted > 0).sum(axis=0)).ravel()
    rarity = np.maximum(0.0, np.log(counted.shape[0] / (documents + 1.0))) * (documents >= least_documents)
    weighed = counted @ sparse.diags(rarity)
    squares = np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel()
    return np.asarray(rarity / np.sqrt(squares[squares > 0].mean()))


def slots_of_words(document: Features | None) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
    """Slots of a text's words and pairs of words, with the frequency of each; none of no text."""
    if document is None:
        return np.zeros(0, np.uint32), np.zeros(0, np.float32)
    return document.grams >> np.uint32(32 - WORD_BITS), document.frequencies


def hint_rows_of(readings: Sequence[Reading]) -> tuple[sparse.csr_matrix, Array]:
    """Which cues each query has and what the rules make of them, of unit length on average; the weight of each row."""
    touched = [hints_of(reading.cues, answer_type_of(reading.cues), stakes_of(reading.cues)) for reading in readings]
    weights = np.where(np.arange(HINTS) < ROWS, 1.0, WEIGHT_OF_RULES)
    starts = np.concatenate(([0], np.cumsum([len(rows) for rows in touched])))
    columns = np.concatenate([np.array(rows, np.int64) for rows in touched])
    weights /= np.sqrt((weights[columns] ** 2).sum() / len(touched))
    return sparse.csr_matrix((weights[columns], columns, starts), shape=(len(touched), HINTS)), weights


def authors_of(queries: Sequence[ConsumerQuery]) -> npt.NDArray[np.intp]:
    """A fold for each author: what is held out is by a hand that taught nothing, as what is asked of a server is."""
    return np.unique([query.author for query in queries], return_inverse=True)[1]
