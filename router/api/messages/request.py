"""The body of a Messages request: parsed, checked, and translated to what chat completions call the same thing.

Every error names the parameter as Anthropic's API does (`messages.0.content.1.type`). What cannot be done here and
does not change what the answer is about is left out and named; see `left_out`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from router.api.chat.request import Limit, Unit, convert, find_unknown_keys, parse_object, require_keys
from router.api.messages.content import messages_of
from router.api.messages.tools import function_tools, tool_choice_of
from router.decision.engine import AUTO
from router.decision.rules import TIERS
from router.errors import InvalidRequest
from router.providers.thinking import BUDGET_TOKENS
from router.types import Effort

PARAMETER_NAMES = {
    "max_completion_tokens": "max_tokens",
    "response_format": "output_config.format",
    "reasoning_effort": "thinking",
    "stop": "stop_sequences",
}
ADAPTIVE_EFFORT: Effort = "high"
_SESSION = re.compile(r"""session(?:_id)?[_"':\s]+([0-9A-Za-z-]{8,64})""")


class ThinkingConfig(msgspec.Struct):
    """Whether thinking is asked for: with a budget, as the model likes, or not at all."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    display: str | None = None


class OutputConfig(msgspec.Struct):
    """How much effort goes into the answer, and its form."""

    effort: Effort | None = None
    format: dict[str, Any] | None = None


class ClientMetadata(msgspec.Struct):
    """What the client says of its user."""

    user_id: Annotated[str, Meta(max_length=1_024)] | None = None


class MessagesRequest(msgspec.Struct):
    """Anthropic's request body: every parameter that has a meaning here. Null is as good as absent.

    `ignored` names unknown keys, `left_out` what is known and cannot be passed on.
    """

    model: Annotated[str, Meta(min_length=1, max_length=256)]
    messages: list[Any]
    max_tokens: Limit | None = None
    system: str | list[Any] | None = None
    stream: bool | None = None
    temperature: Unit | None = None
    top_p: Unit | None = None
    top_k: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    stop_sequences: Annotated[list[str], Meta(max_length=8_191)] | None = None
    tools: Annotated[list[dict[str, Any]], Meta(max_length=512)] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: ThinkingConfig | None = None
    metadata: ClientMetadata | None = None
    output_config: OutputConfig | None = None
    output_format: dict[str, Any] | None = None
    cache_control: dict[str, Any] | None = None
    service_tier: Literal["auto", "standard_only"] | None = None

    ignored: list[str] = []
    left_out: list[str] = []


KNOWN = frozenset(MessagesRequest.__struct_fields__) - {"ignored", "left_out"}


def parse_messages(body: bytes, *, strict: bool, needs_limit: bool = True) -> MessagesRequest:
    """Parse and check a request; its messages and tools come back as chat completions have them.

    Counting tokens needs no limit. Raises InvalidRequest naming the parameter.
    """
    decoded = parse_object(body)
    ignored = find_unknown_keys(decoded, KNOWN, strict=strict)
    require_keys(decoded, ("model", "max_tokens", "messages") if needs_limit else ("model", "messages"))
    request = convert({name: value for name, value in decoded.items() if name in KNOWN}, MessagesRequest)
    request.ignored = ignored
    request.tools, left_out = function_tools(request.tools or ())
    request.messages, left_out_of_history = messages_of(request.system, request.messages)
    request.left_out = [*left_out, *left_out_of_history]
    return request


def params_of(request: MessagesRequest) -> dict[str, Any]:
    """Pick what may be passed on to a provider, by the names of chat completions."""
    params: dict[str, Any] = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
    params["stop"] = request.stop_sequences or None
    params["cache_control"] = request.cache_control
    if request.tools:
        params["tools"] = request.tools
        params |= tool_choice_of(request.tool_choice, request.tools)
    wanted = (request.output_config.format if request.output_config else None) or request.output_format
    if wanted is not None:
        params["response_format"] = _response_format(wanted)
    return {name: value for name, value in params.items() if value is not None}


def effort_of(request: MessagesRequest, model: str) -> Effort | None:
    """How much thinking is asked for; None where the choice is left to us or the model.

    Adaptive thinking leaves it to the model whether to think. For `auto` that is our choice, whatever the effort; a
    tier thinks as it is set to, and a model by its own name as Anthropic's do where nothing is said.
    """
    thinking = request.thinking
    effort = request.output_config.effort if request.output_config else None
    if thinking is None:
        return effort
    if thinking.type == "disabled":
        return "none"
    if thinking.type == "adaptive":
        return None if model == AUTO else effort or (None if model in TIERS else ADAPTIVE_EFFORT)
    return effort or _effort_for(thinking.budget_tokens or 0)


def limits_of(request: MessagesRequest) -> tuple[int | None, int | None]:
    """The limits on visible and on all output: `max_tokens` counts the thinking that the client asked for."""
    asked_to_think = request.thinking is not None and request.thinking.type != "disabled"
    return (None, request.max_tokens) if asked_to_think else (request.max_tokens, None)


def session_of(request: MessagesRequest) -> Mapping[str, str] | None:
    """The conversation, where the client names it inside its user id, as Claude Code does."""
    user_id = request.metadata.user_id if request.metadata else None
    found = _SESSION.search(user_id) if user_id else None
    return {"conversation_id": found[1]} if found else None


def user_of(request: MessagesRequest) -> str | None:
    """The end user, without the session that clients write into the same id: one person has many."""
    user_id = request.metadata.user_id if request.metadata else None
    return _SESSION.sub("", user_id) or None if user_id else None


def _effort_for(budget_tokens: int) -> Effort:
    """The level of effort that a budget stands for; no budget asks for more than one chain of thought."""
    if budget_tokens <= BUDGET_TOKENS["low"]:
        return "low"
    return "medium" if budget_tokens <= BUDGET_TOKENS["medium"] else "high"


def _response_format(wanted: dict[str, Any]) -> dict[str, Any]:
    where = "output_config.format"
    if wanted.get("type") != "json_schema":
        raise InvalidRequest("a format's type is json_schema", param=f"{where}.type", code="invalid_value")
    if not isinstance(wanted.get("schema"), dict):
        raise InvalidRequest("schema is a JSON schema", param=f"{where}.schema", code="invalid_type")
    return {"type": "json_schema", "json_schema": {"name": "output", "schema": wanted["schema"], "strict": True}}
