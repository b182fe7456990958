"""What of a report is estimated and what is unknown, in whole sentences for somebody who was not there."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from router.reports.formatting import format_count, format_percent, format_usd
from router.reports.queries import Report, Sums
from router.reports.standing import FullReport

MOST_MODELS = 5  # named one by one


def certainty(report: FullReport, by_model: Report) -> list[str]:
    """Say how sure the figures are; what is exact is said too, so that nobody has to guess."""
    total = report.standing.total
    if not total.requests:
        return ["There are no requests in this window: figures that need one are unknown."]
    return [
        *_of_cost(total, by_model),
        *_of_expectations(report, total),
        *_of_bookings(total, report.figures),
        "What everything would have cost in one tier is an estimate: it takes that tier's average cost for every "
        "request, and those that went deeper are harder than most.",
        "The cost that half of the requests do not exceed, and the others like it, come from steps of 4.4 % and are "
        "at most 2.2 % off; sums and the largest are exact.",
    ]


def _of_cost(total: Sums, by_model: Report) -> Iterator[str]:
    unpriced = total.calls - total.priced
    if unpriced:
        yield (
            f"The cost is a lower bound: {_calls(unpriced, total)} have no price{_names(by_model)}. "
            "What they cost is unknown and counts as nothing."
        )
    if total.estimated:
        yield (
            f"The tokens of {_calls(total.estimated, total)} were counted by Tierwise, because the provider did not "
            "report them; their cost is an estimate."
        )
    if total.unknown:
        yield (
            f"How {_calls(total.unknown, total)} ended is unknown; each counts at the most that it can have cost, so "
            "the cost is rather too high there."
        )
    if not (unpriced or total.estimated or total.unknown):
        yield "The cost is exact by the price list: every call has a price, and its provider reported the tokens."


def _calls(count: int, total: Sums) -> str:
    share = format_percent(Decimal(count) / total.calls)
    return f"{format_count(count)} of {format_count(total.calls)} calls ({share})"


def _names(by_model: Report) -> str:
    """Name the models that have calls without a price, the most frequent first."""
    unpriced = {key[0] or "not known": sums.calls - sums.priced for key, sums in by_model.rows.items()}
    names = sorted((name for name, calls in unpriced.items() if calls), key=lambda name: (-unpriced[name], name))
    if not names:
        return ""
    more = f" and {len(names) - MOST_MODELS} more" if len(names) > MOST_MODELS else ""
    return f", of {', '.join(names[:MOST_MODELS])}{more}"


def _of_expectations(report: FullReport, total: Sums) -> Sequence[str]:
    version = report.freshness.revenue_version
    if not total.has_revenue:
        return ["Expected revenue is unknown: no request has an expected amount, so margin and contribution are too."]
    said = [
        "Expected revenue is an estimate by the revenue assumptions that were in force when a request came in "
        f"(now version {version or 'none'}): what its segment, country and eligibility for ads are assumed to bring."
    ]
    if missing := total.requests - total.expected_known:
        said.append(
            f"For {format_count(missing)} of {format_count(total.requests)} requests nothing was assumed; they count "
            "as earning nothing."
        )
    return said


def _of_bookings(total: Sums, figures: dict[str, object]) -> Sequence[str]:
    if not (total.booked_requests or total.booked_nanousd):
        return ["No network has booked revenue yet: there is no actual revenue to hold the estimate against."]
    counted = f"{format_count(total.booked_requests)} of {format_count(total.requests)} requests"
    gap = Decimal(str(figures["gap_usd"]))
    than = f"{format_usd(abs(gap))} {'more' if gap >= 0 else 'less'}"
    return [
        f"Actual revenue is what networks booked: {format_usd(figures['booked_revenue_usd'])} for {counted}, which is "
        f"{than} than was expected of these. Statements come late, so for the newest days more may follow."
    ]
