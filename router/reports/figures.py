"""The standing figures: each defined once, by its formula, which docs/reports.md repeats word for word.

A figure that cannot be known is None with a reason, never zero.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from router.ledger.cells import CallRole
from router.money import NANO_PER_USD, usd_text
from router.reports.costs import Costs
from router.reports.queries import NO_PRICE, NO_REVENUE, Sums, share

TARGET_MARGIN = Decimal("0.30")
FINE = Decimal("0.000000000001")


@dataclass(frozen=True, slots=True)
class Figure:
    """One standing figure: what it is called, its formula, and why it may be unknown."""

    name: str
    title: str
    formula: str
    unknown: str
    group: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What the figures are made of: one window's sums."""

    total: Sums
    by_tier: Mapping[str | None, Sums]
    by_role: Mapping[str | None, Sums]
    costs: Costs
    ecpm_nanousd: int | None


NO_REQUESTS = "no requests in the window"
NOTHING_BOOKED = "nothing was booked"
Value = Callable[[Standing], object]
_FIGURES: dict[str, tuple[Figure, Value]] = {}


def _figure(name: str, title: str, formula: str, unknown: str, group: str) -> Callable[[Value], Value]:
    def register(value: Value) -> Value:
        _FIGURES[name] = (Figure(name, title, formula, unknown, group), value)
        return value

    return register


def definitions() -> list[Figure]:
    """Return every standing figure, in the order of the report."""
    return [figure for figure, _ in _FIGURES.values()]


def values(standing: Standing) -> dict[str, object]:
    """Work every figure out."""
    return {name: value(standing) for name, (_, value) in _FIGURES.items()}


def per_request(nano: int | None, requests: int, times: int = 1) -> str | None:
    """Write an amount per so many requests in dollars, twelve digits after the point."""
    return None if nano is None or not requests else usd(Decimal(nano) * times / requests)


def usd(nano: Decimal) -> str:
    """Write nano-dollars that need not be whole as dollars, twelve digits after the point."""
    return f"{(nano / NANO_PER_USD).quantize(FINE, ROUND_HALF_EVEN):f}"


def ratio(part: Decimal, whole: Decimal) -> str | None:
    """Write a ratio with six digits."""
    return str((part / whole).quantize(Decimal("0.000001"))) if whole else None


def _cost(sums: Sums) -> int | None:
    return sums.cost_nanousd if sums.has_cost else None


def _expectation(sums: Sums) -> int | None:
    return sums.expected_nanousd if sums.has_revenue else None


def _contribution(sums: Sums) -> int | None:
    cost, expected = _cost(sums), _expectation(sums)
    return None if cost is None or expected is None else expected - cost


def actual_margin(total: Sums) -> str | None:
    """Return what is left of revenue, booked where something was; None until something is."""
    known = total.has_cost and total.has_revenue and total.has_bookings
    left = total.revenue_nanousd - total.cost_nanousd
    return ratio(Decimal(left), Decimal(total.revenue_nanousd)) if known else None


def statement_share(total: Sums) -> str | None:
    """Return the share of expected revenue in whose place something was booked."""
    return share(total.replaced_nanousd, total.expected_nanousd) if total.has_revenue else None


def _text(nano: int | None) -> str | None:
    return None if nano is None else usd_text(nano)


MONEY = "Money"


@_figure("cost_usd", "Cost", "sum of the calls' amounts + corrections", NO_PRICE, MONEY)
def _(s: Standing) -> object:
    return _text(_cost(s.total))


@_figure("expected_revenue_usd", "Expected revenue", "sum of what each request was expected to earn", NO_REVENUE, MONEY)
def _(s: Standing) -> object:
    return _text(_expectation(s.total))


@_figure("booked_revenue_usd", "Booked revenue", "sum of revenue events, statements included", NOTHING_BOOKED, MONEY)
def _(s: Standing) -> object:
    return usd_text(s.total.booked_nanousd)


@_figure(
    "gap_usd",
    "Gap",
    "booked revenue - expected revenue of the requests for which something was booked",
    NOTHING_BOOKED,
    MONEY,
)
def _(s: Standing) -> object:
    return usd_text(s.total.booked_nanousd - s.total.replaced_nanousd) if s.total.has_bookings else None


@_figure(
    "revenue_usd",
    "Revenue",
    "expected revenue + gap: booked where something was, expected elsewhere",
    NO_REVENUE,
    MONEY,
)
def _(s: Standing) -> object:
    return _text(s.total.revenue_nanousd if s.total.has_revenue else None)


