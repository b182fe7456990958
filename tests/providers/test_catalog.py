import pytest

from router.providers.base import ModelTarget
from router.providers.catalog import FAMILIES, KEY_VARIABLES, family_of, key_of
from router.providers.openai.backends import BACKENDS


@pytest.mark.parametrize(
    ("name", "api_base", "family"),
    [
        ("embedded/smollm2", None, "embedded"),
        ("scripted/assistant", None, "scripted"),
        ("openai/gpt-5-nano", None, "openai"),
        ("ollama/qwen3", "http://127.0.0.1:11434", "openai"),
        ("somebody/model", "http://127.0.0.1:9000/v1", "openai"),
        ("anthropic/claude-sonnet-4-5", None, "litellm"),
        ("anthropic/claude-sonnet-4-5", "https://proxy.example", "litellm"),
        ("gemini/gemini-2.5-flash", None, "litellm"),
        ("cohere_chat/command-r", None, "litellm"),
    ],
)
def test_a_models_name_and_address_tell_who_serves_it(name: str, api_base: str | None, family: str) -> None:
    assert family_of(ModelTarget(name, api_base)) == family


# What litellm reads, and for LM Studio what its own clients read.
USUAL = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "gemini": ("GEMINI_API_KEY",),
    "cohere": ("COHERE_API_KEY", "CO_API_KEY"),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "mistral": ("MISTRAL_API_KEY",),
    "groq": ("GROQ_API_KEY",),
    "xai": ("XAI_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY", "OR_API_KEY"),
    "together_ai": ("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"),
    "fireworks_ai": ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
    "cerebras": ("CEREBRAS_API_KEY",),
    "lm_studio": ("LM_STUDIO_API_KEY", "LM_API_TOKEN"),
    "hosted_vllm": ("HOSTED_VLLM_API_KEY",),
}


@pytest.mark.parametrize(("family", "variable"), [(name, one) for name, named in USUAL.items() for one in named])
def test_a_key_is_read_from_each_of_its_familys_usual_variables(family: str, variable: str) -> None:
    assert key_of(family, {variable: "sk"}) == "sk"
    assert [name for name in FAMILIES if key_of(name, {variable: "sk"}) is not None] == [family]


def test_a_variable_that_is_set_and_empty_is_passed_over() -> None:
    assert key_of("together_ai", {"TOGETHER_API_KEY": "", "TOGETHERAI_API_KEY": "sk"}) == "sk"
    assert key_of("together_ai", {"TOGETHER_API_KEY": ""}) is None


def test_whoever_is_served_elsewhere_has_a_variable_and_no_two_families_share_one() -> None:
    elsewhere = [name for name, family in BACKENDS.items() if "//127.0.0.1" not in str(family.address)]
    assert [name for name in elsewhere if not BACKENDS[name].key_variables] == []
    named = [variable for family in FAMILIES.values() for variable in family.key_variables]
    assert len(named) == len(set(named)) == len(KEY_VARIABLES)


def test_a_key_of_a_service_does_not_go_to_a_local_server_of_the_same_name() -> None:
    assert key_of("ollama", {"OLLAMA_API_KEY": "sk"}) is None
    assert key_of("llamacpp", {"LLAMA_API_KEY": "sk"}) is None


def test_a_family_that_nobody_knows_has_no_key() -> None:
    assert key_of("somebody", {"SOMEBODY_API_KEY": "sk"}) is None
