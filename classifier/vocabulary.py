"""The n-grams that carry weight, found by hash: which rows of the weight table a text touches, and how strongly."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier.features import Features, Floats, Hashes

_BITS = 20
_SHIFT = np.array(32 - _BITS, np.uint32)
_LEAST_IDF = 1.0


class Vocabulary:
    """Rows for n-gram hashes, their inverse document frequencies, and the look-up from one to the other."""

    def __init__(self, keys: Hashes, idf: Floats) -> None:
        """Take distinct hashes in any order; the last row stands for everything unknown."""
        self.keys = np.append(keys, np.uint32(0)).astype(np.uint32)
        self.idf = np.append(idf, np.float32(0)).astype(np.float32)
        self._slots = _slots(keys)

    def __len__(self) -> int:
        return len(self.keys) - 1

    def weigh(self, features: Features) -> tuple[npt.NDArray[np.int32], Floats, float]:
        """Rows of the known n-grams, their tf-idf weights, and the share of n-grams known."""
        grams = features.grams
        rows = self._slots[grams >> _SHIFT]
        known = self.keys[rows] == grams
        rows = rows[known]
        weights = self.idf[rows] * features.frequencies[known]
        return rows, weights, len(rows) / max(1, len(grams))


class VocabularyTable:
    """What the model looks up for each n-gram, in one row of a few cache lines: numbers and the key itself."""

    def __init__(self, keys: Hashes, numbers: Floats) -> None:
        """Take distinct hashes, the most frequent first, and a row of numbers for each."""
        known, width = numbers.shape
        self._rows = np.zeros((known + 1, -(-(width + 1) // 16) * 16), np.float32)
        self._rows[:known, :width] = numbers
        self._rows.view(np.uint32)[:known, -1] = keys
        smallest = np.uint16 if known < 1 << 16 else np.uint32
        self._slots: npt.NDArray[np.unsignedinteger[Any]] = _slots(keys).astype(smallest)

    def find(self, grams: Hashes) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """A row for each n-gram, with zeros after the numbers, and whether the row is the n-gram's own."""
        rows = self._rows.take(self._slots.take(grams >> _SHIFT), axis=0)
        return rows[:, :-1], rows.view(np.uint32)[:, -1] == grams


def _slots(keys: Hashes) -> npt.NDArray[np.int32]:
    """Rows by the first bits of a hash; the last row stands for everything unknown."""
    unknown = len(keys)
    slots = np.full(1 << _BITS, unknown, np.int32)
    # Written backwards: where two n-grams want one slot the earlier (more frequent) row keeps it.
    slots[(keys >> _SHIFT)[::-1]] = np.arange(unknown, dtype=np.int32)[::-1]
    return slots


def learn(documents: list[Features], groups: Sequence[int], *, min_documents: int, max_rows: int) -> Vocabulary:
    """Keep n-grams of at least so many documents, the most frequent first.

    An n-gram is as common as it is in the group of documents where it is most common: what every question of one kind
    repeats says nothing, however rare it is elsewhere.
    """
    every = np.concatenate([document.grams for document in documents])
    keys, counts = np.unique(every, return_counts=True)
    keep = (counts >= min_documents) & (keys != 0)
    keys, counts = keys[keep], counts[keep]
    order = np.lexsort((keys, -counts))[:max_rows]
    keys = keys[order]
    idf = np.full(len(keys), np.inf)
    for group in sorted(set(groups)):
        members = [document for document, of in zip(documents, groups, strict=True) if of == group]
        grams, times = np.unique(np.concatenate([document.grams for document in members]), return_counts=True)
        at = np.minimum(np.searchsorted(grams, keys), len(grams) - 1)
        within = np.where(grams[at] == keys, times[at], 0)
        idf = np.minimum(idf, np.where(within > 0, np.log((1 + len(members)) / (1 + within)), np.inf))
    return Vocabulary(keys, (idf + _LEAST_IDF).astype(np.float32))
