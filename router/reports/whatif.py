"""Pure: what a window would have cost and earned had something been different; one lever after the other.

Costs per tier and token bucket come from the books, prices split them. Which queries change tier with another deep
share, and what they cost there, comes from replayed scores where there are enough; else queries of each tier keep their
average cost. With elasticities e and q, volume follows cost per query and quality:
queries x (cost after / before) ^ -e x (quality after / before) ^ q.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Protocol

BUCKETS = ("input_fresh", "input_cached", "input_cache_write", "output_visible", "output_reasoning")
FAST = "fast"
FARTHEST_MOVE, HALVINGS = 1.5, 24  # of the thresholds, on the scale of scores


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

    def times(self, factor: Decimal, cost_factor: Decimal | None = None) -> "TierState":
        """Return the same with so many times the queries, and so many times the cost where that differs."""
        cost = factor if cost_factor is None else cost_factor
        scaled = [{name: value * cost for name, value in by.items()} for by in (self.tokens, self.costs)]
        return TierState(self.queries * factor, self.other_cost * cost, *scaled)


@dataclass(frozen=True, slots=True)
class Scenario:
    """The whole window: tiers, what it is expected to earn, and its quality as a factor on what it was.

    `countries` has queries and expected revenue by country.
    """

    tiers: Mapping[str, TierState]
    revenue: Decimal
    countries: Mapping[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    quality: Decimal = Decimal(1)

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
    countries: Mapping[str, Decimal] = field(default_factory=dict)
    deep_share: Decimal | None = None
    elasticity: Decimal = Decimal(0)
    quality_elasticity: Decimal = Decimal(0)


class Moving(Protocol):
    """What moving the thresholds by some distance does: factors on each tier's queries and cost, and on quality."""

    @property
    def queries(self) -> Mapping[str, float]: ...
    @property
    def cost(self) -> Mapping[str, float]: ...
    @property
    def quality(self) -> float: ...


Replay = Callable[[float], Moving]


def steps(before: Scenario, levers: Levers, replay: Replay | None = None) -> list[tuple[str, Scenario]]:
    """Apply the levers in order; each entry is what moved and the state after it."""
    states: list[tuple[str, Scenario]] = []
    at = before
    for name in ("ecpm", "ad_load"):
        if (factor := getattr(levers, name)) is not None:
            at = replace(at, revenue=at.revenue * factor)
            states.append((f"{name} x {factor}", at))
    for name, buckets in (
        ("input_tokens", BUCKETS[:3]),
        ("output_tokens", BUCKETS[3:4]),
        ("thinking_tokens", BUCKETS[4:]),
        ("prices", BUCKETS),
    ):
        if (factor := getattr(levers, name)) is not None:
            at = replace(at, tiers={t: _scale_buckets(s, buckets, factor, name) for t, s in at.tiers.items()})
            states.append((f"{name} x {factor}", at))
    if levers.cache_rate is not None:
        at = replace(at, tiers={t: _cache_input(s, levers.cache_rate) for t, s in at.tiers.items()})
        states.append((f"cache_rate {levers.cache_rate}", at))
    if levers.countries:
        at = _mix_countries(at, levers.countries)
        states.append(("countries " + ", ".join(f"{c} {share}" for c, share in levers.countries.items()), at))
    if levers.deep_share is not None:
        name = "replayed" if replay is not None else "at average cost"
        at = (
            _move_deep_share(at, levers.deep_share)
            if replay is None
            else _replay_to_share(at, levers.deep_share, replay)
        )
        states.append((f"deep_share {levers.deep_share}, {name}", at))
    factor = _demand(before, at, levers)
    if factor != 1:
        at = replace(at, tiers={t: s.times(factor) for t, s in at.tiers.items()}, revenue=at.revenue * factor)
        states.append((f"volume x {factor:.4f}", at))
    return states


def _demand(before: Scenario, after: Scenario, levers: Levers) -> Decimal:
    """Tell how volume answers: with more where a query got cheaper or better."""
    factor = after.quality**levers.quality_elasticity
    if levers.elasticity and before.cost and before.queries and after.cost:
        factor *= ((after.cost / after.queries) / (before.cost / before.queries)) ** -levers.elasticity
    return factor