@_figure("contribution_usd", "Contribution, expected", "expected revenue - cost", NO_PRICE, MONEY)
def _(s: Standing) -> object:
    return _text(_contribution(s.total))


@_figure("actual_contribution_usd", "Contribution, actual", "revenue - cost", NO_PRICE, MONEY)
def _(s: Standing) -> object:
    known = s.total.has_cost and s.total.has_revenue
    return usd_text(s.total.revenue_nanousd - s.total.cost_nanousd) if known else None


@_figure(
    "margin", "Margin, expected", "expected contribution / expected revenue", "nothing is expected to be earned", MONEY
)
def _(s: Standing) -> object:
    left, expected = _contribution(s.total), _expectation(s.total)
    return None if left is None or not expected else ratio(Decimal(left), Decimal(expected))


@_figure(
    "actual_margin",
    "Margin, actual",
    "actual contribution / revenue: what was booked where something was, what is expected elsewhere",
    NOTHING_BOOKED,
    MONEY,
)
def _(s: Standing) -> object:
    return actual_margin(s.total)


@_figure(
    "statement_share",
    "Covered by what was booked",
    "expected revenue of the requests for which something was booked / expected revenue",
    "nothing is expected to be earned",
    MONEY,
)
def _(s: Standing) -> object:
    return statement_share(s.total)


for _what, _title, _of in (
    ("cost", "Cost", _cost),
    ("expected_revenue", "Expected revenue", _expectation),
    ("contribution", "Contribution", _contribution),
):
    for _suffix, _words, _times in (("per_query", "per query", 1), ("per_thousand", "per thousand queries", 1_000)):

        def _per(s: Standing, of: Callable[[Sums], int | None] = _of, times: int = _times) -> object:
            return per_request(of(s.total), s.total.requests, times)

        _formula = f"{_title.lower()} / requests" + (" x 1000" if _times > 1 else "")
        _figure(f"{_what}_{_suffix}_usd", f"{_title} {_words}", _formula, NO_REQUESTS, "Per query")(_per)


for _percent in (50, 95, 99):

    def _quantile(s: Standing, percent: int = _percent) -> object:
        return s.costs.quantile_usd(percent)

    _figure(
        f"cost_p{_percent}_usd",
        f"Cost per query, p{_percent}",
        f"cost that {_percent} % of the wholly priced requests do not exceed, from a histogram with steps of 4.4 %",
        NO_PRICE,
        "Per query",
    )(_quantile)


@_figure("cost_max_usd", "Cost per query, largest", "the dearest wholly priced request, exact", NO_PRICE, "Per query")
def _(s: Standing) -> object:
    return _text(s.total.largest if s.total.largest >= 0 else None)


DEPTH = "Tiers"


@_figure("deep_share", "Deep share", "requests answered by reasoning or parallel / requests", NO_REQUESTS, DEPTH)
def _(s: Standing) -> object:
    return share(s.total.deep, s.total.requests)


@_figure(
    "deep_spend_share",
    "Deep share of spend",
    "cost of requests answered by reasoning or parallel / cost",
    NO_PRICE,
    DEPTH,
)
def _(s: Standing) -> object:
    deep = sum(sums.cost_nanousd for tier, sums in s.by_tier.items() if tier not in ("fast", None))
    return share(deep, s.total.cost_nanousd)


def break_even_share(s: Standing, margin: Decimal = Decimal(0)) -> str | None:
    """Return the deep share at which a margin is left, with each side's cost per query as it is; between 0 and 1."""
    fast = s.by_tier.get("fast")
    deep = [sums for tier, sums in s.by_tier.items() if tier not in ("fast", None) and sums.requests]
    if fast is None or not fast.requests or not deep or not s.total.has_revenue:
        return None
    cheap = Decimal(fast.cost_nanousd) / fast.requests
    dear = Decimal(sum(sums.cost_nanousd for sums in deep)) / sum(sums.requests for sums in deep)
    if dear <= cheap:
        return None
    deep_share = (Decimal(s.total.expected_nanousd) / s.total.requests * (1 - margin) - cheap) / (dear - cheap)
    return str(min(max(deep_share, Decimal(0)), Decimal(1)).quantize(Decimal("0.000001")))


ONE_SIDED = "there are no fast or no deep requests, or deep ones cost no more"


@_figure(
    "break_even_deep_share",
    "Break-even deep share",
    "(expected revenue per query - cost per fast query) / (cost per deep query - cost per fast query), within 0 and 1",
    ONE_SIDED,
    DEPTH,
)
def _(s: Standing) -> object:
    return break_even_share(s)


