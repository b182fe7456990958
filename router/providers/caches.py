"""Prompt caches of providers: what each promises, what has to be set for it, and how much of a prompt is warm. Pure.

A provider keeps what it read of a prompt for some time and charges less for a later prompt that begins alike. What a
cached token costs, and what writing one does, is in the price book (`cached_input`, `cache_write`); how long it stays
is here. Where a provider promises nothing, the row is cautious: a cache that is not counted on costs nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

from router.providers.base import ModelTarget
from router.providers.state import CACHE_CONTROL

BYTES_PER_TOKEN = 4
LEAST_WORTH_TOKENS = 1_024  # of a prompt for which keys and marks are set: below, a saving is nothing
LONG_BYTES = LEAST_WORTH_TOKENS * BYTES_PER_TOKEN  # of a request's body, from which on its cache is worth knowing
LONGEST_BEGINNING = 2_000  # characters of a text that tell a conversation from others
CACHE_KEY = "prompt_cache_key"
EPHEMERAL = {"type": "ephemeral"}


@dataclass(frozen=True, slots=True)
class PromptCache:
    """One provider's cache: how long it stays warm unused, from how many tokens on, and in blocks of how many.

    `needs_marks`: nothing is cached but what is marked, and writing it costs extra. `takes_key`: requests of one
    `prompt_cache_key` go to one cache. `source` is where that is said, with what is not said there.
    """

    lifetime_s: float
    least_tokens: int
    block_tokens: int
    source: str
    needs_marks: bool = False
    takes_key: bool = False

    def warm_tokens(self, read_tokens: int, input_tokens: int, age_s: float) -> int:
        """Return how many tokens of an input are likely cached, `age_s` after so many of its first were read."""
        if age_s > self.lifetime_s:
            return 0
        shared = min(read_tokens, input_tokens)
        return shared - shared % self.block_tokens if shared >= self.least_tokens else 0


_OPENAI = PromptCache(
    300.0, 1_024, 128, "https://developers.openai.com/api/docs/guides/prompt-caching: 5 to 10 minutes", takes_key=True
)
_ANTHROPIC_PAGE = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching"
_ANTHROPIC = PromptCache(300.0, 1_024, 1, _ANTHROPIC_PAGE, needs_marks=True)
_ANTHROPIC_SMALL = PromptCache(300.0, 512, 1, _ANTHROPIC_PAGE, needs_marks=True)
_ANTHROPIC_MIDDLE = PromptCache(300.0, 2_048, 1, _ANTHROPIC_PAGE, needs_marks=True)
_ANTHROPIC_LARGE = PromptCache(300.0, 4_096, 1, _ANTHROPIC_PAGE, needs_marks=True)
_GEMINI_PAGE = "https://ai.google.dev/gemini-api/docs/caching: 'a short amount of time', taken as five minutes"
_GEMINI = PromptCache(300.0, 4_096, 1, _GEMINI_PAGE)
_GEMINI_2_5 = PromptCache(300.0, 2_048, 1, _GEMINI_PAGE)
_DEEPSEEK = PromptCache(
    7_200.0, 64, 64, "https://api-docs.deepseek.com/guides/kv_cache: on disk, hours to days; units of 64 as first told"
)
_XAI = PromptCache(
    300.0,
    1_024,
    128,
    "https://docs.x.ai/developers/advanced-api-usage/prompt-caching: may go at any time, taken as five minutes and as"
    " long as OpenAI's; its key is a header, which is not sent",
)
_GROQ = PromptCache(
    7_200.0, 1_024, 128, "https://console.groq.com/docs/prompt-caching: 2 hours unused; from 128 to 1,024 tokens on"
)
_MISTRAL = PromptCache(
    300.0,
    64,
    64,
    "https://docs.mistral.ai/studio-api/conversations/advanced/prompt-caching: blocks of 64; time not told, taken as"
    " five minutes",
    takes_key=True,
)
# `scripted/...-caching` meters a cache of this kind (`router.providers.scripted.caching`).
_SCRIPTED = PromptCache(300.0, 1_024, 128, "our own double, made like OpenAI's", takes_key=True)

_BY_PROVIDER: Mapping[str, PromptCache] = {
    "openai": _OPENAI,
    "azure": _OPENAI,
    "deepseek": _DEEPSEEK,
    "xai": _XAI,
    "groq": _GROQ,
    "mistral": _MISTRAL,
}
# Of Claude and Gemini the least length is each model's own; the first that is named in the model's name counts.
_BY_MODEL = (
    ("claude-haiku-4-5", _ANTHROPIC_LARGE),
    ("claude-opus-4-5", _ANTHROPIC_LARGE),
    ("claude-opus-4-6", _ANTHROPIC_LARGE),
    ("claude-opus-4-7", _ANTHROPIC_LARGE),
    ("claude-opus-5", _ANTHROPIC_SMALL),
    ("claude-3-haiku", _ANTHROPIC_MIDDLE),
    ("claude-3-5-haiku", _ANTHROPIC_MIDDLE),
    ("claude", _ANTHROPIC),
    ("gemini-2.5", _GEMINI_2_5),
    ("gemini-", _GEMINI),
)
_MAKERS_MODELS = frozenset({"anthropic", "gemini", "vertex_ai", "bedrock", "azure_ai", "openrouter"})
_BY_HOST = (
    ("api.openai.com", "openai"),
    ("api.deepseek.com", "deepseek"),
    ("api.mistral.ai", "mistral"),
    ("api.groq.com", "groq"),
    ("api.x.ai", "xai"),
    ("openrouter.ai", "openrouter"),
    ("googleapis.com", "gemini"),
)


def cache_of(target: ModelTarget) -> PromptCache | None:
    """Tell by name and address which cache a target has; None for a server of which nothing is known."""
    return _cache_of(target.name, target.api_base)


@lru_cache(maxsize=1_024)
def _cache_of(name: str, api_base: str | None) -> PromptCache | None:
    target = ModelTarget(name, api_base)
    provider, model = target.provider, target.model.lower()
    if provider == "scripted":
        return _SCRIPTED if "caching" in model.split("-") else None
    if api_base is not None and provider not in ("azure", "azure_ai", "bedrock", "vertex_ai"):
        host = urlsplit(api_base).hostname or ""
        provider = next((name for at, name in _BY_HOST if host == at or host.endswith(f".{at}")), "")
    if provider in _BY_PROVIDER:
        return _BY_PROVIDER[provider]
    if provider not in _MAKERS_MODELS:
        return None
    if provider == "openrouter" and (maker := model.partition("/")[0].replace("x-ai", "xai")) in _BY_PROVIDER:
        return _BY_PROVIDER[maker]
    plain = model.replace(".", "-") if "claude" in model else model
    return next((cache for word, cache in _BY_MODEL if word in plain), None)


def cache_key(conversation: str | None, messages: Sequence[Mapping[str, Any]]) -> str:
    """Return what routes the requests of one conversation to one cache: made of its name, else of how it begins."""
    begins = messages[: 1 + next((at for at, m in enumerate(messages) if m.get("role") == "user"), 0)]
    known_by = conversation or "\0".join(text for message in begins for text in _beginnings(message))
    return "tw-" + blake2b(known_by.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _beginnings(message: Mapping[str, Any]) -> list[str]:
    """Return the role of a message and how its texts begin, each with its length: a book is not hashed whole."""
    content = message.get("content")
    texts = [content] if isinstance(content, str) else [part.get("text") for part in _parts(message)]
    return [
        str(message.get("role")),
        *(f"{len(text)}:{text[:LONGEST_BEGINNING]}" for text in texts if isinstance(text, str)),
    ]


def has_cache_marks(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the client said itself what is to be cached."""
    parts = (part for message in messages for part in _parts(message))
    return any(CACHE_CONTROL in part for part in (*messages, *parts))


