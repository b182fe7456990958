"""Our request as arguments of litellm's `acompletion`: nothing goes in that is not named here. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

from router.errors import ProviderRefused
from router.providers.base import ModelTarget, ProviderRequest
from router.providers.catalog import FAMILIES
from router.providers.litellm.thinking import claude_version, thinking_arguments
from router.providers.openai.body import BOOKKEEPING, COMMON, messages_for

ALLOWED = COMMON | {"user", "service_tier", "modalities", "audio", "prediction", "web_search_options"}
NO_KEY = "none"
NEEDED = {"tools", "response_format"}  # without them the answer is another one


def arguments_of(
    request: ProviderRequest, supported: Collection[str], *, stream: bool
) -> tuple[dict[str, Any], list[str]]:
    """Return the arguments and the names of the parameters left out; raises ProviderRefused for one that is needed."""
    target = request.target
    thinking = thinking_arguments(request, supported)
    params, dropped = _parameters(
        request, supported, is_thinking="thinking" in thinking or "reasoning_effort" in thinking
    )
    arguments = {
        "model": target.name,
        "messages": messages_for(target, request.messages),
        "api_base": target.api_base,
        "api_key": target.api_key or _withheld(target),
        "timeout": target.timeout_s,
        "num_retries": 0,
        "max_retries": 0,
        "no-log": True,
        "stream": stream,
        **params,
        **thinking,
    }
    if stream:
        arguments["stream_options"] = {"include_usage": True}
    return arguments, dropped


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
    family = FAMILIES.get(target.provider)
    return NO_KEY if target.api_base and family and family.key_variables else None


def _parameters(
    request: ProviderRequest, supported: Collection[str], *, is_thinking: bool
) -> tuple[dict[str, Any], list[str]]:
    params: dict[str, Any] = {}
    dropped = []
    for key, value in request.params.items():
        if value is None:
            continue
        if key in ALLOWED and (key in supported or (key == "top_logprobs" and "logprobs" in supported)):
            params[key] = value
        elif key in NEEDED:
            message = f"{request.target.name} does not take {key}"
            raise ProviderRefused(message, param=key, code="unsupported_parameter", provider_status=400)
        elif key not in BOOKKEEPING and key != "n":  # who asks for n calls again for those that are missing
            dropped.append(key)
    if (version := claude_version(request.target.model)) is not None:
        dropped += _fit_claude(params, version, is_thinking=is_thinking)
    return params, dropped


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
