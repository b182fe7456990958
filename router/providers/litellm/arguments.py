"""Our request as arguments of litellm's `acompletion`: nothing goes in that is not named here. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

from router.errors import ProviderRefused
from router.providers.base import ModelTarget, ProviderRequest
from router.providers.catalog import FAMILIES, RELATIVES
from router.providers.litellm.answers import OWN_KEY
from router.providers.litellm.thinking import claude_version, thinking_arguments
from router.providers.openai.body import BOOKKEEPING, COMMON, KEYED, plain_tools
from router.providers.openai.lessons import NOTHING_LEARNT, Lessons
from router.providers.outgoing import messages_for
from router.providers.state import EXTRA_CONTENT, THOUGHT_SIGNATURE, signature_of, state_family
from router.providers.thinking import LEAST_VISIBLE_TOKENS
from router.providers.thinking_blocks import KEY as THINKING_BLOCKS

ALLOWED = COMMON | {"user", "service_tier", "modalities", "audio", "prediction", "web_search_options"} | KEYED
NO_KEY = "none"
COHERE = frozenset({"cohere", "cohere_chat"})
LEAVES_TOOL_CHOICE = COHERE | {"ollama_chat"}
NEEDED = {"tools", "response_format"}  # without them the answer is another one


def arguments_of(
    request: ProviderRequest, supported: Collection[str], lessons: Lessons = NOTHING_LEARNT, *, stream: bool
) -> tuple[dict[str, Any], list[str]]:
    """Return the arguments and the names of what is left out; raises ProviderRefused for a parameter that is needed."""
    target = request.target
    messages, dropped = messages_for(
        target, request.messages, refused=lessons.refused, wanted=lessons.wanted, keeps_signed_ids=True
    )
    thinking = thinking_arguments(request, supported, messages)
    is_thinking = "thinking" in thinking or "reasoning_effort" in thinking
    if not is_thinking and THINKING_BLOCKS in state_family(target).on_messages:
        dropped += _take_off_thinking(messages)
    params, left_out = _parameters(request, supported, lessons, is_thinking=is_thinking)
    if params.get("tools") and not state_family(target).marks_cache:
        left_out += plain_tools(params, lessons.refused)
    _keep_within(thinking, lessons.most_tokens)
    arguments = {
        "model": target.name,
        "messages": [_with_signatures(message) for message in messages]
        if state_family(target).signs_calls
        else messages,
        "api_base": target.api_base,
        "api_key": target.api_key or _withheld(target),
        "timeout": target.timeout_s,
        "num_retries": 0,
        "max_retries": 0,
        "no-log": True,
        "_skip_mcp_handler": True,  # else it is imported with the first tool, and wants a library of its own
        "stream": stream,
        **params,
        **thinking,
    }
    if stream:
        arguments["stream_options"] = {"include_usage": True}
    return arguments, dropped + left_out


def _take_off_thinking(messages: list[dict[str, Any]]) -> list[str]:
    """Take signed thinking off where the model is not to think: a turn may not hold it then."""
    found = False
    for place, message in enumerate(messages):
        if THINKING_BLOCKS in message:
            messages[place] = {key: value for key, value in message.items() if key != THINKING_BLOCKS}
            found = True
    return [f"messages.{THINKING_BLOCKS}"] if found else []


def _with_signatures(message: dict[str, Any]) -> dict[str, Any]:
    """Put signatures of thoughts where litellm looks for them."""
    if EXTRA_CONTENT not in message and not message.get("tool_calls"):
        return message
    written = {key: value for key, value in message.items() if key != EXTRA_CONTENT}
    if (signature := signature_of(message)) is not None:
        written[OWN_KEY] = {"thought_signatures": [signature]}
    if message.get("tool_calls"):
        written["tool_calls"] = [_call_with_signature(call) for call in message["tool_calls"]]
    return written


def _call_with_signature(call: dict[str, Any]) -> dict[str, Any]:
    signature = signature_of(call)
    written = {key: value for key, value in call.items() if key != EXTRA_CONTENT}
    return written if signature is None else {**written, OWN_KEY: {THOUGHT_SIGNATURE: signature}}


def _keep_within(thinking: dict[str, Any], most_tokens: int | None) -> None:
    """Keep the limit on the output, and the thinking inside it, within what the model was found to take."""
    limit = thinking.get("max_tokens")
    if most_tokens is None or limit is None or limit <= most_tokens:
        return
    thinking["max_tokens"] = most_tokens
    budget = thinking.get("thinking", {}).get("budget_tokens", 0)
    if budget > most_tokens - LEAST_VISIBLE_TOKENS:
        thinking["thinking"] = {**thinking["thinking"], "budget_tokens": most_tokens - LEAST_VISIBLE_TOKENS}


def embedding_arguments(target: ModelTarget, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of litellm's `aembedding`."""
    wanted = ("dimensions", "encoding_format", "user", "input_type")
    return {
        "model": target.name,
        "input": body["input"],
        "api_base": target.api_base,
        "api_key": target.api_key or _withheld(target),
        "timeout": target.timeout_s,
        "max_retries": 0,
        "drop_params": True,
        **{key: body[key] for key in wanted if key in body},
    }


