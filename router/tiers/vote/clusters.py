"""Which sample is the answer: votes gathered into clusters, and the order in which clusters win. Pure.

Counts decide. Token confidence, where a provider gives log-probabilities, decides only between clusters that are
within one vote. With recorded test vectors (code) agreement and passed tests count together, sqrt(|S|) * |T| as in
CodeT (arXiv 2207.10397): "most tests passed" alone gets worse with more samples.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import exp, sqrt
from typing import Any

from router.tiers.vote.keys import VoteKey

CLOSE = 1


@dataclass(slots=True, eq=False)
class Cluster:
    """Samples that answer the same. `tests` counts the tests they pass, None where there are none."""

    key: VoteKey
    members: list[int] = field(default_factory=list)
    weight: float = 0.0
    tests: int | None = None

    @property
    def votes(self) -> int:
        """How many samples stand behind it; none when they pass no test at all."""
        return len(self.members) if self.tests != 0 else 0

    @property
    def score(self) -> float:
        """What clusters are ranked by: votes, or with tests sqrt(|S|) * |T|."""
        return float(len(self.members)) if self.tests is None else sqrt(len(self.members)) * self.tests


class VoteTally:
    """The vote so far."""

    def __init__(self) -> None:
        self.clusters: list[Cluster] = []
        self._of_key: dict[VoteKey, Cluster] = {}
        self._of_bare: dict[tuple[str, bool], list[Cluster]] = {}

    def find(self, key: VoteKey) -> Cluster | None:
        """Return the cluster that a key belongs to, as far as spelling tells."""
        return self._of_key.get(key) or (self._with_unit(key) if key.bare else None)

    def add(
        self, index: int, key: VoteKey, weight: float = 1.0, tests: int | None = None, to: Cluster | None = None
    ) -> None:
        """Count a sample's vote, in the cluster it was found equal to if one is given."""
        cluster = to or self.find(key)
        if cluster is None:
            cluster = Cluster(key, tests=tests)
            self.clusters.append(cluster)
        self._of_key.setdefault(key, cluster)
        if key.bare:
            if cluster.key.value == cluster.key.bare:
                cluster.key = key
            alike = self._of_bare.setdefault((key.bare, key.value == key.bare), [])
            if cluster not in alike:
                alike.append(cluster)
        cluster.members.append(index)
        cluster.weight += weight

    @property
    def ranked(self) -> list[Cluster]:
        """The clusters, the winner first; equals keep the order of their first vote."""
        ordered = sorted(self.clusters, key=lambda c: -c.score)
        close = [c for c in ordered if c.tests is None and ordered[0].votes - c.votes <= CLOSE]
        if len(close) > 1 and any(c.weight != len(c.members) for c in close):
            close.sort(key=lambda c: -c.weight)
            ordered = close + [c for c in ordered if c not in close]
        return ordered

    @property
    def top(self) -> tuple[int, int]:
        """The votes of the leader and of the strongest other; the leader by score may have fewer votes."""
        ordered = self.ranked
        return ordered[0].votes if ordered else 0, max((c.votes for c in ordered[1:]), default=0)

    @property
    def valid(self) -> int:
        """How many samples voted."""
        return sum(len(c.members) for c in self.clusters)

    def _with_unit(self, key: VoteKey) -> Cluster | None:
        """Join "18" and "18 hours" when only one unit is in the running."""
        has_unit = key.value != key.bare
        alike = self._of_bare.get((key.bare, has_unit), [])
        fitting = [c for c in alike if not has_unit or c.key.value == c.key.bare]
        return fitting[0] if len(fitting) == 1 else None


def token_confidence(logprobs: dict[str, Any] | None) -> float | None:
    """Return the geometric mean probability of a sample's tokens, None when the provider gave none."""
    content = (logprobs or {}).get("content")
    if not isinstance(content, list) or not content:
        return None
    values = [float(t["logprob"]) for t in content if isinstance(t, dict) and isinstance(t.get("logprob"), int | float)]
    return exp(max(-50.0, sum(values) / len(values))) if values else None


def in_order(tally: VoteTally, others: Iterable[int] = ()) -> list[int]:
    """Return samples from best to worst: the winner's first, then the next cluster's, then those without a vote."""
    voted = [member for cluster in tally.ranked for member in cluster.members]
    return voted + [index for index in others if index not in voted]
