"""Provider usage, normalised once into disjoint buckets.

Every family counts its own way: OpenAI's cached tokens are inside prompt_tokens and its thinking inside
completion_tokens, Anthropic's and Bedrock's cached tokens stand beside input_tokens, Gemini's thoughts beside its
candidates. Audio and image tokens are input or output tokens like any other. What cannot be true is clamped and the
result flagged as estimated; the provider's own JSON stays beside it.
"""

from typing import Any

from router.providers.base import Metered
from router.types import Precision, Usage

MOST_KEYS, MOST_LEVELS, LONGEST_TEXT, MOST_NUMBER = 64, 4, 200, 1 << 62  # of usage that is kept beside the books
MOST_TOKENS = 1 << 31  # more than any call can have: a provider's bug, not a count

_EXACT = Precision.EXACT  # looking up a member of an enumeration takes as long as ten other names


class _Reader:
    """Reads counts out of usage JSON; remembers when one made no sense."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.is_sane = True

    def count(self, *path: str) -> int:
        """Return the count at a path; 0 where it is absent or nonsense. Some write it as text."""
        value: Any = self.raw
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
            value = int(value)
        if value is None or value == 0:
            return 0
        if type(value) is int and 0 < value < MOST_TOKENS:
            return value
        is_whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1
        if not is_whole or not 0 <= value < MOST_TOKENS:
            self.is_sane = False
            return 0
        return int(value)

    def require(self, *keys: str) -> None:
        """Doubt the usage unless all these keys are there: both sides of a call must be, for it to be exact."""
        self.is_sane = self.is_sane and all(self.raw.get(key) is not None for key in keys)

    def part(self, part: int, whole: int) -> int:
        """Bound a part by the whole; doubt the usage where it was larger."""
        if part > whole:
            self.is_sane = False
        return min(part, whole)

    def build(self, whole_input: int, cached: int, written: int, visible: int, reasoning: int) -> Metered:
        """Build the result from input that includes its cached parts."""
        cached = self.part(cached, whole_input)
        written = self.part(written, whole_input - cached)
        usage = Usage(whole_input - cached - written, cached, written, visible, reasoning)
        return Metered(usage, Precision.EXACT if self.is_sane else Precision.ESTIMATED, self.raw)


def normalise(raw: dict[str, Any] | None) -> Metered | None:
    """Return the usage in a provider's JSON, told apart by its keys; None when there is none in it."""
    if not raw or not isinstance(raw, dict):
        return None
    if raw.keys() <= _USUAL and (metered := _usual(raw)) is not None:
        return metered
    if not _is_storable(raw):
        raw = _storable(raw)
    reader = _Reader(raw)
    if "prompt_tokens" in raw or "completion_tokens" in raw:
        return _openai(reader)
    if "inputTokens" in raw or "outputTokens" in raw:
        return _bedrock(reader)
    if "input_tokens" in raw or "output_tokens" in raw:
        if "input_tokens_details" in raw or "output_tokens_details" in raw:
            return _openai_responses(reader)
        return _anthropic(reader)
    if "promptTokenCount" in raw or "candidatesTokenCount" in raw:
        return _gemini(reader)
    if "prompt_eval_count" in raw or "eval_count" in raw:
        reader.require("eval_count")  # a fully cached prompt may be left out
        return reader.build(reader.count("prompt_eval_count"), 0, 0, reader.count("eval_count"), 0)
    if "predicted_n" in raw:  # llama.cpp's timings: what was in the cache stands beside what was read
        cached = reader.count("cache_n")
        return reader.build(reader.count("prompt_n") + cached, cached, 0, reader.count("predicted_n"), 0)
    if raw.keys() & _SAME.keys():
        renamed = normalise({_SAME.get(key, key): value for key, value in raw.items() if key not in _SAME.values()})
        return renamed and Metered(renamed.usage, renamed.precision, raw)
    return None