def mark_last(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mark the last text of the last message that is not the assistant's: all before it is worth keeping."""
    marked = list(messages)
    for place in range(len(marked) - 1, -1, -1):
        message = marked[place]
        if message.get("role") == "assistant":
            continue
        if (content := _mark_content(message.get("content"))) is not None:
            marked[place] = {**message, "content": content}
        return marked
    return marked


def pays(messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any]) -> bool:
    """Tell whether a prompt is likely to come again, longer: someone has asked on, or tools will answer.

    A mark on a single question would cost what writing costs and mostly save nothing.
    """
    return bool(params.get("tools")) or any(message.get("role") == "assistant" for message in messages)


def will_be_marked(messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any]) -> bool:
    """Tell whether a prompt goes out with marks: the client's own, or ours where they pay."""
    return "cache_control" in params or pays(messages, params) or has_cache_marks(messages)


def _mark_content(content: Any) -> list[dict[str, Any]] | None:
    """Return a content with its last text marked; None where it has none."""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) and content else content
    if not isinstance(parts, list) or not parts:
        return None
    last = parts[-1]
    if not isinstance(last, dict) or last.get("type") != "text" or not last.get("text"):
        return None
    return [*parts[:-1], {**last, CACHE_CONTROL: EPHEMERAL}]


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
