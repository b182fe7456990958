"""The response object: OpenAI's schema with every key, nullable ones null, and its output items."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from router.api.responses.request import ResponsesRequest
from router.types import Usage

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
DEFAULT_SERVICE = "default"
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class OutputText(msgspec.Struct):
    """Visible text."""

    text: str
    logprobs: list[Any]
    annotations: list[Any] = []
    type: str = "output_text"


class Refusal(msgspec.Struct):
    """A refusal."""

    refusal: str
    type: str = "refusal"


class SummaryText(msgspec.Struct):
    """Thinking as it is shown."""

    text: str
    type: str = "summary_text"


class MessageItem(msgspec.Struct):
    """What the assistant says."""

    id: str
    status: str
    content: list[OutputText | Refusal]
    role: str = "assistant"
    type: str = "message"


class ReasoningItem(msgspec.Struct):
    """What the model thought before it spoke."""

    id: str
    status: str
    summary: list[SummaryText]
    encrypted_content: str | UnsetType = UNSET
    type: str = "reasoning"


class FunctionCallItem(msgspec.Struct):
    """A function the client is asked to call."""

    id: str
    status: str
    call_id: str
    name: str
    arguments: str
    type: str = "function_call"


class CustomCallItem(msgspec.Struct):
    """A free-form tool the client is asked to call."""

    id: str
    status: str
    call_id: str
    name: str
    input: str
    type: str = "custom_tool_call"


Item = MessageItem | ReasoningItem | FunctionCallItem | CustomCallItem


class ResponseBody(msgspec.Struct):
    """A response as the client sees it; what was not asked for is as OpenAI says it is then."""

    id: str
    created_at: int
    model: str
    status: Status
    output: list[Item]
    store: bool
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str]
    parallel_tool_calls: bool
    previous_response_id: str | None
    prompt_cache_key: str | None
    prompt_cache_retention: str | None
    reasoning: dict[str, str | None]
    safety_identifier: str | None
    temperature: float
    text: dict[str, Any]
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    top_logprobs: int
    top_p: float
    user: str | UnsetType
    object: str = "response"
    background: bool = False
    completed_at: int | None = None
    conversation: None = None
    error: dict[str, str] | None = None
    incomplete_details: dict[str, str] | None = None
    prompt: None = None
    service_tier: str = DEFAULT_SERVICE
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    truncation: str = "disabled"
    usage: dict[str, Any] | None = None
    x_tierwise: dict[str, Any] | UnsetType = UNSET


def response_to(request: ResponsesRequest, response_id: str, created: int) -> ResponseBody:
    """Begin the response to a request."""
    reasoning, text = request.reasoning, request.text
    return ResponseBody(
        id=response_id,
        created_at=created,
        model=request.model,
        status="in_progress",
        output=[],
        store=bool(request.store),
        instructions=request.instructions,
        max_output_tokens=request.max_output_tokens,
        max_tool_calls=request.max_tool_calls,
        metadata=request.metadata or {},
        parallel_tool_calls=request.parallel_tool_calls is not False,
        previous_response_id=request.previous_response_id,
        prompt_cache_key=request.prompt_cache_key,
        prompt_cache_retention=request.prompt_cache_retention,
        reasoning={
            "effort": reasoning.effort if reasoning else None,
            "summary": (reasoning.summary or reasoning.generate_summary) if reasoning else None,
        },
        safety_identifier=request.safety_identifier,
        temperature=1.0 if request.temperature is None else request.temperature,
        text={"format": {"type": "text"}} | (msgspec.to_builtins(text) if text else {}),
        tool_choice=request.tool_choice if request.tool_choice is not None else "auto",
        tools=[_tool_for_client(tool) for tool in request.tools or ()],
        top_logprobs=request.top_logprobs or 0,
        top_p=1.0 if request.top_p is None else request.top_p,
        user=UNSET if request.user is None else request.user,
    )


def _tool_for_client(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool with the keys that clients rely on."""
    if tool["type"] == "custom":
        return {key: tool[key] for key in ("type", "name", "description", "format") if tool.get(key) is not None}
    return {"parameters": None, "strict": None, "description": None, **tool}


def status_of(finish_reason: str) -> Status:
    """Tell whether an answer with this finish reason is whole."""
    return "incomplete" if finish_reason in INCOMPLETE else "completed"


def usage_body(usage: Usage) -> dict[str, Any]:
    """Write usage as the Responses API does: cached inside input tokens, thinking inside output tokens."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.input_cached,
            "cache_write_tokens": usage.input_cache_write,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.output_reasoning},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
