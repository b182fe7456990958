"""Who speaks OpenAI's dialect: known addresses, and what their models take. Pure."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from router.errors import ProviderError
from router.providers.base import ModelTarget

ADDRESSES: Mapping[str, str] = {
    "openai": "https://api.openai.com/v1",
    "groq": "https://api.groq.com/openai/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "mistral": "https://api.mistral.ai/v1",
    "xai": "https://api.x.ai/v1",
    "together_ai": "https://api.together.xyz/v1",
    "fireworks_ai": "https://api.fireworks.ai/inference/v1",
    "cerebras": "https://api.cerebras.ai/v1",
    "ollama": "http://127.0.0.1:11434/v1",
    "lm_studio": "http://127.0.0.1:1234/v1",
    "llamacpp": "http://127.0.0.1:8081/v1",
    "hosted_vllm": "http://127.0.0.1:8000/v1",
}

_THINKS = re.compile(r"^(?:o\d|gpt-5|gpt-oss|codex)(?!.*-chat)")
_GPT_5_MINOR = re.compile(r"^gpt-5\.(\d+)")


def speaks_openai(provider: str) -> bool:
    """Whether a provider of this name is served without litellm."""
    return provider in ADDRESSES


def address_of(target: ModelTarget) -> str:
    """The base address of a target, without a trailing slash; raises ProviderError where none is known."""
    base = target.api_base or ADDRESSES.get(target.provider)
    if base is None:
        raise ProviderError(f"{target.name} needs an api_base", dispatched=False, code="not_configured")
    base = base.rstrip("/")
    if target.provider == "ollama" and not urlsplit(base).path:  # the native address is configured: /v1 lies below
        base += "/v1"
    return base


def is_openai_itself(target: ModelTarget) -> bool:
    """Whether the target is served by OpenAI, whose refusals are known beforehand."""
    return target.provider == "openai" and address_of(target) == ADDRESSES["openai"]


def thinks_anyway(target: ModelTarget) -> bool:
    """Whether the model is one of OpenAI's that think, unless told not to."""
    return target.provider == "openai" and _THINKS.match(target.model) is not None


def efforts_of(model: str) -> tuple[str, ...]:
    """The effort levels that one of OpenAI's thinking models takes."""
    minor = _GPT_5_MINOR.match(model)
    if "-pro" in model:
        return ("high",)
    if minor is None:
        return ("minimal", "low", "medium", "high") if model.startswith("gpt-5") else ("low", "medium", "high")
    return ("none", "low", "medium", "high", "xhigh") if int(minor[1]) >= 2 else ("none", "low", "medium", "high")


def takes_sampling(model: str, effort: str | None) -> bool:
    """Whether a thinking model of OpenAI's takes temperature and the like: since 5.1, while it does not think."""
    return _GPT_5_MINOR.match(model) is not None and effort in (None, "none")
