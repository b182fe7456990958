"""Pure: what a window would have cost and earned had something been different; one lever after the other.

Costs per tier and token bucket come from the books, prices split them; queries that change tier cost what that tier's
queries cost on average. With an elasticity e, volume follows cost per query: queries x (after / before) ^ -e.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

BUCKETS = ("input_fresh", "input_cached", "input_cache_write", "output_visible", "output_reasoning")
FAST = "fast"


@dataclass(frozen=True, slots=True)
class TierState:
    """One tier: queries, cost in nano-dollars that no token explains, and tokens with their cost, by bucket."""

    queries: Decimal
    other_cost: Decimal
    tokens: Mapping[str, Decimal]
    costs: Mapping[str, Decimal]

    @property
    def cost(self) -> Decimal:
        """Everything it costs."""
        return self.other_cost + sum(self.costs.values(), Decimal(0))

    def times(self, factor: Decimal) -> "TierState":
        """The same with so many times the queries."""
        scaled = [{name: value * factor for name, value in by.items()} for by in (self.tokens, self.costs)]
        return TierState(self.queries * factor, self.other_cost * factor, *scaled)


@dataclass(frozen=True, slots=True)
class State:
    """The whole window: tiers, and what it is expected to earn."""

    tiers: Mapping[str, TierState]
    revenue: Decimal

    @property
    def queries(self) -> Decimal:
        """All queries."""
        return sum((tier.queries for tier in self.tiers.values()), Decimal(0))

    @property
    def cost(self) -> Decimal:
        """All cost, in nano-dollars."""
        return sum((tier.cost for tier in self.tiers.values()), Decimal(0))

    @property
    def contribution(self) -> Decimal:
        """Revenue less cost."""
        return self.revenue - self.cost

    @property
    def deep_share(self) -> Decimal | None:
        """Share of queries beyond fast."""
        deep = sum((tier.queries for name, tier in self.tiers.items() if name != FAST), Decimal(0))
        return deep / self.queries if self.queries else None


@dataclass(frozen=True, slots=True)
class Levers:
    """What is different: factors on what is, shares in place of what is; None leaves it."""

    ecpm: Decimal | None = None
    ad_load: Decimal | None = None
    prices: Decimal | None = None
    input_tokens: Decimal | None = None
    output_tokens: Decimal | None = None
    thinking_tokens: Decimal | None = None
    cache_rate: Decimal | None = None
    deep_share: Decimal | None = None
    elasticity: Decimal = Decimal(0)


def steps(before: State, levers: Levers) -> list[tuple[str, State]]:
    """Apply the levers in order; each entry is what moved and the state after it."""
    found: list[tuple[str, State]] = []
    at = before
    for name in ("ecpm", "ad_load"):
        if (factor := getattr(levers, name)) is not None:
            at = replace(at, revenue=at.revenue * factor)
            found.append((f"{name} x {factor}", at))
    for name, buckets in (
        ("input_tokens", BUCKETS[:3]),
        ("output_tokens", BUCKETS[3:4]),
        ("thinking_tokens", BUCKETS[4:]),
        ("prices", BUCKETS),
    ):
        if (factor := getattr(levers, name)) is not None:
            at = replace(at, tiers={t: _scaled(s, buckets, factor, name) for t, s in at.tiers.items()})
            found.append((f"{name} x {factor}", at))
    if levers.cache_rate is not None:
        at = replace(at, tiers={t: _cached(s, levers.cache_rate) for t, s in at.tiers.items()})
        found.append((f"cache_rate {levers.cache_rate}", at))
    if levers.deep_share is not None:
        at = _deep(at, levers.deep_share)
        found.append((f"deep_share {levers.deep_share}", at))
    if levers.elasticity and before.cost and before.queries and at.cost:
        cheaper = (at.cost / at.queries) / (before.cost / before.queries)
        factor = cheaper**-levers.elasticity
        at = State({t: s.times(factor) for t, s in at.tiers.items()}, at.revenue * factor)
        found.append((f"volume x {factor:.4f}", at))
    return found


def split(cost: int, tokens: Mapping[str, int], rates: Mapping[str, int]) -> tuple[Decimal, dict[str, Decimal]]:
    """Split a cost over the buckets as today's prices weigh them; without a price nothing is explained."""
    weights = {name: Decimal(tokens[name]) * rates.get(name, 0) for name in BUCKETS}
    total = sum(weights.values(), Decimal(0))
    if not total:
        return Decimal(cost), dict.fromkeys(BUCKETS, Decimal(0))
    return Decimal(0), {name: cost * weight / total for name, weight in weights.items()}


def _scaled(state: TierState, buckets: Sequence[str], factor: Decimal, lever: str) -> TierState:
    costs = {name: value * factor if name in buckets else value for name, value in state.costs.items()}
    if lever == "prices":
        return replace(state, costs=costs, other_cost=state.other_cost * factor)
    tokens = {name: value * factor if name in buckets else value for name, value in state.tokens.items()}
    return replace(state, costs=costs, tokens=tokens)


def _cached(state: TierState, rate: Decimal) -> TierState:
    """Let so large a share of fresh and cached input be cached, at what each costs a token now."""
    fresh, cached = (state.tokens[name] for name in BUCKETS[:2])
    if not fresh or not cached:
        return state
    each = [state.costs[name] / state.tokens[name] for name in BUCKETS[:2]]
    tokens = {BUCKETS[0]: (fresh + cached) * (1 - rate), BUCKETS[1]: (fresh + cached) * rate}
    costs = {name: tokens[name] * price for name, price in zip(BUCKETS[:2], each, strict=True)}
    return replace(state, tokens={**state.tokens, **tokens}, costs={**state.costs, **costs})


def _deep(state: State, share: Decimal) -> State:
    """Move queries between fast and the deep tiers, which keep their proportions."""
    now = state.deep_share
    fast = state.tiers.get(FAST)
    if not now or now == 1 or fast is None:
        return state
    factors = {name: (1 - share) / (1 - now) if name == FAST else share / now for name in state.tiers}
    return replace(state, tiers={name: tier.times(factors[name]) for name, tier in state.tiers.items()})
