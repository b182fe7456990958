"""How alike the requests of one conversation are: so many of them count as one. Pure.

A conversation stays with its arm of a canary, so that its requests are no independent evidence. What they have in
common is the intra-class correlation of a one-way analysis of variance, here of the logarithm of what requests cost and
of how long they took to their first byte; the design effect follows from it and from the lengths of the conversations
(Donner and Klar 2000, chapter 1). Of more conversations than can be kept those with the smallest marks are looked at,
which are a random sample, and the same in whatever order requests come.
"""

import math
from dataclasses import dataclass, field
from heapq import heappop, heappush

MOST_CONVERSATIONS = 20_000
ENOUGH_CONVERSATIONS = 100
ENOUGH_REPEATS = 100  # requests that are not the first of their conversation


@dataclass(slots=True)
class ClusterSums:
    """The requests of one conversation: how many of which the value is known, their sum and their sum of squares."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """Count a request."""
        self.count += 1
        self.total += value
        self.squares += value * value


@dataclass(slots=True)
class Conversation:
    """What is known of one conversation."""

    requests: int = 0
    costs: ClusterSums = field(default_factory=ClusterSums)
    waits: ClusterSums = field(default_factory=ClusterSums)


class Clusters:
    """The conversations of both arms."""

    def __init__(self) -> None:
        self._known: dict[int, Conversation] = {}
        self._largest: list[int] = []  # a heap of marks, the largest on top

    def add(self, mark: int | None, cost_step: int | None, wait_step: int | None) -> None:
        """Count a request of a conversation; steps are logarithms of what it cost and took."""
        if mark is None:
            return
        known = self._known.get(mark)
        if known is None:
            known = self._known[mark] = Conversation()
            heappush(self._largest, -mark)
            if len(self._known) > MOST_CONVERSATIONS:
                dropped = -heappop(self._largest)
                del self._known[dropped]
                if dropped == mark:
                    return
        known.requests += 1
        if cost_step is not None:
            known.costs.add(cost_step)
        if wait_step is not None:
            known.waits.add(wait_step)

    def design_effect(self, assumed: float) -> float:
        """So many requests count as one; what is `assumed` until enough was seen.

        Never more than if all requests of a conversation were alike. Of costs and waits the greater counts.
        """
        counts = [conversation.requests for conversation in self._known.values()]
        if len(counts) < ENOUGH_CONVERSATIONS:
            return assumed
        mean = sum(count * count for count in counts) / sum(counts)  # length, as a request sees it
        if sum(counts) - len(counts) < ENOUGH_REPEATS:
            return min(assumed, mean)
        known = self._known.values()
        alike = max(correlation([c.costs for c in known]), correlation([c.waits for c in known]))
        return 1.0 + (mean - 1.0) * alike


def correlation(clusters: list[ClusterSums]) -> float:
    """The intra-class correlation with a standard error on top, within 0 and 1; 1 where nothing can be told."""
    clusters = [cluster for cluster in clusters if cluster.count]
    groups, count = len(clusters), sum(cluster.count for cluster in clusters)
    if groups < 2 or count - groups < ENOUGH_REPEATS:
        return 1.0
    mean = sum(cluster.total for cluster in clusters) / count
    between = sum(c.count * (c.total / c.count - mean) ** 2 for c in clusters) / (groups - 1)
    within = sum(c.squares - c.total**2 / c.count for c in clusters) / (count - groups)
    length = (count - sum(c.count**2 for c in clusters) / count) / (groups - 1)
    spread = between + (length - 1.0) * within
    if spread <= 0.0:
        return 0.0
    alike = min(max((between - within) / spread, 0.0), 1.0)
    others = max(length - 1.0, 1e-9)
    error = math.sqrt(2.0 / (length * others * groups)) * (1.0 - alike) * (1.0 + others * alike)
    return min(1.0, alike + error)
