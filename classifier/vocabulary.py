"""The n-grams that carry weight, found by hash: which rows of the weight table a text touches, and how strongly."""

import numpy as np
import numpy.typing as npt

from classifier.features import Features, Floats, Hashes

_BITS = 20
_SHIFT = np.uint32(32 - _BITS)


class Vocabulary:
    """Rows for n-gram hashes, their inverse document frequencies, and the look-up from one to the other."""

    def __init__(self, keys: Hashes, idf: Floats) -> None:
        """Take distinct hashes in any order; the last row stands for everything unknown."""
        self.keys = np.append(keys, np.uint32(0)).astype(np.uint32)
        self.idf = np.append(idf, np.float32(0)).astype(np.float32)
        unknown = len(keys)
        self._slots = np.full(1 << _BITS, unknown, np.int32)
        # Written backwards: where two n-grams want one slot the earlier (more frequent) row keeps it.
        self._slots[(keys >> _SHIFT)[::-1]] = np.arange(unknown, dtype=np.int32)[::-1]

    def __len__(self) -> int:
        return len(self.keys) - 1

    def weigh(self, features: Features) -> tuple[npt.NDArray[np.int32], Floats, float]:
        """Rows of the known n-grams, their tf-idf weights at unit length, and the share of n-grams known."""
        grams = features.grams
        rows = self._slots[grams >> _SHIFT]
        known = self.keys[rows] == grams
        rows = rows[known]
        weights = self.idf[rows] * features.frequencies[known]
        if not len(rows):
            return rows, weights, 0.0
        weights /= np.sqrt(weights @ weights)
        return rows, weights, len(rows) / len(grams)


def learn(documents: list[Features], *, min_documents: int, max_rows: int) -> Vocabulary:
    """Keep n-grams of at least so many documents, the most frequent first."""
    every = np.concatenate([document.grams for document in documents])
    keys, counts = np.unique(every, return_counts=True)
    keep = (counts >= min_documents) & (keys != 0)
    keys, counts = keys[keep], counts[keep]
    order = np.lexsort((keys, -counts))[:max_rows]
    idf = np.log((1 + len(documents)) / (1 + counts[order])) + 1
    return Vocabulary(keys[order], idf.astype(np.float32))