def _is_storable(value: Any, level: int = 0) -> bool:
    """Tell whether usage is of a few small values, as it always is."""
    match value:
        case None | bool() | float():
            return True
        case int():
            return -MOST_NUMBER < value < MOST_NUMBER
        case str():
            return len(value) <= LONGEST_TEXT
        case dict() | list() if level < MOST_LEVELS and len(value) <= MOST_KEYS:
            inner = value.values() if isinstance(value, dict) else value
            return all((type(one) is int and -1 < one < MOST_TOKENS) or _is_storable(one, level + 1) for one in inner)
        case _:
            return False


def _storable(value: Any, level: int = 0) -> Any:
    """Return what of usage can be kept beside the books; numbers without end become text, which is no count."""
    match value:
        case dict() if level < MOST_LEVELS:
            return {key[:LONGEST_TEXT]: _storable(one, level + 1) for key, one in list(value.items())[:MOST_KEYS]}
        case list() if level < MOST_LEVELS:
            return [_storable(one, level + 1) for one in value[:MOST_KEYS]]
        case int() if not -MOST_NUMBER < value < MOST_NUMBER:
            return "without end"
        case str():
            return value[:LONGEST_TEXT]
        case dict() | list():
            return None
        case _:
            return value


def _usual(raw: dict[str, Any]) -> Metered | None:
    """Read usage just as OpenAI reports it, which most of it is; None where it is anything else."""
    prompt, completion, total = raw.get("prompt_tokens"), raw.get("completion_tokens"), raw.get("total_tokens")
    if not (type(prompt) is type(completion) is type(total) is int and total == prompt + completion):
        return None
    inside, thought, cached, reasoning = raw.get("prompt_tokens_details"), raw.get("completion_tokens_details"), 0, 0
    if inside:
        if not _are_counts(inside) or inside.get("cache_write_tokens") or inside.get("cache_creation_tokens"):
            return None
        cached = inside.get("cached_tokens") or 0
    if thought:
        if not _are_counts(thought):
            return None
        reasoning = thought.get("reasoning_tokens") or 0
    if total >= MOST_TOKENS or not (0 <= cached <= prompt and 0 <= reasoning <= completion):
        return None
    return Metered(Usage(prompt - cached, cached, 0, completion - reasoning, reasoning), _EXACT, raw)


def _are_counts(details: object) -> bool:
    if type(details) is not dict or len(details) > MOST_KEYS:
        return False
    for count in details.values():  # a generator would take twice as long, with every answer
        if count is not None and not (type(count) is int and 0 <= count < MOST_TOKENS):
            return False
    return True


