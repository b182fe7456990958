"""Predictions are kept with their version and held against what it did."""

import math
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from classifier.types import Interval
from router.policies import lifecycle
from router.policies.dials import WrongPolicy
from router.policies.lifecycle import Actor
from router.reports.window import Window
from router.settings import TierSettings
from router.tuning import backtest, off_policy, predictions
from router.tuning.backtest import Backtest
from router.tuning.traffic import Traffic
from tests.builders.databases import open_books
from tests.builders.traffics import LOGGED, a_world, store

BEFORE_MS, AFTER_MS = 1_700_000_000_000, 1_700_100_000_000
TIERS = TierSettings()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_books(f"sqlite:///{tmp_path}/books.db")


def proposed(engine: Engine, traffic: Traffic) -> int:
    """A version that was back-tested on past traffic, and comes into force later."""
    by = Actor("ada", "", BEFORE_MS * 1_000)
    version = lifecycle.propose(engine, {"explore": 0.06, "max_deep_share": 0.5}, TIERS, by)
    chances = backtest.replay(traffic, LOGGED)
    figures, quality = Backtest(traffic).figures(chances), off_policy.quality(traffic, chances)
    window = Window(1, None, UTC)
    predictions.keep(engine, version, "backtest", figures, quality, window, len(traffic), by.now_us)
    return version


def activate(engine: Engine, version: int) -> None:
    lifecycle.activate(engine, version, TIERS, Actor("ada", "", AFTER_MS * 1_000))


def test_what_came_as_predicted_is_said_to_have(engine: Engine) -> None:
    past = a_world(3_000, 1).traffic
    version = proposed(engine, past)
    activate(engine, version)
    store(engine, a_world(3_000, 2).traffic, AFTER_MS + 1, version=version)
    found = predictions.read_realised(engine, version)
    assert (found.requests, found.since_us) == (3_000, AFTER_MS * 1_000)
    assert found.predicted is not None
    assert found.predicted.made_by == "backtest"
    outside = [each.figure for each in found.figures if each.is_outside]
    assert len(outside) <= 1  # of eleven, at 95 %
    cost = next(each for each in found.figures if each.figure == "cost_usd_per_1k")
    assert cost.realised.low < cost.predicted.value < cost.realised.high


def test_what_came_otherwise_is_flagged(engine: Engine) -> None:
    past = a_world(3_000, 1).traffic
    version = proposed(engine, past)
    activate(engine, version)
    dearer = a_world(3_000, 2).traffic
    store(engine, replace(dearer, cost_usd=2 * dearer.cost_usd), AFTER_MS + 1, version=version)
    flags = {each.figure: each.is_outside for each in predictions.read_realised(engine, version).figures}
    assert flags["cost_usd_per_1k"] is True
    assert flags["deep_share"] is False
    assert flags["first_byte_mean_s"] is None


def test_only_what_it_decided_since_it_came_into_force_counts(engine: Engine) -> None:
    version = proposed(engine, a_world(400, 1).traffic)
    store(engine, a_world(50, 3).traffic, BEFORE_MS, version=version)  # as a canary
    activate(engine, version)
    store(engine, a_world(60, 2).traffic, AFTER_MS + 1, version=version)
    store(engine, a_world(70, 4).traffic, AFTER_MS + 10**7, version=version + 1)
    assert predictions.read_realised(engine, version).requests == 60


def test_a_version_without_prediction_shows_what_it_did(engine: Engine) -> None:
    version = lifecycle.propose(engine, {"explore": 0.06}, TIERS, Actor("ada", "", BEFORE_MS * 1_000))
    activate(engine, version)
    store(engine, a_world(60, 2).traffic, AFTER_MS + 1, version=version)
    found = predictions.read_realised(engine, version)
    assert found.predicted is None
    assert {each.is_outside for each in found.figures} == {None}


def test_what_was_never_in_force_or_decided_nothing_has_not_done_anything(engine: Engine) -> None:
    version = proposed(engine, a_world(400, 1).traffic)
    with pytest.raises(WrongPolicy, match="never been in force"):
        predictions.read_realised(engine, version)
    activate(engine, version)
    with pytest.raises(WrongPolicy, match="no query"):
        predictions.read_realised(engine, version)


def test_a_prediction_of_a_segment_is_held_against_that_segment(engine: Engine) -> None:
    version = proposed(engine, a_world(400, 1).traffic)
    nothing = off_policy.quality(a_world(10, 1, rated=0.0).traffic, np.eye(3)[[0] * 10])
    figures = {"cost_usd_per_1k": Interval(1.0, 0.9, 1.1, 0.05), "margin": Interval(math.nan, math.nan, math.nan, 0.0)}
    predictions.keep(engine, version, "solve", figures, nothing, Window(1, None, UTC), 10, 7, "plus")
    activate(engine, version)
    traffic = a_world(400, 2).traffic
    store(engine, traffic, AFTER_MS + 1, version=version)
    found = predictions.read_realised(engine, version)
    assert found.requests == (traffic.segments == traffic.segment_names.index("plus")).sum()
    assert {each.figure: each.is_outside for each in found.figures}["margin"] is None
