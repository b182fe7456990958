import pytest

from router.providers.base import ModelTarget
from router.providers.catalog import FAMILIES, family_of, key_of


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


def test_every_family_has_its_variables_or_is_known_to_have_none() -> None:
    without = {"ollama", "llamacpp", "vertex_ai", "bedrock", "azure", "azure_ai", "sagemaker", "watsonx"}
    assert USUAL.keys() | without == FAMILIES.keys()
    assert [key_of(name, {"OLLAMA_API_KEY": "sk", "LLAMA_API_KEY": "sk"}) for name in without] == [None] * len(without)


def test_a_family_that_nobody_knows_has_no_key() -> None:
    assert key_of("somebody", {"SOMEBODY_API_KEY": "sk"}) is None
