from typing import Any

import pytest

from router import lineup
from router.lineup import Lineup
from router.providers.base import ModelTarget
from router.providers.catalog import FAMILIES
from router.providers.embedded.client import CONTEXT_TOKENS
from router.settings import CallSettings, ModelSettings, Settings, WrongSetting
from router.types import Tier

KEYS = {"OPENAI_API_KEY": "sk-openai", "GEMINI_API_KEY": "sk-gemini", "MINE": "sk-mine"}


def the_fast(
    environ: dict[str, str] = KEYS, fallbacks: Any = None, models: Any = None, **fast: Any
) -> tuple[ModelTarget, ...]:
    configured: dict[str, Any] = {"tiers": {"fast": fast}, "fallbacks": fallbacks or {}, "models": models or {}}
    settings = Settings(**configured)
    return lineup.with_fallbacks(settings, settings.tiers.fast, environ)


def test_a_providers_key_is_found_in_the_environment() -> None:
    assert the_fast(model="openai/gpt-5-nano")[0].api_key == "sk-openai"
    assert the_fast({}, model="openai/gpt-5-nano")[0].api_key is None


@pytest.mark.parametrize(("family", "variable"), [(n, v) for n, f in FAMILIES.items() for v in f.key_variables])
def test_a_providers_key_is_read_from_its_usual_variables_and_never_goes_to_another_server(
    family: str, variable: str
) -> None:
    environ = {variable: "sk-usual"}
    assert the_fast(environ, model=f"{family}/x")[0].api_key == "sk-usual"
    assert the_fast(environ, model=f"{family}/x", api_base="https://elsewhere.example/v1")[0].api_key is None
    assert the_fast(environ, model="embedded/smollm2")[0].api_key is None


def test_a_configured_key_beats_the_environment() -> None:
    assert the_fast(model="openai/x", api_key="sk-own")[0].api_key == "sk-own"
    assert the_fast(model="openai/x", api_key_env="MINE")[0].api_key == "sk-mine"
    assert the_fast(model="openai/x", api_key_env="ABSENT")[0].api_key is None


def test_a_key_is_not_shown() -> None:
    assert "sk-own" not in repr(the_fast(model="openai/x", api_key="sk-own"))


def test_fallbacks_follow_in_order_each_with_its_own_key() -> None:
    chosen = the_fast(model="openai/a", fallbacks={"openai/a": ["openai/b", "gemini/c"]}, api_key="sk-own")
    assert [(t.name, t.api_key) for t in chosen] == [
        ("openai/a", "sk-own"),
        ("openai/b", "sk-own"),
        ("gemini/c", "sk-gemini"),
    ]


def test_a_fallback_at_the_same_server_is_called_there() -> None:
    base = "https://elsewhere.example/v1"
    chosen = the_fast(model="openai/a", api_base=base, fallbacks={"openai/a": ["openai/b", "gemini/c"]})
    assert [t.api_base for t in chosen] == [base, base, None]


def test_a_fallback_that_is_configured_elsewhere_brings_its_own_settings() -> None:
    models = {"big": {"model": "openai/b", "effort": "high", "timeout_s": 7}}
    fallback = the_fast(model="openai/a", fallbacks={"openai/a": ["openai/b"]}, models=models)[1]
    assert (fallback.effort, fallback.timeout_s) == ("high", 7)


def test_what_is_publicly_known_of_a_model_is_filled_in() -> None:
    known = lineup.complete_target(ModelTarget("openai/gpt-4o-mini"))
    assert known.context_length is not None
    assert known.capabilities is not None
    assert {"images", "tools", "schema"} <= known.capabilities


def test_the_configuration_beats_what_is_publicly_known() -> None:
    told = CallSettings(context_length=100, capabilities=("tools",)).target_of("openai/gpt-4o-mini", {})
    known = lineup.complete_target(told)
    assert known.context_length == 100
    assert known.capabilities == frozenset({"tools"})


def test_of_an_unknown_model_nothing_is_assumed() -> None:
    unknown = lineup.complete_target(ModelTarget("openai/nobody-knows"))
    assert (unknown.context_length, unknown.capabilities) == (None, None)


def test_the_embedded_model_knows_its_small_context() -> None:
    embedded = lineup.complete_target(ModelSettings().target({}))
    assert embedded.context_length == CONTEXT_TOKENS
    assert embedded.max_thinking_tokens == lineup.EMBEDDED_THINKING_TOKENS


def test_every_callable_model_is_named_once() -> None:
    configured: dict[str, Any] = {
        "tiers": {"fast": {"model": "a/x"}, "reasoning": {"model": "a/y"}, "parallel": {"models": ["a/x"]}},
        "models": {"own": {"model": "a/z"}},
        "fallbacks": {"a/x": ["a/w"]},
    }
    every = lineup.all_targets(Settings(**configured), {})
    assert sorted(target.name for target in every) == ["a/w", "a/x", "a/y", "a/z"]


def first_byte_of(**settings: Any) -> dict[str, float]:
    """How long each model has to begin, by its name."""
    every = lineup.all_targets(Settings(**settings), {})
    return {target.name: target.first_byte_timeout_s for target in every}


def test_a_model_has_as_long_to_begin_as_its_place_allows() -> None:
    tiers = {
        "fast": {"model": "openai/a"},
        "reasoning": {"model": "openai/b"},
        "parallel": {"models": ["openai/c"]},
    }
    models = {"d": {"model": "openai/d"}, "e": {"model": "openai/e", "first_byte_timeout_s": 7}}
    expected = {"openai/a": 20, "openai/b": 120, "openai/c": 60, "openai/d": 120, "openai/e": 7}
    assert first_byte_of(tiers=tiers, models=models) == expected


def test_a_model_on_this_machine_may_have_to_be_loaded_first() -> None:
    here = {"model": "hosted_vllm/a", "api_base": "http://127.0.0.1:8000/v1"}
    tiers = {
        "fast": here,
        "reasoning": {"model": "ollama/b"},
        "parallel": {"models": ["ollama/c"], "api_base": "http://10.0.0.7:11434"},
    }
    models = {"d": {**here, "model": "hosted_vllm/d", "first_byte_timeout_s": 7}}
    expected = {"hosted_vllm/a": 80, "ollama/b": 180, "ollama/c": 60, "hosted_vllm/d": 7}
    assert first_byte_of(tiers=tiers, models=models) == expected


def test_a_fallback_has_the_limits_of_whom_it_stands_in_for() -> None:
    tiers = {name: {"model": "openai/a", "first_byte_timeout_s": 5} for name in ("fast", "reasoning")}
    settings = {"tiers": tiers | {"parallel": {"models": ["openai/a"], "first_byte_timeout_s": 5}}}
    found = first_byte_of(**settings, fallbacks={"openai/a": ["openai/b", "ollama/c"]})
    assert found == {"openai/a": 5, "openai/b": 5, "ollama/c": 65}


def test_batches_are_for_models_behind_openais_dialect() -> None:
    def sampled(model: str) -> tuple[ModelTarget, ...]:
        configured: dict[str, Any] = {"tiers": {"parallel": {"models": [model], "batch_window": "24h"}}}
        return Lineup.of(Settings(**configured), KEYS).by_tier[Tier.PARALLEL]

    assert sampled("openai/gpt-5-mini")[0].batch_window == "24h"
    with pytest.raises(WrongSetting, match="batch_window: scripted/solver is not reached"):
        sampled("scripted/solver")
