"""The written queries are what their README says, and what is kept apart is really apart."""

import re
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from classifier.training.consumer_corpus import (
    DIRECTORY,
    KEPT,
    TRAIN,
    ConsumerQuery,
    read_queries,
    read_second_annotation,
)

QUERIES = read_queries()
BY_ID = {query.id: query for query in QUERIES}
SECOND = read_second_annotation()
README = (DIRECTORY / "README.md").read_text(encoding="utf-8")


def shingles(query: ConsumerQuery) -> set[str]:
    text = re.sub(r"\s+", " ", query.asked.lower())
    return {text[at : at + 14] for at in range(max(1, len(text) - 13))}


def test_there_are_enough_of_all_kinds_of_them() -> None:
    assert len(QUERIES) == len(BY_ID) == 7_459
    languages = Counter(query.language for query in QUERIES)
    assert sum(count for language, count in languages.items() if language != "en") >= 0.4 * len(QUERIES)
    assert sum(count >= 50 for language, count in languages.items() if language != "en") >= 16
    assert sum(query.is_conversation for query in QUERIES) >= 0.15 * len(QUERIES)
    assert len({query.kind for query in QUERIES}) == 21
    assert min(Counter(query.level for query in QUERIES).values()) > 500


def test_length_says_nothing_about_the_level() -> None:
    found = spearmanr([query.level for query in QUERIES], [len(query.asked) for query in QUERIES])[0]
    assert abs(found) < 0.1


def test_every_level_occurs_at_every_length() -> None:
    lengths = np.array([len(query.asked) for query in QUERIES])
    edges = np.quantile(lengths, (0, 0.2, 0.4, 0.6, 0.8, 1))
    for low, high in pairwise(edges):
        levels = Counter(query.level for query, length in zip(QUERIES, lengths, strict=True) if low <= length <= high)
        assert min(levels[level] for level in range(5)) >= 30


def test_a_fifth_is_kept_apart_by_author() -> None:
    kept = [query for query in QUERIES if query.split == KEPT]
    assert len(kept) >= 0.2 * len(QUERIES)
    for author in ("kept_english", "kept_languages", "kept_again", "kept_conversations"):
        assert {query.split for query in QUERIES if query.author == author} == {KEPT}


def test_nothing_taught_is_nearly_what_is_kept() -> None:
    kept: dict[str, list[ConsumerQuery]] = defaultdict(list)
    for query in QUERIES:
        if query.split == KEPT:
            for shingle in shingles(query):
                kept[shingle].append(query)
    for query in QUERIES:
        if query.split == TRAIN:
            own = shingles(query)
            shared = Counter(other.id for shingle in own for other in kept.get(shingle, ()))
            for other, count in shared.most_common(1):
                least = min(len(own), len(shingles(BY_ID[other])))
                assert least <= 6 or count <= 0.5 * least, (query.id, other)


def test_twins_are_two_of_like_length_and_unlike_level() -> None:
    pairs: dict[tuple[str, str], list[ConsumerQuery]] = defaultdict(list)
    for query in QUERIES:
        if query.twin:
            pairs[query.author, query.twin].append(query)
    assert len(pairs) >= 100
    for one, other in pairs.values():
        assert one.level != other.level


@pytest.mark.parametrize(
    ("measure", "found"),
    [
        ("level, quadratically weighted kappa", "level"),
        ("level 3 or 4 against the rest, kappa", "hard"),
        ("answer type, share that agrees", "type"),
        ("stakes, share that agrees (kappa)", "stakes"),
    ],
)
def test_the_second_annotation_agrees_as_far_as_the_readme_says(measure: str, found: str) -> None:
    assert len(SECOND) >= 0.15 * len(QUERIES)
    first = [BY_ID[at] for at in SECOND]
    levels, again = [query.level for query in first], [level for level, _, _ in SECOND.values()]
    figures = {
        "level": cohen_kappa_score(levels, again, weights="quadratic"),
        "hard": cohen_kappa_score([level >= 3 for level in levels], [level >= 3 for level in again]),
        "type": np.mean(
            [query.answer_type is kind for query, (_, kind, _) in zip(first, SECOND.values(), strict=True)]
        ),
        "stakes": np.mean(
            [query.stakes is stakes for query, (_, _, stakes) in zip(first, SECOND.values(), strict=True)]
        ),
    }
    row = next(line for line in README.splitlines() if line.startswith(f"| {measure} |"))
    assert f"| {figures[found]:.2f}".replace("0.", ".") in row
