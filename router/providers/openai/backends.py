"""Who speaks OpenAI's dialect: address, key and first models of each family, and what their models take. Pure.

A new family of this dialect is one row of `BACKENDS`. `router.providers.catalog` has all families, these among them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from router.errors import ProviderError
from router.providers.base import ModelTarget


@dataclass(frozen=True, slots=True)
class FirstModels:
    """The models that `tierwise init` writes for a family, with the lines of their tiers."""

    fast: str
    reasoning: str
    fast_settings: tuple[str, ...] = ()
    reasoning_settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """All models with one name in front of the slash.

    `address` is its own server, None where it does not speak OpenAI's dialect. `key_variables` are those of the
    environment that usually hold its key, and `address_variables` those that hold the address which the key is for,
    where it is not the family's own: the first one that is set counts.
    """

    address: str | None = None
    key_variables: tuple[str, ...] = ()
    first_models: FirstModels | None = None
    address_variables: tuple[str, ...] = ()

    def key_variable(self, environ: Mapping[str, str]) -> str | None:
        """Return the variable that holds the family's key; None where there is no key."""
        return next((name for name in self.key_variables if environ.get(name)), None)

    def own_address(self, environ: Mapping[str, str]) -> str | None:
        """Return the address that the environment names for the key; None where that is the family's."""
        return next((environ[name].strip() for name in self.address_variables if environ.get(name, "").strip()), None)


THINKING = ('effort = "medium"', "max_thinking_tokens = 8192")
# Local servers have a variable where the name means such a server only. OLLAMA_API_KEY is a key of ollama.com,
# LLAMA_API_KEY one of Meta's as well as of a llama.cpp server: neither is sent to this machine.
BACKENDS: Mapping[str, Family] = {
    "openai": Family(
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        FirstModels("openai/gpt-5-nano", "openai/gpt-5-mini", ('effort = "minimal"',), THINKING),
        ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    ),
    "deepseek": Family(
        "https://api.deepseek.com/v1",
        ("DEEPSEEK_API_KEY",),
        FirstModels("deepseek/deepseek-chat", "deepseek/deepseek-reasoner"),
    ),
    "mistral": Family(
        "https://api.mistral.ai/v1",
        ("MISTRAL_API_KEY",),
        FirstModels("mistral/mistral-small-latest", "mistral/magistral-medium-latest"),
    ),
    "groq": Family(
        "https://api.groq.com/openai/v1",
        ("GROQ_API_KEY",),
        FirstModels("groq/openai/gpt-oss-20b", "groq/openai/gpt-oss-120b", ('effort = "low"',), ('effort = "medium"',)),
    ),
    "xai": Family(
        "https://api.x.ai/v1",
        ("XAI_API_KEY",),
        FirstModels("xai/grok-4.20-0309-non-reasoning", "xai/grok-4.20-0309-reasoning"),
    ),
    "openrouter": Family(
        "https://openrouter.ai/api/v1",
        ("OPENROUTER_API_KEY", "OR_API_KEY"),
        FirstModels("openrouter/openai/gpt-5-nano", "openrouter/openai/gpt-5-mini", (), THINKING),
    ),
    "together_ai": Family(
        "https://api.together.xyz/v1",
        ("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"),
    ),
    "fireworks_ai": Family(
        "https://api.fireworks.ai/inference/v1",
        ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
    ),
    "cerebras": Family("https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
    "ollama": Family("http://127.0.0.1:11434/v1"),
    "lm_studio": Family("http://127.0.0.1:1234/v1", ("LM_STUDIO_API_KEY", "LM_API_TOKEN")),
    "llamacpp": Family("http://127.0.0.1:8081/v1"),
    "hosted_vllm": Family("http://127.0.0.1:8000/v1", ("HOSTED_VLLM_API_KEY",)),
}

_THINKS = re.compile(r"^(?:o\d|gpt-5|gpt-oss|codex)(?!.*-chat)")
_GPT_5_MINOR = re.compile(r"^gpt-5\.(\d+)")


def speaks_openai(provider: str) -> bool:
    """Tell whether a provider of this name is served without litellm."""
    return provider in BACKENDS


def address_of(target: ModelTarget) -> str:
    """Return the base address of a target, without a trailing slash; raises ProviderError where none is known."""
    family = BACKENDS.get(target.provider)
    base = target.api_base or (family.address if family else None)
    if base is None:
        raise ProviderError(f"{target.name} needs an api_base", dispatched=False, code="not_configured")
    base = base.rstrip("/")
    if (
        target.provider == "ollama" and not urlsplit(base).path and "?" not in base
    ):  # the native address is configured: /v1 lies below
        base += "/v1"
    return base


def split_base(base: str) -> SplitResult:
    """Return the parts of a base address; raises ValueError for what is none."""
    try:
        parts = urlsplit(base.strip())
        is_address = bool(parts.hostname) and parts.netloc.isascii() and " " not in parts.netloc and parts.port != 0
    except ValueError:  # brackets that do not match, or a port that is none
        is_address = False
    if not is_address:
        raise ValueError("this is no address: it needs a host, and a port that is a number up to 65535 or none")
    return parts


def is_openai_itself(target: ModelTarget) -> bool:
    """Tell whether the target is served by OpenAI, whose refusals are known beforehand."""
    return target.provider == "openai" and address_of(target) == BACKENDS["openai"].address


def thinks_anyway(target: ModelTarget) -> bool:
    """Tell whether the model is one of OpenAI's that think, unless told not to."""
    return target.provider == "openai" and _thinks(target.model)


@lru_cache(maxsize=1_024)
def _thinks(model: str) -> bool:
    return _THINKS.match(model) is not None


def efforts_of(model: str) -> tuple[str, ...]:
    """Return the effort levels that one of OpenAI's thinking models takes."""
    minor = _GPT_5_MINOR.match(model)
    if "-pro" in model:
        return ("high",)
    if minor is None:
        return ("minimal", "low", "medium", "high") if model.startswith("gpt-5") else ("low", "medium", "high")
    return ("none", "low", "medium", "high", "xhigh") if int(minor[1]) >= 2 else ("none", "low", "medium", "high")


def takes_sampling(model: str, effort: str | None) -> bool:
    """Tell whether a thinking model of OpenAI's takes temperature and the like: since 5.1, while it does not think."""
    return _GPT_5_MINOR.match(model) is not None and effort in (None, "none")
