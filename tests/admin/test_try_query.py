"""Try a query: what would become of it, and no trace of it anywhere."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from router.admin.auth.secrets import AdminRole
from router.policies import lifecycle
from router.policies.lifecycle import Actor
from router.types import Tier
from tests.admin.operators import Operator, signed_in
from tests.api.service import Service, serving, settings_of

SECRET = "Pumpernickel-4711: is my mole cancer, and how many hours are 312 km at 78 km/h?"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(settings_of(tmp_path)) as found:
        yield found


@pytest.fixture
async def ada(service: Service) -> Operator:
    return await signed_in(service)


async def test_a_query_is_estimated_and_decided_before_and_after_a_version(service: Service, ada: Operator) -> None:
    changes = {"reasoning_threshold": -1.0, "parallel_threshold": 1.5, "max_deep_share": 1.0}
    made = lifecycle.propose(service.engine, changes, service.settings.tiers, Actor("Bea", "", 5))
    assert f"version {made}, proposed" in (await ada.get("try")).text
    found = await ada.told("try", {"text": "Hello there", "version": made, "segment": "default"})
    assert found["decisions"]["today"]["tier"] == "fast"
    assert found["decisions"]["proposed"]["tier"] == "reasoning"
    assert found["decisions"]["proposed"]["reason"] == "above_threshold"
    assert [tier["tier"] for tier in found["quote"]["tiers"]] == [tier.value for tier in Tier]
    assert set(found["lengths"]) == {"fast", "reasoning"}


async def test_the_quote_is_that_of_the_data_plane(service: Service, ada: Operator) -> None:
    found = await ada.told("try", {"text": "How many hours are 312 km at 78 km/h?"})
    asked = {"model": "auto", "messages": [{"role": "user", "content": "How many hours are 312 km at 78 km/h?"}]}
    quoted = (await service.local.post("/v1/quotes", json=asked)).json()
    assert found["quote"]["auto"] == quoted["auto"]
    for shown, told in zip(found["quote"]["tiers"], quoted["tiers"], strict=True):
        # A body is some bytes longer than its messages alone.
        assert float(shown["expected_cost_usd"]) == pytest.approx(float(told["expected_cost_usd"]), rel=0.05)
        assert (shown["tier"], shown["p_correct"], shown["seconds"]) == (
            told["tier"],
            told["p_correct"],
            told["seconds"],
        )


async def test_what_a_query_costs_is_part_of_the_decision_where_costs_count(tmp_path: Path) -> None:
    prices = {"scripted/fast-echo": {"input": 0.05, "output": 0.4}, "scripted/deep": {"input": 1.25, "output": 10}}
    text = "A text: " + "the committee met again. " * 3_000
    async with serving(settings_of(tmp_path, prices=prices)) as service:
        ada, tiers = await signed_in(service), service.settings.tiers
        found = []
        for sensitivity in (1.0, 0.0):
            changes = {"cost_sensitivity": sensitivity}
            made = lifecycle.propose(service.engine, {**changes, "explore": 0.1}, tiers, Actor("Bea", "", 5))
            asked = {"text": "Prove that there are infinitely many primes.", "earlier": [text, "Yes?"], "version": made}
            found.append((await ada.told("try", asked))["decisions"]["proposed"])
    counted, ignored = found
    assert counted["cost_ratio"] == ignored["cost_ratio"] > 1
    assert 0 < counted["worth"] < counted["score"] == ignored["worth"]


async def test_earlier_turns_and_a_system_prompt_are_part_of_it(ada: Operator) -> None:
    short = await ada.told("try", {"text": "ok, do it"})
    earlier = ["Prove that there are infinitely many primes of the form 4n + 3.", "Shall I write out the proof?"]
    told = await ada.told("try", {"text": "ok, do it", "earlier": earlier, "system": "You are a mathematician."})
    assert told["input_tokens"] > short["input_tokens"]
    assert told["estimate"]["score"] != short["estimate"]["score"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "type a query first"),
        ({"text": "   "}, "type a query first"),
        ({"text": 5}, "a text"),
        ({"text": "x" * 100_001}, "100,000"),
        ({"text": "x", "earlier": ["one"]}, "even number"),
        ({"text": "x", "earlier": ["one", " "]}, "number 2"),
        ({"text": "x", "earlier": "one"}, "a list"),
        ({"text": "x", "version": "1"}, "whole number"),
        ({"text": "x", "version": 77}, "no policy version 77"),
        (["x"], "type a query first"),
    ],
)
async def test_what_cannot_be_tried_is_told(ada: Operator, body: Any, message: str) -> None:
    found = await ada.ask("try", body)
    assert found.status_code == 422
    assert message in found.json()["error"]["message"].lower()


async def test_viewers_may_try(service: Service) -> None:
    vic = await signed_in(service, AdminRole.VIEWER)
    assert (await vic.ask("try", {"text": "Hello"})).status_code == 200


def files_with(words: bytes, directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and words in path.read_bytes()]


async def test_nothing_of_it_is_kept_or_logged(
    service: Service, ada: Operator, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    window = service.requests()
    assert (await ada.ask("try", {"text": SECRET, "earlier": [SECRET, SECRET], "system": SECRET})).status_code == 200
    assert (await ada.ask("try", {"text": SECRET, "version": "no"})).status_code == 422
    assert service.requests() == window == []
    assert service.spooled() == 0
    assert "Pumpernickel" not in caplog.text + "".join(capfd.readouterr())
    assert files_with(b"Pumpernickel", tmp_path) == []
    # Nor is it remembered: the same query right after is no regenerate, and the share cap has not seen it.
    answer = await service.local.post(
        "/v1/chat/completions", json={"model": "auto", "messages": [{"role": "user", "content": SECRET}]}
    )
    assert (await service.booked(answer.headers["x-request-id"]))["signal"] is None
