"""Providers that hang, drip or are dead behind a served instance; `scripts/faults` holds them to the second."""

from pathlib import Path

import pytest

from router.errors import Cause
from scripts.benchmarks.faults.breakers import breakers
from scripts.benchmarks.faults.deadlines import deadlines


async def test_each_phase_ends_in_its_own_cause_and_the_client_is_told(tmp_path: Path) -> None:
    found = await deadlines(tmp_path / "instance", ("hang", "comments", "pause", "drip", "slow-body"))
    told = {ending.name: (ending.cause, ending.told) for ending in found}
    assert told == {
        "hang": (Cause.TIMEOUT_FIRST_BYTE, "HTTP 504"),
        "comments": (Cause.TIMEOUT_FIRST_BYTE, "HTTP 504"),
        "pause": (Cause.TIMEOUT_IDLE, "an error event"),
        "drip": (Cause.TIMEOUT_TOTAL, "an error event"),
        "slow-body": (Cause.TIMEOUT_TOTAL, "HTTP 504"),
    }


@pytest.mark.parametrize("is_dead", [True, False])
async def test_a_primary_that_does_not_answer_is_soon_asked_no_more(tmp_path: Path, is_dead: bool) -> None:
    found = await breakers(tmp_path / "instance", is_dead=is_dead)
    assert found.failed == 0
    assert found.still_asked <= 0.02
    assert found.amplification <= 1.1