def _withheld(target: ModelTarget) -> str | None:
    """Return what stands for a key at a server not the family's own: else litellm would send it the family's key."""
    if target.provider == "ollama_chat":  # its own server stands here and has no key
        return NO_KEY
    family = FAMILIES.get(RELATIVES.get(target.provider, target.provider))
    return NO_KEY if target.api_base and family and family.key_variables else None


def _parameters(
    request: ProviderRequest, supported: Collection[str], lessons: Lessons, *, is_thinking: bool
) -> tuple[dict[str, Any], list[str]]:
    params: dict[str, Any] = {}
    dropped = []
    target = request.target
    for key, value in request.params.items():
        if value is None:
            continue
        if key == "response_format" and target.provider in COHERE:
            params |= _cohere_format(value)
            continue
        if key == "tool_choice" and value != "auto" and target.provider in LEAVES_TOOL_CHOICE:
            dropped.append(key)  # litellm takes it and leaves it out
            continue
        is_known = key in supported or (key == "top_logprobs" and "logprobs" in supported)
        if key in ALLOWED and is_known and key not in lessons.refused:
            params[key] = value
        elif key in NEEDED:
            message = f"{request.target.name} does not take {key}"
            refused = ProviderRefused(message, param=key, code="unsupported_parameter", dispatched=False)
            refused.retryable = True  # another model may take it
            raise refused
        elif key not in BOOKKEEPING and key != "n":  # who asks for n calls again for those that are missing
            dropped.append(key)
    if (version := claude_version(request.target.model)) is not None:
        dropped += _fit_claude(params, version, is_thinking=is_thinking)
    return params, dropped


def _cohere_format(wanted: dict[str, Any]) -> dict[str, Any]:
    """Write a form of the answer as Cohere does; litellm passes it on as it is."""
    schema = (wanted.get("json_schema") or {}).get("schema")
    kind = "text" if wanted.get("type") == "text" else "json_object"
    form = {"type": kind} if schema is None else {"type": kind, "json_schema": schema}
    return {"response_format": form, "allowed_openai_params": ["response_format"]}


def _fit_claude(params: dict[str, Any], version: tuple[int, int], *, is_thinking: bool) -> list[str]:
    """Drop sampling that Claude refuses: all while it thinks and since 4.7, one of two since 4.1; at most 1."""
    given: list[str] = [key for key in ("temperature", "top_p") if key in params]
    unwanted = given if is_thinking or version >= (4, 7) else given[1:] if version >= (4, 1) else []
    for key in unwanted:
        del params[key]
    if params.get("temperature", 0) > 1:
        params["temperature"] = 1
        unwanted = [*unwanted, "temperature"]
    return unwanted