def _mix_countries(state: Scenario, wanted: Mapping[str, Decimal]) -> Scenario:
    """Give countries other shares of the queries; the rest keep theirs among themselves, each its revenue a query."""
    total = sum((queries for queries, _ in state.countries.values()), Decimal(0))
    rest = sum((queries for name, (queries, _) in state.countries.items() if name not in wanted), Decimal(0))
    if not total or not state.revenue:
        return state
    left = 1 - sum(wanted.values(), Decimal(0))
    before = after = Decimal(0)
    for name, (queries, revenue) in state.countries.items():
        if not queries:
            continue
        share = wanted[name] if name in wanted else left * queries / rest if rest else Decimal(0)
        before += revenue / total
        after += revenue / queries * share
    return replace(state, revenue=state.revenue * after / before) if before else state


def split(cost: int, tokens: Mapping[str, int], rates: Mapping[str, int]) -> tuple[Decimal, dict[str, Decimal]]:
    """Split a cost over the buckets as today's prices weigh them; without a price nothing is explained."""
    weights = {name: Decimal(tokens[name]) * rates.get(name, 0) for name in BUCKETS}
    total = sum(weights.values(), Decimal(0))
    if not total:
        return Decimal(cost), dict.fromkeys(BUCKETS, Decimal(0))
    return Decimal(0), {name: cost * weight / total for name, weight in weights.items()}


def _scale_buckets(state: TierState, buckets: Sequence[str], factor: Decimal, lever: str) -> TierState:
    costs = {name: value * factor if name in buckets else value for name, value in state.costs.items()}
    if lever == "prices":
        return replace(state, costs=costs, other_cost=state.other_cost * factor)
    tokens = {name: value * factor if name in buckets else value for name, value in state.tokens.items()}
    return replace(state, costs=costs, tokens=tokens)


def _cache_input(state: TierState, rate: Decimal) -> TierState:
    """Let so large a share of fresh and cached input be cached, at what each costs a token now."""
    fresh, cached = (state.tokens[name] for name in BUCKETS[:2])
    if not fresh or not cached:
        return state
    each = [state.costs[name] / state.tokens[name] for name in BUCKETS[:2]]
    tokens = {BUCKETS[0]: (fresh + cached) * (1 - rate), BUCKETS[1]: (fresh + cached) * rate}
    costs = {name: tokens[name] * price for name, price in zip(BUCKETS[:2], each, strict=True)}
    return replace(state, tokens={**state.tokens, **tokens}, costs={**state.costs, **costs})


def _replay_to_share(state: Scenario, share: Decimal, replay: Replay) -> Scenario:
    """Move the thresholds until so large a share goes deep; as near as they can bring it."""

    def move(by: float) -> Scenario:
        change = replay(by)
        one = {name: Decimal(repr(change.queries.get(name, 1.0))) for name in state.tiers}
        cost = {name: Decimal(repr(change.cost.get(name, 1.0))) for name in state.tiers}
        tiers = {name: tier.times(one[name], cost[name]) for name, tier in state.tiers.items()}
        # Shares are of the replayed requests; here the number of queries must stay what it is.
        scale = state.queries / sum((tier.queries for tier in tiers.values()), Decimal(0))
        quality = state.quality * Decimal(repr(change.quality))
        return replace(state, tiers={n: t.times(scale) for n, t in tiers.items()}, quality=quality)

    low, high = -FARTHEST_MOVE, FARTHEST_MOVE
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if (move(middle).deep_share or Decimal(0)) > share:
            low = middle
        else:
            high = middle
    return move(high)


def _move_deep_share(state: Scenario, share: Decimal) -> Scenario:
    """Move queries between fast and the deep tiers, which keep their proportions."""
    now = state.deep_share
    fast = state.tiers.get(FAST)
    if not now or now == 1 or fast is None:
        return state
    factors = {name: (1 - share) / (1 - now) if name == FAST else share / now for name in state.tiers}
    return replace(state, tiers={name: tier.times(factors[name]) for name, tier in state.tiers.items()})
