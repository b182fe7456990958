"""Texts compared by meaning, roughly: hashed word and word-pair counts, cosine similarity. Pure, numpy only.

No language model is asked: two texts are near when they share rare words and phrases. It groups paraphrases of short
factual answers. It understands nothing, so clusters agree only where their facts do, and never count as more than low
confidence.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from router.tiers.vote.facts import Facts

DIMENSIONS = 2048
SAME_CLUSTER = 0.5
LONGEST_WORDS = 600

_WORD = re.compile(r"\w+")
_COMMON = frozenset(
    "a an and are as at be by for from has have in is it its of on or that the this to was were which with".split()  # noqa: SIM905
)

Vector = NDArray[np.float32]


def embed(text: str) -> Vector:
    """Return a text as a unit vector of hashed word and word-pair counts (their square roots)."""
    words = [w for w in _WORD.findall(text.casefold()) if w not in _COMMON][:LONGEST_WORDS]
    grams = words + [f"{a} {b}" for a, b in pairwise(words)]
    counts = np.zeros(DIMENSIONS, dtype=np.float32)
    for gram in grams:
        counts[crc32(gram.encode()) % DIMENSIONS] += 1
    np.sqrt(counts, out=counts)
    length = float(np.linalg.norm(counts))
    return counts / length if length else counts


def clusters(
    vectors: Sequence[Vector], threshold: float = SAME_CLUSTER, facts: Sequence[Facts] = ()
) -> list[list[int]]:
    """Group vectors by average linkage, in order of arrival; the largest cluster first, earlier ones before equals.

    With `facts`, one for each vector, texts that contradict each other are in different groups however near they are.
    """
    groups: list[list[int]] = []
    sums: list[Vector] = []
    for index, vector in enumerate(vectors):
        nearness = [
            -1.0 if facts and _contradicts(index, group, facts) else float(total @ vector) / len(group)
            for group, total in zip(groups, sums, strict=True)
        ]
        best = max(range(len(groups)), key=nearness.__getitem__, default=None)
        if best is None or nearness[best] < threshold:
            groups.append([index])
            sums.append(vector.copy())
        else:
            groups[best].append(index)
            sums[best] += vector
    return sorted(groups, key=len, reverse=True)


def _contradicts(index: int, group: Sequence[int], facts: Sequence[Facts]) -> bool:
    return any(facts[index].contradict(facts[member]) for member in group)


def medoid(vectors: Sequence[Vector], members: Sequence[int]) -> int:
    """Return the member that is nearest to all others, the earliest of equals."""
    total = np.sum([vectors[m] for m in members], axis=0)
    return max(members, key=lambda m: (float(vectors[m] @ total), -m))
