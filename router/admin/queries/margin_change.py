"""What happened to the margin: a stretch of time against the one before, and what would bring it back."""

from dataclasses import dataclass

from sqlalchemy import Engine

from router.reports.queries import Sums, sum_by
from router.reports.reading import reading
from router.reports.window import Window
from router.tuning.traffic import SCORED

LEAST_CHANGE = 0.0005  # of the margin: below it, nothing is said to have changed


@dataclass(frozen=True, slots=True)
class MarginFigures:
    """The figures of a stretch of time, US dollars per thousand requests; None is not known."""

    window: Window
    requests: int
    margin: float | None
    cost_usd_per_1k: float | None
    revenue_usd_per_1k: float | None
    deep_share: float | None


@dataclass(frozen=True, slots=True)
class MarginChange:
    """A stretch of time beside the one before it (None where there is none with requests).

    `by_cost` and `by_revenue` say which part of the change of the margin comes from what a request costs and which from
    what it earns. A score decided `decided_share` of the requests, which cost `decided_cost_share` of everything (of a
    segment not known): thresholds move no others. `allowed_usd_per_1k` is what a thousand requests may cost for the
    margin of before.
    """

    now: MarginFigures
    before: MarginFigures | None = None
    by_cost: float | None = None
    by_revenue: float | None = None
    allowed_usd_per_1k: float | None = None
    decided_share: float | None = None
    decided_cost_share: float | None = None

    @property
    def change(self) -> float | None:
        """By how much the margin rose; None where that is not known, 0 where it is next to nothing."""
        if self.before is None or self.now.margin is None or self.before.margin is None:
            return None
        change = self.now.margin - self.before.margin
        return change if abs(change) >= LEAST_CHANGE else 0.0


def read_margin_change(engine: Engine, window: Window, segment: str = "") -> MarginChange:
    """Read what happened, of everything or of a segment: the sums of reports, as Overview shows them."""
    now, decided = _read(engine, window, segment)
    earlier = window.previous
    before = None if earlier is None else _read(engine, earlier, segment)[0]
    if before is not None and not before.requests:
        before = None
    return MarginChange(now, before, *_causes(now, before), *_shares(now, decided))


def _shares(now: MarginFigures, decided: tuple[int, float] | None) -> tuple[float | None, float | None]:
    """Tell which part of the requests a score decided, and which part of the cost is theirs."""
    if decided is None or not now.requests:
        return None, None
    cost = (now.cost_usd_per_1k or 0.0) * now.requests / 1e3
    return decided[0] / now.requests, decided[1] / cost if cost > 0.0 else None


def _read(engine: Engine, window: Window, segment: str) -> tuple[MarginFigures, tuple[int, float] | None]:
    """Return the figures, and of everything the requests that a score decided and what they cost."""
    where = {"segment": {segment}} if segment else {}
    with reading(engine, window) as books:
        report = sum_by(books, ["segment" if segment else "reason"], where)
    decided = None
    if not segment:
        sums = [one for (reason,), one in report.rows.items() if reason in SCORED]
        decided = sum(one.requests for one in sums), sum(one.cost_nanousd for one in sums) / 1e9
    return _figures(window, report.totals()), decided


def _figures(window: Window, total: Sums) -> MarginFigures:
    count = total.requests
    if not count:
        return MarginFigures(window, 0, None, None, None, None)
    cost = total.cost_nanousd / count / 1e6 if total.has_cost else None
    revenue = total.expected_nanousd / count / 1e6 if total.has_revenue else None
    margin = None if cost is None or not revenue else 1.0 - cost / revenue
    return MarginFigures(window, count, margin, cost, revenue, total.deep / count)


def _causes(now: MarginFigures, before: MarginFigures | None) -> tuple[float | None, float | None, float | None]:
    """Split the change of the margin into what costs and what revenues did; and what the margin of before allows."""
    if before is None or now.margin is None or before.margin is None:
        return None, None, None
    match now.cost_usd_per_1k, now.revenue_usd_per_1k, before.cost_usd_per_1k, before.revenue_usd_per_1k:
        case float(cost), float(revenue), float(was_cost), float(was_revenue):
            by_cost = (was_cost - cost) / was_revenue
            return by_cost, now.margin - before.margin - by_cost, revenue * (1.0 - before.margin)
    return None, None, None
