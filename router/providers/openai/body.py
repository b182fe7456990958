"""Our request as a body in OpenAI's dialect, shaped for the backend it goes to. Pure."""

import re
from collections.abc import Mapping, Set
from typing import Any

from router.providers.base import ModelTarget, ProviderRequest
from router.providers.caches import CACHE_KEY, cache_of
from router.providers.openai import backends
from router.providers.outgoing import DEVELOPER, messages_for
from router.providers.state import CACHE_CONTROL, EXTRA_CONTENT, REASONING_CONTENT, REASONING_DETAILS, state_family
from router.providers.thinking import nearest_effort, output_limit, thinking_budget
from router.types import Json

SAMPLING = frozenset(
    {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias"}
)
COMMON = SAMPLING | {"n", "stop", "seed", "tools", "tool_choice", "parallel_tool_calls", "response_format"}
# About the client, not the answer: nothing is lost when a backend does not see it.
ABOUT_CLIENT = frozenset({"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"})
BOOKKEEPING = ABOUT_CLIENT | {"metadata", "store"}
KEYED = frozenset({CACHE_KEY})
STYLE = frozenset({"verbosity", "service_tier", "prediction", "web_search_options"})
TAKEN_BY_OPENAI = COMMON | ABOUT_CLIENT | STYLE | {"modalities", "audio"}
# Left out and tried again when a backend does not know them: the answer means the same without.
DISPENSABLE = SAMPLING | ABOUT_CLIENT | STYLE | {"seed", "parallel_tool_calls", "reasoning_effort", "reasoning"}
STRICT = "strict"  # of a function: the arguments keep to the schema
# Of messages and tools: left out and tried again likewise.
DISPENSABLE_WITHIN = (REASONING_CONTENT, REASONING_DETAILS, EXTRA_CONTENT, CACHE_CONTROL, STRICT)
# What a backend may insist on, and the words for it.
_WANTED = {
    REASONING_CONTENT: re.compile(r"reasoning[ _]content|content\[\]\.thinking", re.IGNORECASE),
    EXTRA_CONTENT: re.compile(r"thought[ _]?signature", re.IGNORECASE),
    REASONING_DETAILS: re.compile(r"reasoning[ _]details", re.IGNORECASE),
}
_INSISTS = re.compile(r"(?i)missing|must|required?|preserve|pass(?:ed)? back|need|include|expected|provide|lack")
_UNKNOWN = re.compile(
    r"(?i)unsupported|not support|unrecogni[sz]ed|unknown|unexpected|extra (?:inputs|fields)|not permitted|not allow|"
    r"extra_forbidden|not available|incompatible|does not take|不支持|未知"
)
_WRONG_VALUE = re.compile(
    r"(?i)only [^.]{1,60}? (?:is|are) (?:allowed|supported|accepted|valid)|only (?:allows?|supports?|accepts?) "
    r"|(?:must|should|needs? to|has to) (?:be|equal|lie)|out of range|range of|not in (?:the )?range|invalid"
    r"|at (?:most|least)|(?:less|greater|lower|higher|larger) than|expected|exceeds?|maximum|between|illegal|cannot be"
    r"|无效|范围"
)
_ABOUT_VALUE = re.compile(r"(?i)\bvalue\b|\bonly\b|\brange\b|\bmust be\b|\binvalid\b|\bat most\b|\bthan\b")
_WORD = r"(?<![a-zA-Z0-9_]){}(?![a-zA-Z0-9_])"
# Values that OpenAI takes, so that it is not the caller's fault where another does not.
_ORDINARY: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "top_logprobs": (0, 20),
    "n": (1, 128),
}
# Words of English too: they must stand as names.
_ENGLISH = frozenset({"user", "reasoning", "seed", "n"})
_SAID_AS_A_NAME = (
    r"""['"`.]{0}['"`]|(?<![\w.]){0}(?: parameter| field| argument| (?:must|should|is|has|cannot)\b|=|:)"""
)
_LIMITS = ("max_completion_tokens", "max_tokens")
_NUMBER = re.compile(r"\d[\d,]*\d|\d")