_USUAL = frozenset(
    {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"}
)
_KEYS_OF_WRITTEN = ("cache_write_tokens", "cache_creation_tokens")


def _openai(reader: _Reader) -> Metered:
    """Read the counts of OpenAI's dialect. The total tells whether cached input and thinking stand inside or beside."""
    reader.require("prompt_tokens", "completion_tokens")
    prompt, completion = reader.count("prompt_tokens"), reader.count("completion_tokens")
    cached, written, reasoning = _first(reader, *_CACHED), _first(reader, *_WRITTEN), _first(reader, *_REASONING)
    written = written or sum(reader.count("cache_creation", key) for key in _WRITTEN_BY_LIFE)
    beside = reader.count("total_tokens") - prompt - completion
    if beside > 0:
        if beside in (reasoning, reasoning + cached + written) and reasoning:  # xAI counts thinking beside
            whole = prompt + beside - reasoning
            return reader.build(whole, cached, written, completion, reasoning)
        if beside == cached + written:  # Anthropic's way of counting, kept by a gateway
            reasoning = reader.part(reasoning, completion)
            return reader.build(prompt + beside, cached, written, completion - reasoning, reasoning)
        if not reasoning and completion:  # Gemini's OpenAI dialect leaves thoughts out
            return reader.build(prompt, cached, written, completion, beside)
        reader.is_sane = False
    elif beside < 0 and reader.raw.get("total_tokens") and beside != -cached - written:
        reader.is_sane = False
    reasoning = reader.part(reasoning, completion)
    return reader.build(prompt, cached, written, completion - reasoning, reasoning)


_ANTHROPIC_READ = ("cache_read_input_tokens",)
_ANTHROPIC_WRITE = ("cache_creation_input_tokens",)
_INPUT_DETAILS = ("prompt_tokens_details", "prompt_token_details", "input_tokens_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "completion_token_details", "output_tokens_details")
_CACHED = (
    *((details, key) for details in _INPUT_DETAILS for key in ("cached_tokens", "cache_read_tokens")),
    ("cached_tokens",),
    ("prompt_cache_hit_tokens",),
    ("num_cached_tokens",),
    ("cached_prompt_tokens",),
    ("cached_prompt_text_tokens",),
    ("cache_read_tokens",),
    _ANTHROPIC_READ,
)
_WRITTEN = (
    *((details, key) for details in _INPUT_DETAILS for key in _KEYS_OF_WRITTEN),
    ("cache_write_tokens",),
    ("prompt_cache_write_tokens",),
    _ANTHROPIC_WRITE,
)
_WRITTEN_BY_LIFE = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
_REASONING = (
    *((details, key) for details in _OUTPUT_DETAILS for key in ("reasoning_tokens", "thinking_tokens")),
    ("reasoning_tokens",),
    ("thinking_tokens",),
    ("reasoning_output_tokens",),
)
# Names that say the same as OpenAI's, each with it.
_SAME = {
    "promptTokens": "prompt_tokens",
    "completionTokens": "completion_tokens",
    "totalTokens": "total_tokens",
    "prompt_token_count": "prompt_tokens",
    "completion_token_count": "completion_tokens",
    "candidates_token_count": "completion_tokens",
    "total_token_count": "total_tokens",
    "thoughts_token_count": "reasoning_tokens",
    "cached_content_token_count": "cached_tokens",
}


def _openai_responses(reader: _Reader) -> Metered:
    reader.require("input_tokens", "output_tokens")
    output = reader.count("output_tokens")
    reasoning = reader.part(reader.count("output_tokens_details", "reasoning_tokens"), output)
    cached = reader.count("input_tokens_details", "cached_tokens")
    written = reader.count("input_tokens_details", "cache_write_tokens")
    return reader.build(reader.count("input_tokens"), cached, written, output - reasoning, reasoning)


def _anthropic(reader: _Reader) -> Metered:
    reader.require("input_tokens", "output_tokens")
    cached, written = reader.count(*_ANTHROPIC_READ), reader.count(*_ANTHROPIC_WRITE)
    fresh, output = reader.count("input_tokens"), reader.count("output_tokens")
    reasoning = reader.part(reader.count("output_tokens_details", "thinking_tokens"), output)
    return reader.build(fresh + cached + written, cached, written, output - reasoning, reasoning)


def _bedrock(reader: _Reader) -> Metered:
    reader.require("inputTokens", "outputTokens")
    cached = _first(reader, ("cacheReadInputTokens",), ("cacheReadInputTokenCount",))
    written = _first(reader, ("cacheWriteInputTokens",), ("cacheWriteInputTokenCount",))
    return reader.build(
        reader.count("inputTokens") + cached + written, cached, written, reader.count("outputTokens"), 0
    )


def _gemini(reader: _Reader) -> Metered:
    reader.require("promptTokenCount")
    prompt = reader.count("promptTokenCount") + reader.count("toolUsePromptTokenCount")
    thoughts = reader.count("thoughtsTokenCount")
    return reader.build(
        prompt, reader.count("cachedContentTokenCount"), 0, reader.count("candidatesTokenCount"), thoughts
    )


def _first(reader: _Reader, *paths: tuple[str, ...]) -> int:
    """Return the first count that is not zero: the same number may stand in several places."""
    return next(filter(None, (reader.count(*path) for path in paths)), 0)


def later(before: Metered | None, now: Metered) -> Metered:
    """Return the usage to believe of two that a stream reported: running totals grow, and zeros overwrite nothing."""
    if before is None:
        return now
    if before.precision is Precision.EXACT and now.precision is not Precision.EXACT:
        return before
    grew = now.usage.input_tokens + now.usage.output_tokens >= before.usage.input_tokens + before.usage.output_tokens
    return now if grew or (now.precision is Precision.EXACT is not before.precision) else before
