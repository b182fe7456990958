"""What-if: levers move what they name, by the formula they state."""

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.reports.whatif import BUCKETS, Levers, Scenario, TierState, split, steps
from tests.builders.databases import lay_out
from tests.commands.conftest import Command, here, tierwise  # noqa: F401 - fixtures

D = Decimal


def a_tier(queries: int, cost: int) -> TierState:
    tokens = dict.fromkeys(BUCKETS, D(1_000))
    return TierState(D(queries), D(0), tokens, dict.fromkeys(BUCKETS, D(cost) / 5))


BEFORE = Scenario({"fast": a_tier(900, 1_000), "reasoning": a_tier(100, 9_000)}, D(20_000))


def after(**levers: Any) -> Scenario:
    return steps(BEFORE, Levers(**levers))[-1][1]


def test_nothing_changed_is_nothing_to_tell() -> None:
    assert steps(BEFORE, Levers()) == []


@pytest.mark.parametrize(
    ("levers", "cost", "revenue"),
    [
        ({"ecpm": D(2)}, 10_000, 40_000),
        ({"ad_load": D("0.5")}, 10_000, 10_000),
        ({"prices": D("0.5")}, 5_000, 20_000),
        ({"thinking_tokens": D(2)}, 12_000, 20_000),
        ({"input_tokens": D(0)}, 4_000, 20_000),
        ({"deep_share": D("0.05")}, 1_000 * D("0.95") / D("0.9") + 4_500, 20_000),
    ],
)
def test_a_lever_moves_what_it_names(levers: dict[str, Decimal], cost: Decimal, revenue: int) -> None:
    found = after(**levers)
    assert abs(found.cost - cost) < D("1e-9")
    assert found.revenue == revenue


def test_volume_follows_cost_by_the_elasticity() -> None:
    found = after(prices=D("0.25"), elasticity=D("0.5"))
    assert abs(found.queries - 2_000) < D("1e-9")
    assert abs(found.revenue - 40_000) < D("1e-9")


def test_volume_follows_quality_by_its_own_elasticity() -> None:
    better = steps(BEFORE, Levers(deep_share=D("0.2"), quality_elasticity=D(2)), thinner)
    assert better[-1][0].startswith("volume x")
    assert better[-1][1].queries > BEFORE.queries


def test_a_country_mix_moves_revenue_by_what_each_country_earns_a_query() -> None:
    state = replace(BEFORE, countries={"US": (D(500), D(15_000)), "IN": (D(400), D(4_000)), "DE": (D(100), D(1_000))})
    [(name, found)] = steps(state, Levers(countries={"US": D("0.75")}))
    assert name == "countries US 0.75"
    assert found.revenue == 22_500 + 2_000 + 500
    assert found.cost == state.cost
    assert steps(state, Levers(countries={"US": D(0), "IN": D(0)}))[0][1].revenue == 10_000


@dataclass(frozen=True)
class Thinner:
    """The further down the thresholds, the more queries think, dearly."""

    queries: dict[str, float]
    cost: dict[str, float]
    quality: float


def thinner(by: float) -> Thinner:
    more = 2.0 ** (-2 * by)
    return Thinner({"fast": 1.0, "reasoning": more}, {"fast": 1.0, "reasoning": more * 1.1}, 1 - by / 10)


@given(st.decimals("0.03", "0.3", places=3))
def test_replayed_a_deep_share_is_reached_at_what_the_moved_queries_cost(share: Decimal) -> None:
    [(name, found)] = steps(BEFORE, Levers(deep_share=share), thinner)
    assert name == f"deep_share {share}, replayed"
    assert abs((found.deep_share or D(0)) - share) < D("1e-4")
    assert abs(found.queries - BEFORE.queries) < D("1e-9")
    plain = steps(BEFORE, Levers(deep_share=share))[0][1]
    assert abs(found.tiers["reasoning"].cost / plain.tiers["reasoning"].cost - D("1.1")) < D("0.01")


@given(st.decimals(0, 1, places=3))
def test_a_deep_share_is_reached_and_no_query_is_lost(share: Decimal) -> None:
    found = after(deep_share=share)
    assert abs((found.deep_share or D(0)) - share) < D("1e-9")
    assert abs(found.queries - BEFORE.queries) < D("1e-9")


def test_a_cost_is_split_as_prices_weigh_tokens() -> None:
    other, parts = split(100, dict.fromkeys(BUCKETS, 1), {"input_fresh": 1, "output_visible": 3})
    assert [other, parts["input_fresh"], parts["output_visible"]] == [D(0), D(25), D(75)]
    assert split(100, dict.fromkeys(BUCKETS, 1), {})[0] == 100


def test_the_command_on_empty_books_and_with_wrong_numbers(tierwise: Command, here: Path) -> None:  # noqa: F811
    lay_out(f"sqlite:///{here}/var/tierwise.db")
    [row] = json.loads(tierwise("whatif", "--ecpm", "2", "--format", "json").out)[:1]
    assert (row["what"], row["queries"], row["deep_share"]) == ("before", "0", None)
    for wrong in (
        ["--ecpm", "x"],
        ["--deep-share", "1.5"],
        ["--prices", "-1"],
        ["--country", "US=0.6", "--country", "DE=0.6"],
        ["--country", "US=0.6"],
    ):
        assert tierwise("whatif", *wrong).code == 2
