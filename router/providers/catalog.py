"""The families of models: which there are, whose key each takes, and who serves a model of it.

What speaks OpenAI's dialect is in `router.providers.openai.backends`; the rest goes through litellm, which finds the
keys and credentials itself that are not named here.
"""

import re
from collections.abc import Mapping

from router import modelmap
from router.mistakes.extras import GET_WEIGHTS, describe_missing, has_weights, how_to_get, is_installed
from router.mistakes.names import closest
from router.providers.base import ModelTarget
from router.providers.openai.backends import BACKENDS, THINKING, Family, FirstModels, speaks_openai

# In the order in which `tierwise init` looks for their keys.
FAMILIES: Mapping[str, Family] = {
    "openai": BACKENDS["openai"],
    "anthropic": Family(
        key_variables=("ANTHROPIC_API_KEY",),
        first_models=FirstModels("anthropic/claude-haiku-4-5", "anthropic/claude-sonnet-4-5", (), THINKING),
    ),
    "gemini": Family(
        key_variables=("GEMINI_API_KEY",),
        first_models=FirstModels("gemini/gemini-2.5-flash-lite", "gemini/gemini-2.5-pro", (), THINKING),
    ),
    **BACKENDS,
    "vertex_ai": Family(),
    "bedrock": Family(),
    "azure": Family(),
    "azure_ai": Family(),
    "cohere": Family(key_variables=("COHERE_API_KEY", "CO_API_KEY")),
    "sagemaker": Family(),
    "sagemaker_chat": Family(),
    "watsonx": Family(),
    # Other names of litellm's for the same, with the keys of their families.
    "cohere_chat": Family(),
    "ollama_chat": Family(),
    "vertex_ai_beta": Family(),
}
# Who they are: the key of the one is not sent to another server under the name of the other either.
RELATIVES = {"cohere_chat": "cohere", "ollama_chat": "ollama"}
# Families with a dialect of their own, wherever their server stands.
NATIVE = frozenset(name for name, family in FAMILIES.items() if family.address is None)
KEY_VARIABLES = frozenset(name for family in FAMILIES.values() for name in family.key_variables)


# Names of models that answer no conversation, as local servers list them beside the others.
_NO_CHAT = re.compile(
    r"embed|rerank|(?:^|[/_-])(?:bge|e5|gte|all-mpnet|jina-(?:clip|colbert)|paraphrase|snowflake-arctic)(?=[-_:.]|$)"
    r"|minilm|whisper|(?:^|[/_-])(?:tts|clip|dall-e|stable-diffusion|flux)(?=[-_:.\d]|$)|moderation"
)
OF_THE_HOUSE = ("embedded", "scripted")


def provider_meant(provider: str) -> str | None:
    """Return the family that was meant by a name nobody knows; None for a known name, and where none is like it."""
    if provider in FAMILIES or provider in OF_THE_HOUSE or provider in modelmap.providers():
        return None
    return closest(provider, (*FAMILIES, *OF_THE_HOUSE))


def answers_chat(model: str) -> bool:
    """Tell whether a model answers conversations, by what is publicly known of it, or else by its name.

    Models for vectors, ranking, speech and pictures do not; one of which nothing is known is taken to.
    """
    facts = modelmap.entry(model)
    if facts is not None and (mode := facts.get("mode")) is not None:
        return mode in ("chat", "completion", "responses")
    return _NO_CHAT.search(model.partition("/")[2].lower()) is None


def key_of(provider: str, environ: Mapping[str, str]) -> str | None:
    """Return the key that the environment usually holds for a family; None where there is none."""
    family = FAMILIES.get(provider)
    variable = family.key_variable(environ) if family else None
    return environ[variable] if variable else None


def family_of(target: ModelTarget) -> str:
    """Tell by name and address who serves a target: embedded, scripted, openai or litellm."""
    if target.provider in OF_THE_HOUSE:
        return target.provider
    if speaks_openai(target.provider):
        return "openai"
    return "openai" if target.api_base is not None and target.provider not in NATIVE else "litellm"


def describe_uninstalled(target: ModelTarget) -> str | None:
    """Say what a model needs that is not installed, and how to get it; None where it can be called."""
    match family_of(target):
        case "embedded" if not is_installed("embedded"):
            return f"{target.name} needs what is not installed: {how_to_get('embedded')}, and then `{GET_WEIGHTS}`"
        case "embedded" if not has_weights():
            return f"the weights of {target.name} are not installed: `{GET_WEIGHTS}` gets them"
        case "litellm":
            return describe_missing("litellm", target.name)
        case _:
            return None