@_figure(
    "target_deep_share",
    "Deep share at 30 % margin",
    "as the break-even deep share, with expected revenue per query x 0.7",
    ONE_SIDED,
    DEPTH,
)
def _(s: Standing) -> object:
    return break_even_share(s, TARGET_MARGIN)


@_figure(
    "ecpm_usd",
    "eCPM assumed",
    "revenue of a thousand viewed ads in the default segment, of the assumptions in force",
    "there are no assumptions",
    DEPTH,
)
def _(s: Standing) -> object:
    return _text(s.ecpm_nanousd)


@_figure(
    "break_even_ecpm_usd",
    "Break-even eCPM",
    "eCPM assumed x cost / expected revenue: every segment's scaled alike",
    "nothing is expected to be earned",
    DEPTH,
)
def _(s: Standing) -> object:
    if s.ecpm_nanousd is None or not s.total.has_cost or not s.total.expected_nanousd:
        return None
    return usd(Decimal(s.ecpm_nanousd) * s.total.cost_nanousd / s.total.expected_nanousd)


SAVINGS = "Against doing without a router"
SAVING_NEEDS = "no request was answered by that tier"


def always(s: Standing, tier: str) -> Decimal | None:
    """Return what everything would have cost had every query gone to one tier, in nano-dollars."""
    sums = s.by_tier.get(tier)
    if sums is None or not sums.requests or not sums.has_cost:
        return None
    return Decimal(sums.cost_nanousd) / sums.requests * s.total.requests


for _tier in ("fast", "reasoning"):

    def _always(s: Standing, tier: str = _tier) -> object:
        cost = always(s, tier)
        return None if cost is None else usd(cost)

    def _savings(s: Standing, tier: str = _tier) -> object:
        cost = always(s, tier)
        return None if cost is None or not s.total.has_cost else usd(cost - s.total.cost_nanousd)

    _figure(
        f"always_{_tier}_cost_usd",
        f"Cost of always {_tier}",
        f"requests x cost per query answered by {_tier}; assumes that others would cost the same there",
        SAVING_NEEDS,
        SAVINGS,
    )(_always)
    _figure(
        f"saved_against_always_{_tier}_usd",
        f"Saved against always {_tier}",
        f"cost of always {_tier} - cost, every judge, losing sample, shadow, retry and failure counted",
        SAVING_NEEDS,
        SAVINGS,
    )(_savings)


TOKENS = "Tokens"
NO_TOKENS = "no tokens are known"


@_figure("cached_share", "Cached input", "cached input tokens / all input tokens", NO_TOKENS, TOKENS)
def _(s: Standing) -> object:
    t = s.total
    return share(t.input_cached, t.input_fresh + t.input_cached + t.input_cache_write)


@_figure("thinking_share", "Thinking", "thinking tokens / all output tokens", NO_TOKENS, TOKENS)
def _(s: Standing) -> object:
    return share(s.total.output_reasoning, s.total.output_visible + s.total.output_reasoning)


@_figure("tokens_per_usd", "Tokens per dollar", "all input and output tokens / cost", "nothing was spent", TOKENS)
def _(s: Standing) -> object:
    t = s.total
    tokens = t.input_fresh + t.input_cached + t.input_cache_write + t.output_visible + t.output_reasoning
    return str(round(Decimal(tokens) * NANO_PER_USD / t.cost_nanousd)) if t.cost_nanousd > 0 else None


SURE = "How sure"
for _name, _title, _formula, _part in (
    ("unpriced_share", "Unpriced", "calls without a price / calls", lambda t: t.calls - t.priced),
    ("estimated_share", "Estimated", "calls whose tokens we counted ourselves / calls", lambda t: t.estimated),
    ("unknown_share", "Unknown", "calls booked at their upper bound / calls", lambda t: t.unknown),
):

    def _of_calls(s: Standing, part: Callable[[Sums], int] = _part) -> object:
        return share(part(s.total), s.total.calls)

    _figure(_name, _title, _formula, "no calls in the window", SURE)(_of_calls)


@_figure("aborted_share", "Aborted", "requests that the client broke off / requests", NO_REQUESTS, SURE)
def _(s: Standing) -> object:
    return share(s.total.aborted, s.total.requests)


@_figure("overhead_share", "Router's overhead", "cost of all calls that were not the answer / cost", NO_PRICE, SURE)
def _(s: Standing) -> object:
    answer = s.by_role.get(CallRole.ANSWER.name.lower(), Sums())
    return share(s.total.cost_nanousd - answer.cost_nanousd, s.total.cost_nanousd)