def body_of(
    request: ProviderRequest,
    *,
    stream: bool,
    refused: frozenset[str] = frozenset(),
    wanted: frozenset[str] = frozenset(),
    most_tokens: int | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Return the body and the names of what it leaves out.

    `refused` and `wanted` are parameters and keys of messages known not to be taken, or to be insisted on.
    `most_tokens` is the largest limit on the output that the backend is known to take.
    """
    target = request.target
    thinks = backends.thinks_anyway(target)
    messages, dropped = messages_for(target, request.messages, refused=refused, wanted=wanted)
    body: dict[str, Any] = {"model": target.model, "messages": messages}
    if request.params:
        dropped += _take_params(body, request, refused, thinks)
    if (effort := _effort(request, thinks)) is not None:
        if effort[0] in refused:
            dropped.append("reasoning_effort")
        else:
            body[effort[0]] = effort[1]
    limit = output_limit(request, thinking_budget(request, thinks_anyway=thinks))
    if limit is not None:
        key = _limit_key(target, thinks, refused)
        body[key] = limit if most_tokens is None else min(limit, most_tokens)
        if body[key] < limit:
            dropped.append(key)
    if stream:
        body["stream"] = True
        if "stream_options" not in refused:
            body["stream_options"] = {"include_usage": True}
    return body, dropped


def _take_params(body: dict[str, Any], request: ProviderRequest, refused: frozenset[str], thinks: bool) -> list[str]:
    """Add to the body what the target takes of the parameters; returns the names of the others that count."""
    target, dropped = request.target, []
    unwanted = refused | _params_openai_refuses(request) if thinks else refused
    taken = TAKEN_BY_OPENAI if target.provider == "openai" else COMMON
    cache = cache_of(target)
    takes_key = cache is not None and cache.takes_key
    for key, value in request.params.items():
        if value is None:
            continue
        is_taken = key in taken or (takes_key and key in KEYED)
        if is_taken and (key not in unwanted or (key == "temperature" and value == 1 and key not in refused)):
            body[key] = value
        elif key not in BOOKKEEPING:
            dropped.append(key)
    if "tools" in body and (STRICT in refused or CACHE_CONTROL in refused or not state_family(target).marks_cache):
        dropped += plain_tools(body, refused)
    return dropped


def plain_tools(body: dict[str, Any], refused: Set[str]) -> list[str]:
    """Take cache marks, and `strict` where it is refused, off the tools; returns the names of what was there."""
    unwanted = {CACHE_CONTROL} | ({STRICT} & refused)
    found = {
        key
        for tool in body["tools"]
        for holder in (tool, tool.get("function"))
        if isinstance(holder, dict)
        for key in unwanted & holder.keys()
    }
    if found:
        body["tools"] = [
            {
                key: {k: v for k, v in value.items() if k not in found} if key == "function" else value
                for key, value in tool.items()
                if key not in found
            }
            for tool in body["tools"]
        ]
    return [f"tools.{name}" for name in sorted(found)]


def unknown_parameter(message: str, param: str | None, sent: Json) -> str | None:
    """Find what a backend does not take of a body, if the answer can do without it (or by another name).

    A parameter that it does not know, a value that OpenAI takes and it does not, or a key within messages and tools.
    A value that nobody takes is the client's business and no answer to this question.
    """
    if "stream_options" in sent and ("stream_options" in message or "include_usage" in message):
        return "stream_options"
    is_unknown = _UNKNOWN.search(message) is not None
    if is_unknown and (within := _culprit_within(message, param)) is not None:
        return within
    if not is_unknown and not _WRONG_VALUE.search(message):
        return None
    candidates = (DISPENSABLE | {"n", *_LIMITS}) & sent.keys()
    if param is not None:
        culprit = next((key for key in candidates if param == key or param.startswith(f"{key}.")), None)
        if culprit is None and param in sent:
            return None
    else:
        culprit = None
    if culprit is None:
        named = [key for key in sorted(candidates, key=len, reverse=True) if _names(message, key)]
        culprit = named[0] if named else None
    if culprit is None or (not is_unknown and not _is_ordinary(culprit, sent[culprit])):
        return None
    return culprit


def state_in_demand(message: str) -> str | None:
    """Find the state that a backend insists on; None where it does not speak of any."""
    if not _INSISTS.search(message) or _UNKNOWN.search(message):
        return None
    return next((key for key, words in _WANTED.items() if words.search(message)), None)


def most_tokens_in(message: str, sent: Json) -> int | None:
    """Return the largest limit on the output that a refusal names, where ours was larger; None elsewhere."""
    ours = next((value for key in _LIMITS if isinstance(value := sent.get(key), int)), None)
    if ours is None or not any(_names(message, key) for key in (*_LIMITS, "completion tokens", "output tokens")):
        return None
    if "context" in message or not _WRONG_VALUE.search(message + (" at most" if "too large" in message else "")):
        return None
    numbers = [int(number.replace(",", "")) for number in _NUMBER.findall(message)]
    return max((number for number in numbers if 1 < number < ours), default=None)


def _culprit_within(message: str, param: str | None) -> str | None:
    """Find the key within messages or tools that is not taken."""
    if _names(message, DEVELOPER) and _names(message, "role|variant|developer"):
        return DEVELOPER
    for key in DISPENSABLE_WITHIN:
        if _names(message, key) or (param is not None and _names(param, key)):
            return key
    return None


def _names(message: str, key: str) -> bool:
    if key in _ENGLISH:
        return re.search(_SAID_AS_A_NAME.format(key), message) is not None
    return re.search(_WORD.format(f"(?:{key})"), message) is not None


def _is_ordinary(key: str, value: Any) -> bool:
    lowest, highest = _ORDINARY.get(key, (float("-inf"), float("inf")))
    return key not in _LIMITS and (not isinstance(value, (int, float)) or lowest <= value <= highest)


def is_for_good(message: str) -> bool:
    """Tell whether a refusal holds for every request, not only for this value of the parameter."""
    return not _ABOUT_VALUE.search(message)


def _params_openai_refuses(request: ProviderRequest) -> frozenset[str]:
    return frozenset() if backends.takes_sampling(request.target.model, request.effort) else SAMPLING


def _limit_key(target: ModelTarget, thinks: bool, refused: Set[str]) -> str:
    if "max_tokens" in refused:
        return "max_completion_tokens"
    wants_new = thinks or backends.is_openai_itself(target)
    return "max_completion_tokens" if wants_new and "max_completion_tokens" not in refused else "max_tokens"


def _effort(request: ProviderRequest, thinks: bool) -> tuple[str, Any] | None:
    """Return the key and value that ask for thinking; None where nothing was asked for."""
    target = request.target
    if target.provider == "openrouter" and (request.think or request.effort):
        if request.effort == "none":
            return "reasoning", {"enabled": False}
        if target.max_thinking_tokens is not None:
            return "reasoning", {"max_tokens": target.max_thinking_tokens}
        return "reasoning", {"effort": nearest_effort(request.effort or "medium", ("minimal", "low", "medium", "high"))}
    if request.effort is None:
        return None
    if thinks:
        return "reasoning_effort", nearest_effort(request.effort, backends.efforts_of(target.model))
    if backends.is_openai_itself(target):
        return None
    return "reasoning_effort", request.effort
