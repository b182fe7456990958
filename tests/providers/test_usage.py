"""Golden usage, one per family and oddity: what providers send, and what it means."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.providers.base import Metered
from router.providers.usage import later, normalise
from router.types import Precision, Usage

GOLDEN: dict[str, tuple[dict[str, Any], Usage]] = {
    "openai: cached inside the prompt, thinking inside the completion": (
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 192,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        Usage(input_fresh=86, input_cached=1920, output_visible=108, output_reasoning=192),
    ),
    "openai: cache writes inside the prompt": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 50},
        },
        Usage(input_fresh=10, input_cached=40, input_cache_write=50, output_visible=5),
    ),
    "openai: audio and image tokens are input like any other": (
        {
            "prompt_tokens": 900,
            "completion_tokens": 60,
            "prompt_tokens_details": {"audio_tokens": 100, "image_tokens": 765, "text_tokens": 35},
            "completion_tokens_details": {"audio_tokens": 40, "text_tokens": 20},
        },
        Usage(input_fresh=900, output_visible=60),
    ),
    "openai responses": (
        {
            "input_tokens": 50,
            "input_tokens_details": {"cached_tokens": 20},
            "output_tokens": 30,
            "output_tokens_details": {"reasoning_tokens": 25},
            "total_tokens": 80,
        },
        Usage(input_fresh=30, input_cached=20, output_visible=5, output_reasoning=25),
    ),
    "anthropic: cached and written beside the input": (
        {
            "input_tokens": 12,
            "cache_read_input_tokens": 1800,
            "cache_creation_input_tokens": 200,
            "output_tokens": 90,
            "service_tier": "standard",
        },
        Usage(input_fresh=12, input_cached=1800, input_cache_write=200, output_visible=90),
    ),
    "anthropic through litellm: everything inside the prompt": (
        {
            "prompt_tokens": 2012,
            "completion_tokens": 90,
            "total_tokens": 2102,
            "prompt_tokens_details": {"cached_tokens": 1800, "cache_creation_tokens": 200},
            "cache_read_input_tokens": 1800,
            "cache_creation_input_tokens": 200,
        },
        Usage(input_fresh=12, input_cached=1800, input_cache_write=200, output_visible=90),
    ),
    "gemini: thoughts and tool prompts stand beside": (
        {
            "promptTokenCount": 40,
            "cachedContentTokenCount": 16,
            "toolUsePromptTokenCount": 5,
            "candidatesTokenCount": 3,
            "thoughtsTokenCount": 20,
            "totalTokenCount": 68,
            "promptTokensDetails": [{"modality": "IMAGE", "tokenCount": 30}],
        },
        Usage(input_fresh=29, input_cached=16, output_visible=3, output_reasoning=20),
    ),
    "gemini in openai's dialect: thoughts only in the total": (
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115},
        Usage(input_fresh=10, output_visible=5, output_reasoning=100),
    ),
    "deepseek: hits and misses": (
        {
            "prompt_tokens": 70,
            "completion_tokens": 40,
            "total_tokens": 110,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 6,
            "completion_tokens_details": {"reasoning_tokens": 30},
        },
        Usage(input_fresh=6, input_cached=64, output_visible=10, output_reasoning=30),
    ),
    "xai: thinking beside the completion": (
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 246,
            "completion_tokens_details": {"reasoning_tokens": 205},
        },
        Usage(input_fresh=32, output_visible=9, output_reasoning=205),
    ),
    "ollama: native": (
        {"prompt_eval_count": 26, "eval_count": 290, "eval_duration": 4_709_213_000},
        Usage(input_fresh=26, output_visible=290),
    ),
    "bedrock: cached beside the input": (
        {
            "inputTokens": 10,
            "outputTokens": 4,
            "totalTokens": 34,
            "cacheReadInputTokens": 15,
            "cacheWriteInputTokens": 5,
        },
        Usage(input_fresh=10, input_cached=15, input_cache_write=5, output_visible=4),
    ),
    "moonshot, together, zhipu: cached at the top": (
        {"prompt_tokens": 29_534, "completion_tokens": 10, "total_tokens": 29_544, "cached_tokens": 29_000},
        Usage(input_fresh=534, input_cached=29_000, output_visible=10),
    ),
    "mistral: cached under a name of its own": (
        {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "num_cached_tokens": 64},
        Usage(input_fresh=36, input_cached=64, output_visible=5),
    ),
    "claude behind a gateway: the total tells that cached stands beside": (
        {
            "prompt_tokens": 12,
            "completion_tokens": 40,
            "total_tokens": 2_547,
            "prompt_tokens_details": {"cached_tokens": 2_495},
        },
        Usage(input_fresh=12, input_cached=2_495, output_visible=40),
    ),
    "claude behind a gateway: reads and writes beside": (
        {
            "prompt_tokens": 3_000,
            "completion_tokens": 40,
            "total_tokens": 3_340,
            "cache_read_input_tokens": 200,
            "cache_creation_input_tokens": 100,
        },
        Usage(input_fresh=3_000, input_cached=200, input_cache_write=100, output_visible=40),
    ),
    "a total that leaves cached input out": (
        {
            "prompt_tokens": 2_012,
            "completion_tokens": 90,
            "total_tokens": 302,
            "prompt_tokens_details": {"cached_tokens": 1_800},
        },
        Usage(input_fresh=212, input_cached=1_800, output_visible=90),
    ),
    "counts as text": (
        {"prompt_tokens": "12", "completion_tokens": "5", "total_tokens": "17"},
        Usage(input_fresh=12, output_visible=5),
    ),
    "perplexity: thinking at the top": (
        {"prompt_tokens": 9, "completion_tokens": 50, "total_tokens": 59, "reasoning_tokens": 30},
        Usage(input_fresh=9, output_visible=20, output_reasoning=30),
    ),
    "names in camel case": (
        {"promptTokens": 9, "completionTokens": 50, "totalTokens": 59},
        Usage(input_fresh=9, output_visible=50),
    ),
    "llama.cpp: timings": (
        {"cache_n": 236, "prompt_n": 4, "prompt_ms": 30.9, "predicted_n": 35, "predicted_ms": 661.0},
        Usage(input_fresh=4, input_cached=236, output_visible=35),
    ),
    "an explicit zero stays zero": ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, Usage()),
}


@pytest.mark.parametrize(("raw", "usage"), GOLDEN.values(), ids=GOLDEN.keys())
def test_each_family_means_what_it_means(raw: dict[str, Any], usage: Usage) -> None:
    metered = normalise(raw)
    assert metered is not None
    assert metered.usage == usage
    assert metered.precision is Precision.EXACT
    assert metered.raw == raw


NONSENSE: dict[str, tuple[dict[str, Any], Usage]] = {
    "negative": ({"prompt_tokens": -3, "completion_tokens": 5}, Usage(output_visible=5)),
    "more cached than there is": (
        {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 30}},
        Usage(input_cached=10, output_visible=5),
    ),
    "more thinking than output": (
        {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 9}},
        Usage(input_fresh=10, output_reasoning=5),
    ),
    "one side missing": ({"prompt_tokens": 10}, Usage(input_fresh=10)),
    "words": ({"prompt_tokens": "many", "completion_tokens": 5}, Usage(output_visible=5)),
    "a truth value": ({"prompt_tokens": True, "completion_tokens": 5}, Usage(output_visible=5)),
    "half a token": ({"prompt_tokens": 1.5, "completion_tokens": 5}, Usage(output_visible=5)),
    "a total below its parts": (
        {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 7},
        Usage(input_fresh=100, output_visible=50),
    ),
    "beyond measure": ({"prompt_tokens": 1e30, "completion_tokens": 5}, Usage(output_visible=5)),
}


@pytest.mark.parametrize(("raw", "usage"), NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_clamped_and_flagged(raw: dict[str, Any], usage: Usage) -> None:
    metered = normalise(raw)
    assert metered is not None
    assert metered.usage == usage
    assert metered.precision is Precision.ESTIMATED


@pytest.mark.parametrize("raw", [None, {}, {"cost": 0.1}])
def test_no_usage_is_none_and_never_zero(raw: dict[str, Any] | None) -> None:
    assert normalise(raw) is None


COUNTS = st.one_of(st.integers(-10, 2000), st.none(), st.floats(allow_nan=True), st.text(max_size=3), st.booleans())
KEYS = (
    "prompt_tokens completion_tokens total_tokens input_tokens output_tokens cache_read_input_tokens reasoning_tokens"
    " inputTokens outputTokens promptTokenCount thoughtsTokenCount cachedContentTokenCount eval_count"
)
DETAILS = st.dictionaries(st.sampled_from(["cached_tokens", "reasoning_tokens", "cache_write_tokens"]), COUNTS)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(KEYS.split()), COUNTS),
    st.dictionaries(
        st.sampled_from(["prompt_tokens_details", "completion_tokens_details"]), st.one_of(DETAILS, st.none())
    ),
)
def test_whatever_comes_no_bucket_is_negative(raw: dict[str, Any], details: dict[str, Any]) -> None:
    metered = normalise({**raw, **details})
    if metered is not None:
        usage = metered.usage
        buckets = (usage.input_fresh, usage.input_cached, usage.input_cache_write, usage.output_visible)
        assert min(*buckets, usage.output_reasoning) >= 0
        assert all(isinstance(bucket, int) for bucket in buckets)


def metered(tokens: int, precision: Precision = Precision.EXACT) -> Metered:
    return Metered(Usage(input_fresh=5, output_visible=tokens), precision)


def test_running_totals_grow_and_the_last_counts() -> None:
    assert later(later(None, metered(1)), metered(2)) == metered(2)


def test_zeros_overwrite_nothing() -> None:
    zeros = Metered(Usage(), Precision.EXACT)
    assert later(metered(2), zeros) == metered(2)
    assert later(zeros, metered(2)) == metered(2)


def test_what_makes_sense_is_not_overwritten_by_what_does_not() -> None:
    assert later(metered(2), metered(9, Precision.ESTIMATED)) == metered(2)
    assert later(metered(9, Precision.ESTIMATED), metered(2)) == metered(2)
