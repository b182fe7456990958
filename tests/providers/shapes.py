"""Bodies and chunks as OpenAI-shaped backends send them, written by us."""

from typing import Any

from router.providers.base import ModelTarget, ProviderRequest

USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 9,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 4},
}


def an_answer(content: str | None = "Paris.", *, usage: object = USAGE, **message: object) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": "stop"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-2026",
        "choices": [choice],
        "usage": usage,
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }


def a_chunk(
    content: str | None = None, finish: str | None = None, *, index: int = 0, usage: object = None, **delta: Any
) -> dict[str, Any]:
    said = delta if content is None else {"content": content, **delta}
    choice = {"index": index, "delta": said, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }


def a_usage_chunk(usage: object = USAGE) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [],
        "usage": usage,
    }


def a_request(
    name: str = "openai/gpt-4o-mini",
    text: str = "Capital of France?",
    *,
    api_base: str | None = None,
    api_key: str | None = "sk-secret-key-1234567890",
    timeout_s: float = 5.0,
    max_thinking_tokens: int | None = None,
    params: dict[str, Any] | None = None,
    messages: list[dict[str, Any]] | None = None,
    effort: str | None = None,
    think: bool = False,
    max_visible_tokens: int | None = None,
    max_output_tokens: int | None = None,
) -> ProviderRequest:
    target = ModelTarget(name, api_base, api_key, timeout_s=timeout_s, max_thinking_tokens=max_thinking_tokens)
    return ProviderRequest(
        target,
        messages or [{"role": "user", "content": text}],
        params or {},
        effort=effort,
        think=think,
        max_visible_tokens=max_visible_tokens,
        max_output_tokens=max_output_tokens,
    )
