"""When something is wrong enough to tell people: each rule takes figures and returns what it finds. Pure.

A finding has a rule, a subject and a period. It is told once for these three, however often and by whomever it is
found again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from statistics import median
from typing import Any

from router.money import usd_text

FEWEST_CALLS = 20  # below it a share says little
FEWEST_REQUESTS = 200  # of a day, before its margin says something
FEWEST_WEEKS = 4  # of the same hour
SPREADS = 4.0  # an hour so many robust deviations dearer than usual is no chance
LEAST_SPREAD = 0.25  # of the usual cost: small weeks vary by themselves


class AlertRule(StrEnum):
    """What is looked at: a closed list, stored."""

    BUDGET = "budget_spent"
    MARGIN = "margin"
    UNPRICED = "unpriced"
    BREAKER = "breaker_open"
    ERRORS = "error_rate"
    SPOOL = "spool_lag"
    DRIFT = "drift"
    SPEND = "spend_anomaly"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong now; `level` is warning or bad, `figures` are for programs."""

    rule: AlertRule
    subject: str
    period: str
    level: str
    title: str
    says: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """How a budget stands in the period that began at `start_us`."""

    name: str
    start_us: int
    limit_nanousd: int
    spent_nanousd: int


@dataclass(frozen=True, slots=True)
class SegmentMargin:
    """What a segment's requests of a day cost and are expected to earn; None of `target` is none."""

    segment: str
    requests: int
    cost_nanousd: int
    expected_nanousd: int
    target: float | None


@dataclass(frozen=True, slots=True)
class TargetCalls:
    """The recent calls of one model: how many failed, and why most of them did."""

    model: str
    calls: int
    failed: int
    unpriced: int
    cause: str | None = None
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """A model that is not asked for the time being."""

    model: str
    since_us: int
    cause: str | None


@dataclass(frozen=True, slots=True)
class DriftReading:
    """A figure that drifts, and from where on that is alarming."""

    name: str
    value: float
    threshold: float
    is_alarming: bool


@dataclass(frozen=True, slots=True)
class SpendingHour:
    """What an hour cost, and what the same hour of the week cost in past weeks."""

    start_us: int
    cost_nanousd: int
    past_nanousd: Sequence[int]
    is_over: bool = True


def find_spent_budgets(budgets: Sequence[BudgetStanding], thresholds: Sequence[int]) -> Iterator[Finding]:
    """Find every threshold, in percent, that a budget has reached in its period."""
    for budget in budgets:
        if budget.limit_nanousd <= 0:
            continue
        percent = Decimal(100) * budget.spent_nanousd / budget.limit_nanousd
        for threshold in thresholds:
            if percent >= threshold:
                yield Finding(
                    AlertRule.BUDGET,
                    f"{budget.name}, {threshold} %",
                    moment_text(budget.start_us),
                    "bad" if threshold >= 100 else "warning",
                    f"The {budget.name} budget is used to {threshold} %",
                    f"${usd_text(budget.spent_nanousd)} of ${usd_text(budget.limit_nanousd)} are spent "
                    f"in the period since {moment_text(budget.start_us)}",
                    {
                        "threshold_percent": threshold,
                        "spent_nanousd": budget.spent_nanousd,
                        "limit_nanousd": budget.limit_nanousd,
                    },
                )


def find_low_margins(margins: Sequence[SegmentMargin], now_us: int) -> Iterator[Finding]:
    """Find segments whose margin over a day lies under its target."""
    for one in margins:
        if one.target is None or one.requests < FEWEST_REQUESTS or one.expected_nanousd <= 0:
            continue
        margin = (one.expected_nanousd - one.cost_nanousd) / one.expected_nanousd
        if margin < one.target:
            yield Finding(
                AlertRule.MARGIN,
                one.segment,
                day_text(now_us),
                "bad" if margin < 0 else "warning",
                f"The margin of {one.segment} is under its target",
                f"{margin:.1%} over the last 24 hours ({one.requests:,} requests), the target is {one.target:.1%}",
                {"margin": round(margin, 6), "target": one.target, "requests": one.requests},
            )


