"""Who speaks OpenAI's dialect: known addresses, and what each of them and their models take. Pure, except for keys
read from the environment where the configuration names none."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from router.errors import ProviderError
from router.providers.base import ModelTarget


@dataclass(frozen=True, slots=True)
class Backend:
    """One family of servers: its default address, and the variable that holds its key."""

    api_base: str | None = None
    key_variable: str | None = None


BACKENDS: Mapping[str, Backend] = {
    "openai": Backend("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "groq": Backend("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "openrouter": Backend("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "deepseek": Backend("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "mistral": Backend("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "xai": Backend("https://api.x.ai/v1", "XAI_API_KEY"),
    "together_ai": Backend("https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    "fireworks_ai": Backend("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "cerebras": Backend("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "ollama": Backend("http://127.0.0.1:11434/v1"),
    "lm_studio": Backend("http://127.0.0.1:1234/v1"),
    "llamacpp": Backend("http://127.0.0.1:8081/v1"),
    "hosted_vllm": Backend("http://127.0.0.1:8000/v1"),
}

_THINKS = re.compile(r"^(?:o\d|gpt-5|gpt-oss|codex)(?!.*-chat)")
_GPT_5_MINOR = re.compile(r"^gpt-5\.(\d+)")


def speaks_openai(provider: str) -> bool:
    """Whether a provider of this name is served without litellm."""
    return provider in BACKENDS


def address_of(target: ModelTarget) -> str:
    """The base address of a target, without a trailing slash; raises ProviderError where none is known."""
    backend = BACKENDS.get(target.provider, Backend())
    base = target.api_base or backend.api_base
    if base is None:
        raise ProviderError(f"{target.name} needs an api_base", dispatched=False, code="not_configured")
    base = base.rstrip("/")
    if target.provider == "ollama" and not urlsplit(base).path:  # the native address is configured: /v1 lies below
        base += "/v1"
    return base


def key_of(target: ModelTarget) -> str | None:
    """The key to send: the configured one, or the family's own variable, which goes to the family's address only."""
    if target.api_key:
        return target.api_key
    backend = BACKENDS.get(target.provider, Backend())
    if backend.key_variable is None or address_of(target) != backend.api_base:
        return None
    return os.environ.get(backend.key_variable) or None


def is_openai_itself(target: ModelTarget) -> bool:
    """Whether the target is served by OpenAI, whose refusals are known beforehand."""
    return target.provider == "openai" and address_of(target) == BACKENDS["openai"].api_base


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
