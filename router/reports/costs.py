"""Percentiles of the cost per query, from counts on a log scale that merge across hours, days and zones."""

from collections.abc import Mapping
from decimal import Decimal

from router.ledger.lines import BUCKETS_PER_DOUBLING, NO_COST_BUCKET
from router.money import usd_text

TWO = Decimal(2)


class Costs:
    """How many requests cost how much, by bucket."""

    def __init__(self, counts: Mapping[int, int], largest_nanousd: int = -1) -> None:
        self.counts = dict(sorted(counts.items()))
        self._largest = largest_nanousd

    @property
    def requests(self) -> int:
        """How many requests are counted: those whose cost is wholly known."""
        return sum(self.counts.values())

    def quantile_usd(self, percent: int) -> str | None:
        """Return the cost that so many percent do not exceed, at the middle of its bucket; None of nothing."""
        wanted = -(-self.requests * percent // 100)
        seen = 0
        for bucket, count in self.counts.items():
            seen += count
            if seen >= wanted > 0:
                middle = middle_nanousd(bucket)
                return usd_text(min(middle, self._largest) if self._largest >= 0 else middle)
        return None


def middle_nanousd(bucket: int) -> int:
    """Return the middle of a bucket on its log scale."""
    if bucket == NO_COST_BUCKET:
        return 0
    return round(TWO ** ((Decimal(bucket) + Decimal("0.5")) / BUCKETS_PER_DOUBLING))
