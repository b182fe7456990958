"""Our request as a body in OpenAI's dialect, shaped for the backend it goes to. Pure."""

import re
from collections.abc import Set
from typing import Any

from router.providers.base import ModelTarget, ProviderRequest
from router.providers.openai import backends
from router.providers.thinking import nearest_effort, output_limit, thinking_budget

SAMPLING = frozenset(
    {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias"}
)
COMMON = SAMPLING | {"n", "stop", "seed", "tools", "tool_choice", "parallel_tool_calls", "response_format"}
# About the client, not the answer: nothing is lost when a backend does not see it.
ABOUT_CLIENT = frozenset({"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"})
BOOKKEEPING = ABOUT_CLIENT | {"metadata", "store"}
STYLE = frozenset({"verbosity", "service_tier", "prediction", "web_search_options"})
TAKEN_BY_OPENAI = COMMON | ABOUT_CLIENT | STYLE | {"modalities", "audio"}
# Left out and tried again when a backend does not know them: the answer means the same without.
DISPENSABLE = SAMPLING | ABOUT_CLIENT | STYLE | {"seed", "parallel_tool_calls", "reasoning_effort", "reasoning"}
MESSAGE_KEYS = frozenset({"role", "content", "name", "tool_calls", "refusal", "audio", "function_call"})

_UNKNOWN = re.compile(
    r"(?i)unsupported|not support|unrecogni[sz]ed|unknown|unexpected|extra inputs|not permitted|not allow"
)
_ABOUT_VALUE = re.compile(r"(?i)\bvalue\b")


def body_of(
    request: ProviderRequest, *, stream: bool, refused: Set[str] = frozenset()
) -> tuple[dict[str, Any], list[str]]:
    """Return the body and the names of the parameters it leaves out; `refused` are those known not to be taken."""
    target = request.target
    thinks = backends.thinks_anyway(target)
    body: dict[str, Any] = {"model": target.model, "messages": messages_for(target, request.messages)}
    dropped = []
    unwanted = refused | (_params_openai_refuses(request) if thinks else frozenset())
    taken = TAKEN_BY_OPENAI if target.provider == "openai" else COMMON
    for key, value in request.params.items():
        if value is None:
            continue
        if key in taken and (key not in unwanted or (key == "temperature" and value == 1)):
            body[key] = value
        elif key not in BOOKKEEPING:
            dropped.append(key)
    if (effort := _effort(request, thinks)) is not None:
        if effort[0] in refused:
            dropped.append("reasoning_effort")
        else:
            body[effort[0]] = effort[1]
    limit = output_limit(request, thinking_budget(request, thinks_anyway=thinks))
    if limit is not None:
        body[_limit_key(target, thinks, refused)] = limit
    if stream:
        body["stream"] = True
        if "stream_options" not in refused:
            body["stream_options"] = {"include_usage": True}
    return body, dropped


def messages_for(target: ModelTarget, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages as the backend takes them: without our own keys, `developer` only where it is known."""
    is_openai = target.provider == "openai"
    keeps = MESSAGE_KEYS | {"reasoning_content"} if target.provider == "deepseek" else MESSAGE_KEYS
    shaped = []
    for message in messages:
        role = message.get("role")
        if role == "assistant":
            message = {k: v for k, v in message.items() if k in keeps and (v is not None or k == "content")}
        elif role == "developer" and not is_openai:
            message = {**message, "role": "system"}
        shaped.append(message)
    return shaped


def unknown_parameter(message: str, param: str | None, sent: Set[str]) -> str | None:
    """Find the sent parameter that a backend does not know, if the answer can do without it (or by another name).

    A known parameter with a wrong value is the client's business and no answer to this question.
    """
    if "stream_options" in sent and ("stream_options" in message or "include_usage" in message):
        return "stream_options"
    if not _UNKNOWN.search(message):
        return None
    candidates = (DISPENSABLE | {"max_tokens", "max_completion_tokens"}) & sent
    if param is not None:
        return param if param in candidates else None
    named = [key for key in sorted(candidates, key=len, reverse=True) if key in message]
    return named[0] if named else None


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
