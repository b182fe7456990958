"""What was not observed is predicted from requests like it, with an uncertainty that is honest."""

from dataclasses import replace

import numpy as np
import pytest

from router.tuning.counterfactual import MISFIT, Counterfactual, design_of
from router.tuning.resampling import Resampling
from router.tuning.traffic import REASONING, TIERS, Floats, Traffic
from tests.builders.traffics import LOGGED, a_world


def steep(count: int, seed: int) -> tuple[Traffic, Floats]:
    """Traffic whose cost in the reasoning tier grows with the score and the prompt; and that cost for every request."""
    dice = np.random.default_rng(seed)
    traffic = a_world(count, seed, replace(LOGGED, max_deep_share=1.0)).traffic
    tokens = dice.lognormal(6, 1, count)
    true = 2e-3 * np.exp(6 * traffic.scores) * (tokens / 400) ** 0.5
    noisy = true * dice.lognormal(-0.08, 0.4, count)
    cost = np.where(traffic.tiers == REASONING, noisy, traffic.cost_usd)
    return replace(traffic, cost_usd=cost, input_tokens=tokens), true


def modelled(traffic: Traffic) -> Counterfactual:
    return Counterfactual(traffic, design_of(traffic), traffic.cost_usd, Resampling(len(traffic), 1, 200))


def all_in(traffic: Traffic, rows: np.ndarray, place: int = REASONING) -> Floats:
    return np.where(rows[:, None], np.eye(len(TIERS))[place], 0.0)


@pytest.mark.slow
def test_what_moves_across_the_threshold_costs_what_it_costs_and_not_the_mean_of_its_tier() -> None:
    off, missed, naive = [], 0, []
    for seed in range(20):
        traffic, true = steep(6_000, seed)
        moved = (traffic.scores >= 0.2) & (traffic.scores < 0.3)
        total = modelled(traffic).totals(all_in(traffic, moved), moved)
        off.append(total[0] / true[moved].sum() - 1)
        naive.append(traffic.cost_usd[traffic.tiers == REASONING].mean() / true[moved].mean() - 1)
        missed += abs(total[0] - true[moved].sum()) > 2.5 * total[1:].std()
    assert np.mean(naive) > 0.2
    assert abs(np.mean(off)) < np.mean(naive) / 3
    assert missed <= 2


def test_amounts_add_up_to_what_was_observed() -> None:
    traffic, _ = steep(4_000, 1)
    rows = traffic.tiers == REASONING
    expected = modelled(traffic).expected[rows, REASONING]
    assert expected.sum() == pytest.approx(traffic.cost_usd[rows].sum(), rel=0.01)
    assert (expected > 0).all()


def test_no_number_of_requests_makes_a_tier_sure_of_what_it_has_not_seen() -> None:
    traffic, _ = steep(20_000, 1)
    model, below = modelled(traffic), traffic.scores < 0.2
    moved, stayed = all_in(traffic, below), np.eye(len(TIERS))[traffic.tiers]
    unseen, seen = (model.totals(chances, np.ones(len(traffic), bool)) for chances in (moved, stayed))
    assert unseen[1:].std() / unseen[0] >= 0.9 * MISFIT
    assert seen[1:].std() / seen[0] < MISFIT / 2


def test_a_tier_that_hardly_anyone_took_is_not_known() -> None:
    traffic, _ = steep(500, 1)
    nobody = replace(traffic, cost_usd=np.where(traffic.tiers == REASONING, np.nan, traffic.cost_usd))
    rows = np.ones(500, bool)
    assert np.isnan(modelled(nobody).totals(all_in(traffic, rows), rows)).all()
    assert np.isnan(modelled(nobody).expected[:, REASONING]).all()


def test_what_nothing_is_known_of_is_no_column() -> None:
    traffic = a_world(200).traffic
    design = design_of(traffic)
    assert np.isfinite(design).all()
    np.testing.assert_allclose(design[:, 1:].mean(axis=0), 0.0, atol=1e-9)
    assert design_of(replace(traffic, input_tokens=np.arange(200.0))).shape[1] == design.shape[1] + 2
