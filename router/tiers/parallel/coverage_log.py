"""Remembers what the shadow slice saw, until a label arrives, and sums it up for the operator."""

from collections import Counter
from collections.abc import Callable

from cachetools import FIFOCache

from router.ledger.coverage import Observed
from router.tiers.parallel.coverage import Coverage, CoverageSummary, summarise
from router.types import DAY_US

REMEMBERED = 2_000


class CoverageLog:
    """The last observed queries of this worker and the labels they got.

    A label says whether the selected answer was right. Of a wrong one the right answer is not known, so that pass@k
    is then a lower bound. `keep` gets the counts of every query, for the books.
    """

    def __init__(self, keep: Callable[[Observed], None] = lambda observed: None) -> None:
        self._keep = keep
        self.observed = 0
        self._waiting: FIFOCache[str, Coverage] = FIFOCache(REMEMBERED)
        self._labelled: FIFOCache[str, tuple[Coverage, bool]] = FIFOCache(REMEMBERED)

    def note(self, coverage: Coverage) -> None:
        """Remember what was observed of a query."""
        self.observed += 1
        self._keep(count_votes(coverage))
        self._waiting[coverage.request_id] = coverage

    def label(self, request_id: str, correct: float) -> None:
        """Book a label (0 to 1) of a query that may have been observed."""
        coverage = self._waiting.pop(request_id, None)
        if coverage is not None:
            self._labelled[request_id] = (coverage, correct >= 0.5)

    def summary(self, k: int) -> CoverageSummary | None:
        """Return the means at k samples over the labelled queries; None when there are none."""
        right = {id_: is_right for id_, (_, is_right) in self._labelled.items()}
        observed = [coverage for coverage, _ in self._labelled.values()]
        return summarise(observed, lambda o, vote: right[o.request_id] and vote == o.selected, k)


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


class DailyAllowance:
    """What shadow samples may cost a day (UTC), by their upper bounds; forgotten with the process."""

    def __init__(self, nanousd_per_day: int) -> None:
        self._most = nanousd_per_day
        self._day = 0
        self._spent = 0

    def affords(self, nanousd: int, now_us: int) -> bool:
        """Take an amount from today's allowance, if it is there."""
        today = now_us // DAY_US
        if today != self._day:
            self._day, self._spent = today, 0
        if self._spent + nanousd > self._most:
            return False
        self._spent += nanousd
        return True