def find_unpriced(targets: Sequence[TargetCalls], most_share: float, now_us: int) -> Iterator[Finding]:
    """Find that too many calls have no price, over all models together."""
    calls, unpriced = sum(target.calls for target in targets), sum(target.unpriced for target in targets)
    if calls >= FEWEST_CALLS and unpriced > most_share * calls:
        models = ", ".join(sorted(target.model for target in targets if target.unpriced))
        yield Finding(
            AlertRule.UNPRICED,
            "calls",
            day_text(now_us),
            "warning",
            "Calls have no price",
            f"{unpriced:,} of the last {calls:,} calls are booked without an amount: {models}",
            {"calls": calls, "unpriced": unpriced},
        )


def find_failing(targets: Sequence[TargetCalls], most_share: float, now_us: int) -> Iterator[Finding]:
    """Find models of whose recent calls too many failed."""
    for target in targets:
        if target.calls >= FEWEST_CALLS and target.failed > most_share * target.calls:
            why = f", mostly {target.cause.replace('_', ' ')}" if target.cause else ""
            status = f" (HTTP {target.http_status})" if target.http_status else ""
            yield Finding(
                AlertRule.ERRORS,
                target.model,
                hour_text(now_us),
                "bad" if 2 * target.failed > target.calls else "warning",
                f"{target.model} fails",
                f"{target.failed:,} of its last {target.calls:,} calls failed{why}{status}",
                {
                    "calls": target.calls,
                    "failed": target.failed,
                    "cause": target.cause,
                    "http_status": target.http_status,
                },
            )


def find_open_breakers(breakers: Sequence[OpenBreaker], now_us: int) -> Iterator[Finding]:
    """Find models that are not asked for the time being."""
    for breaker in breakers:
        why = f": {breaker.cause.replace('_', ' ')}" if breaker.cause else ""
        yield Finding(
            AlertRule.BREAKER,
            breaker.model,
            hour_text(now_us),
            "bad",
            f"{breaker.model} is not asked any more",
            f"its breaker is open since {moment_text(breaker.since_us)}{why}",
            {"since": moment_text(breaker.since_us), "cause": breaker.cause},
        )


def find_late_books(lag_seconds: float, lag_entries: int, most_seconds: float, now_us: int) -> Iterator[Finding]:
    """Find that the books lag behind what was spooled."""
    if lag_seconds > most_seconds:
        yield Finding(
            AlertRule.SPOOL,
            "books",
            hour_text(now_us),
            "warning",
            "The books are late",
            f"{lag_entries:,} entries wait in a worker's spool, the oldest for {lag_seconds:,.0f} s",
            {"lag_seconds": round(lag_seconds), "lag_entries": lag_entries},
        )


def find_drift(readings: Sequence[DriftReading], now_us: int) -> Iterator[Finding]:
    """Find figures of the classifier that have drifted."""
    for one in readings:
        if one.is_alarming:
            yield Finding(
                AlertRule.DRIFT,
                one.name,
                day_text(now_us),
                "warning",
                f"The classifier drifts: {one.name}",
                f"{one.value:.3f}, alarming above {one.threshold:.3f}",
                {"value": round(one.value, 6), "threshold": one.threshold},
            )


def find_dear_hours(hours: Sequence[SpendingHour], least_nanousd: int) -> Iterator[Finding]:
    """Find hours that cost much more than the same hour of past weeks: by median and deviation from it.

    `least_nanousd` is what an hour must cost above the usual before anybody is told.
    """
    for hour in hours:
        if len(hour.past_nanousd) < FEWEST_WEEKS:
            continue
        usual = median(hour.past_nanousd)
        deviation = median(abs(past - usual) for past in hour.past_nanousd)
        spread = max(1.4826 * deviation, LEAST_SPREAD * usual)
        if hour.cost_nanousd - usual >= max(SPREADS * spread, least_nanousd, 1):
            so_far = "" if hour.is_over else " so far"
            yield Finding(
                AlertRule.SPEND,
                "all requests",
                hour_text(hour.start_us),
                "warning",
                "An hour costs much more than usual",
                f"the hour from {moment_text(hour.start_us)} cost ${usd_text(hour.cost_nanousd)}{so_far}; in the last "
                f"{len(hour.past_nanousd)} weeks the same hour cost ${usd_text(round(usual))}",
                {"cost_nanousd": hour.cost_nanousd, "usual_nanousd": round(usual), "weeks": len(hour.past_nanousd)},
            )


def moment_text(at_us: int) -> str:
    """Write an instant as ISO 8601 in UTC, to the minute."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%MZ")


def hour_text(at_us: int) -> str:
    """Name the hour of an instant, in UTC."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H")


def day_text(at_us: int) -> str:
    """Name the day of an instant, in UTC."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%d")
