"""A canary on a served instance: what goes wrong ends by itself, also when the worker dies in between."""

import asyncio
from pathlib import Path

from router.policies.canary_lifecycle import CanaryState
from scripts.benchmarks.canary.live import Scenario, live


def test_a_canary_that_costs_too_much_is_rolled_back_although_the_worker_is_killed(tmp_path: Path) -> None:
    scenario = Scenario("killed", price_usd=40.0, is_killed=True, pause_s=0.2)
    lived = asyncio.run(live(tmp_path / "served", scenario))
    assert lived.state is CanaryState.ROLLED_BACK
    assert lived.verdict.startswith("margin -")
    assert lived.late_s is not None  # how late that may be is held to by `scripts/bench_canary --live`
