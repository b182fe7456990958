"""Whatever the parallel tier can be told, a served instance can be told: by a setting, a dial, a key or a header."""

import inspect
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from classifier.types import AnswerType
from router.clock import SystemClock
from router.decision.policy import DIALS, Policy
from router.ledger.prices import PriceBook
from router.lineup import Lineup
from router.policies.dials import WrongPolicy, require_fits
from router.settings import ParallelSettings, Settings, WrongSetting, load
from router.tiers.base import TierRequest
from router.tiers.parallel.tier import ParallelOptions, ParallelTier
from tests.tiers.fakes import FakeProvider, a_query, saying, some_calls

# What of the tier's own parameters is said by which key of `[tiers.parallel]`.
SETTINGS = {
    "targets": "models",
    "max_samples": "max_samples",
    "confidence": "confidence",
    "escalation": "escalate_to",
    "confidence_by_type": "confidence_by_type",
    "judges": "judge",
    "at_once": "at_once",
    "at_once_overall": "at_once_overall",
    "sample_timeout_s": "sample_timeout_s",
    "least_wait_s": "least_wait_s",
    "open_samples": "open_samples",
    "token_confidence": "token_confidence",
    "runs_code": "runs_code",
}
BY_PRICES = {"price_ratio"}
OF_THE_CALLS = {"api_base", "api_key", "api_key_env", "effort", "max_thinking_tokens", "timeout_s", "ability"}
OF_THE_CALLS |= {"capabilities", "context_length", "connect_timeout_s", "first_byte_timeout_s", "idle_timeout_s"}
OF_THE_SHADOW = {"coverage_share", "coverage_usd_per_day"}
OF_JOBS = {"batch_window"}
DIALS_OF_REQUESTS = {
    "max_samples": "parallel_samples",
    "confidence": "parallel_confidence",
    "confidence_by_type": "parallel_confidence_by_type",
    "cost_cap_nanousd": "max_cost_usd",
    "pressure": "pacing",
}
OF_THE_REQUEST = set(TierRequest.__struct_fields__) - set(DIALS_OF_REQUESTS)
OTHER = {
    "models": ["openai/gpt-5-nano", "gemini/gemini-2.5-flash-lite"],
    "max_samples": 16,
    "confidence": 0.9,
    "escalate_to": "",
    "confidence_by_type": {"date": 0.99},
    "judge": {"model": "anthropic/claude-haiku-4-5"},
    "at_once": 5,
    "at_once_overall": 7,
    "sample_timeout_s": 30,
    "least_wait_s": 0.5,
    "open_samples": 3,
    "token_confidence": 0.95,
    "runs_code": True,
}


def options_of(**parallel: object) -> ParallelOptions:
    settings = Settings.model_validate({"tiers": {"parallel": parallel}})
    tier = Lineup.of(settings, {}).parallel(settings, PriceBook(), None, SystemClock())
    return tier.settings


def test_every_option_of_the_tier_has_a_key_and_every_key_an_option() -> None:
    assert {field.name for field in fields(ParallelOptions)} == SETTINGS.keys() | BY_PRICES
    assert set(ParallelSettings.model_fields) == {*SETTINGS.values(), *OF_THE_CALLS, *OF_THE_SHADOW, *OF_JOBS}
    assert OTHER.keys() == set(SETTINGS.values())


@pytest.mark.parametrize(("option", "key"), SETTINGS.items())
def test_a_key_reaches_the_tier(option: str, key: str) -> None:
    assert getattr(options_of(**{key: OTHER[key]}), option) != getattr(options_of(), option)


def test_what_a_request_tells_the_tier_is_a_dial() -> None:
    assert set(DIALS_OF_REQUESTS.values()) <= DIALS.keys()
    assert {
        "request_id", "messages", "params", "estimate", "input_bound_tokens", "n", "effort", "max_visible_tokens",
        "max_output_tokens", "explicit", "conversation", "keeps_cache",
    } == OF_THE_REQUEST  # fmt: skip


def test_the_tier_is_built_from_nothing_else() -> None:
    """`tests` are recorded test vectors of programs, which only the bench has."""
    assert set(inspect.signature(ParallelTier.__init__).parameters) == {
        "self", "settings", "checkers", "verifiers", "calibration", "tests", "shadow",
    }  # fmt: skip


async def test_confidence_by_type_asks_more_of_one_type_and_the_policys_comes_first() -> None:
    tier = ParallelTier(ParallelOptions(targets=options_of().targets, confidence_by_type={AnswerType.NUMERIC: 0.99}))
    own = msgspec.structs.replace(a_query(), confidence_by_type={AnswerType.NUMERIC: 0.8})
    taken = []
    for query in (a_query(), own, a_query("Is it?", AnswerType.CHOICE)):
        provider = FakeProvider(
            saying("Answer: yes" if query.estimate.answer_type is AnswerType.CHOICE else "Answer: 7")
        )
        answer = await tier.answer(query, some_calls(provider))
        assert answer.trace
        taken.append((answer.trace["confidence_needed"], answer.trace["valid"]))
    assert taken == [(0.99, 5), (0.8, 2), (0.95, 4)]  # five of eight cannot change any more


@pytest.mark.parametrize("wrong", ["date=1.5", "dates=0.9", "date", "date=0.9;numeric=0.9"])
def test_a_confidence_by_type_that_makes_no_sense_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="parallel_confidence_by_type"):
        Policy(1, parallel_confidence_by_type=wrong)


def test_a_confidence_by_type_that_the_samples_cannot_reach_is_refused(tmp_path: Path) -> None:
    wiring = Settings().tiers
    require_fits(Policy(1, parallel_confidence_by_type="date=0.99"), wiring)
    with pytest.raises(WrongPolicy, match=r"date=0\.9999"):
        require_fits(Policy(1, parallel_confidence_by_type="date=0.9999"), wiring)
    file = tmp_path / "tierwise.toml"
    file.write_text("[tiers.parallel]\nconfidence_by_type = { date = 0.9999 }\n")
    with pytest.raises(WrongSetting, match="date"):
        load(file)
