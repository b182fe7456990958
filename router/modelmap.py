"""What is publicly known of a model: context length, abilities, list prices.

A leaf over the map of litellm's that `scripts.public_data` makes smaller and puts beside this file: litellm itself is
not needed here. What the map does not say is None ("unknown"), never "no".
"""

import gzip
import json
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

MAP_FILE = Path(__file__).with_name("modelmap.json.gz")


class ModelMap(msgspec.Struct, frozen=True):
    """The file: whose map it is, who the providers are, and each model's entry, which is only read when asked for."""

    source: str
    providers: list[str]
    models: dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a tier's capability check may ask of a model."""

    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    supports_vision: bool | None = None
    supports_function_calling: bool | None = None
    supports_response_schema: bool | None = None
    supports_reasoning: bool | None = None


@cache
def facts(model: str) -> ModelFacts | None:
    """Look up a model string ("openai/gpt-5-nano"); None when the map does not know it."""
    raw = entry(model)
    if raw is None:
        return None
    return ModelFacts(
        max_input_tokens=_integer(raw.get("max_input_tokens")),
        max_output_tokens=_integer(raw.get("max_output_tokens")),
        supports_vision=_boolean(raw.get("supports_vision")),
        supports_function_calling=_boolean(raw.get("supports_function_calling")),
        supports_response_schema=_boolean(raw.get("supports_response_schema")),
        supports_reasoning=_boolean(raw.get("supports_reasoning")),
    )


def entry(model: str) -> dict[str, Any] | None:
    """Return the map's whole entry of a model, numbers with a point as Decimal.

    The map names most models with their provider in front and OpenAI's and Anthropic's without; a name without a
    provider only counts when the entry says that it belongs to the provider asked for.
    """
    entries = _entries()
    if model in entries:
        return _decode(entries[model])
    provider, _, name = model.partition("/")
    if name not in entries:
        return None
    decoded = _decode(entries[name])
    return decoded if str(decoded.get("litellm_provider", "")).startswith(provider) else None


def names_with_provider(name: str) -> list[str]:
    """Return the model strings that a name without its provider may mean: "openai/gpt-5" for "gpt-5"."""
    entries = _entries()
    found = [model for model in entries if model.endswith(f"/{name}") and model.count("/") == 1]
    if name in entries and (provider := _decode(entries[name]).get("litellm_provider")):
        found.insert(0, f"{provider}/{name}")
    return found


@cache
def providers() -> frozenset[str]:
    """The names in front of the slash that litellm knows, as its files say."""
    return frozenset({*_read().providers, *(model.partition("/")[0] for model in _entries() if "/" in model)})


def provenance() -> str:
    """Name the map that the facts come from, with its version."""
    return _read().source


def _entries() -> dict[str, msgspec.Raw]:
    return _read().models


def release() -> None:
    """Give the map's memory back; it is read again, in some milliseconds, when somebody asks."""
    _read.cache_clear()


@cache
def _read() -> ModelMap:
    return msgspec.json.decode(gzip.decompress(MAP_FILE.read_bytes()), type=ModelMap)


def _decode(raw: msgspec.Raw) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(bytes(raw), parse_float=Decimal)
    return decoded


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
