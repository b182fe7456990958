"""Coverage next to selection: what more samples could have found against what the vote chose. Pure.

Low selection efficiency with high coverage says "buy a verifier", low coverage says "buy a stronger model".
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb

from router.ledger.coverage import Observed


@dataclass(frozen=True, slots=True)
class Coverage:
    """All samples of one query. A vote None could not be read; `used` is where the tier had stopped."""

    request_id: str
    models: str
    answer_type: str
    votes: tuple[str | None, ...]
    selected: str | None
    used: int


@dataclass(frozen=True, slots=True)
class CoverageSummary:
    """Means over labelled queries; `efficiency` is None where coverage leaves nothing to select."""

    queries: int
    accuracy_at_1: float
    majority_at_k: float
    selected_at_k: float
    pass_at_k: float
    efficiency: float | None
    invalid_rate: float
    samples_used: float
    k: int


def count_votes(coverage: Coverage) -> Observed:
    """Count the votes, without what was voted for."""
    votes = Counter(vote for vote in coverage.votes if vote is not None)
    return Observed(
        request_id=coverage.request_id,
        samples=len(coverage.votes),
        valid=votes.total(),
        selected=votes[coverage.selected] if coverage.selected is not None else 0,
        largest=max(votes.values(), default=0),
        used=coverage.used,
    )


def pass_at(k: int, right: int, samples: int) -> float:
    """Return the unbiased chance that k of the samples hold a right one: 1 - C(n-c, k) / C(n, k)."""
    return 1.0 if samples - right < k else 1 - comb(samples - right, k) / comb(samples, k)


def majority(votes: Sequence[str | None]) -> str | None:
    """Return the most frequent vote, the first seen of equals."""
    counts: dict[str, int] = {}
    for vote in votes:
        if vote is not None:
            counts[vote] = counts.get(vote, 0) + 1
    return max(counts, key=counts.__getitem__, default=None)


def selection_efficiency(selected: float, at_1: float, covered: float) -> float | None:
    """Return the share of the possible gain that selection realised."""
    return (selected - at_1) / (covered - at_1) if covered - at_1 > 1e-9 else None


def summarise(
    observed: Sequence[Coverage], is_right: Callable[[Coverage, str], bool], k: int
) -> CoverageSummary | None:
    """Return the means at k samples over labelled queries, None when there are none with so many samples."""
    queries = [o for o in observed if len(o.votes) >= k]
    if not queries:
        return None
    n = len(queries)
    at_1 = chosen = by_majority = covered = invalid = used = 0.0
    for query in queries:
        marks = [vote is not None and is_right(query, vote) for vote in query.votes]
        at_1 += sum(marks) / len(marks)
        covered += pass_at(k, sum(marks), len(marks))
        winner = majority(query.votes[:k])
        by_majority += winner is not None and is_right(query, winner)
        chosen += query.selected is not None and is_right(query, query.selected)
        invalid += sum(vote is None for vote in query.votes) / len(query.votes)
        used += query.used
    return CoverageSummary(
        n,
        at_1 / n,
        by_majority / n,
        chosen / n,
        covered / n,
        selection_efficiency(chosen / n, at_1 / n, covered / n),
        invalid / n,
        used / n,
        k,
    )
