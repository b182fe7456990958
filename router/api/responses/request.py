"""The body of a Responses request: parsed, checked, and translated to what chat completions call the same thing.

Every error names the parameter as the client wrote it. What would change the answer and cannot be done here is
refused; what would not is noted as ignored.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from router.api.chat.request import (
    LOGGED_TEXT,
    Limit,
    Unit,
    convert,
    find_unknown_keys,
    parse_object,
    require_keys,
    require_stored,
)
from router.errors import InvalidRequest
from router.jobs.job import JobWish
from router.jobs.windows import CompletionWindow
from router.types import Effort

LOGPROBS = "message.output_text.logprobs"
SEALED_THINKING = "reasoning.encrypted_content"
OWN_TOOLS = ("function", "custom")  # that the client runs; all others would have to be run here
REFUSED = ("conversation", "prompt", "moderation")
PASSED = (
    "temperature",
    "top_p",
    "parallel_tool_calls",
    "top_logprobs",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
)
PARAMETER_NAMES = {
    "messages": "input",
    "response_format": "text.format",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "logprobs": "include",
}


class BackgroundOptions(msgspec.Struct):
    """How OpenAI spells by when a background answer is wanted."""

    completion_window: CompletionWindow | None = None


class TextConfig(msgspec.Struct, omit_defaults=True):
    """The form of the text."""

    format: dict[str, Any] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningConfig(msgspec.Struct):
    """How much thinking is asked for, and whether it is shown."""

    effort: Effort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class ResponsesRequest(msgspec.Struct):
    """OpenAI's request body: every parameter that has a meaning here. Null is as good as absent."""

    model: Annotated[str, Meta(min_length=1, max_length=256)]
    input: str | list[Any]
    instructions: str | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    max_output_tokens: Limit | None = None
    max_tool_calls: Limit | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Unit | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    include: list[str] | None = None
    tools: Annotated[list[dict[str, Any]], Meta(max_length=512)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    truncation: Literal["auto", "disabled"] | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    previous_response_id: Annotated[str, Meta(max_length=256)] | None = None
    store: bool | None = None
    background: bool | None = None
    metadata: Annotated[dict[str, LOGGED_TEXT], Meta(max_length=16)] | None = None
    user: LOGGED_TEXT | None = None
    safety_identifier: LOGGED_TEXT | None = None
    prompt_cache_key: LOGGED_TEXT | None = None
    prompt_cache_retention: str | None = None
    conversation: Any = None
    prompt: Any = None
    moderation: Any = None
    background_options: BackgroundOptions | None = None
    x_tierwise: JobWish | None = None  # of a background job

    ignored: list[str] = []
    dropped: list[str] = []


def wish_of(request: ResponsesRequest) -> JobWish:
    """Read what is wished of a background job; a window of our own field beats OpenAI's."""
    wish, options = request.x_tierwise or JobWish(), request.background_options
    if options is None or wish.completion_window is not None:
        return wish
    return msgspec.structs.replace(wish, completion_window=options.completion_window)


KNOWN = frozenset(ResponsesRequest.__struct_fields__) - {"ignored", "dropped"}


def parse_responses(body: bytes, *, strict: bool) -> ResponsesRequest:
    """Parse and check a Responses request; raises InvalidRequest naming the parameter."""
    decoded = parse_object(body)
    ignored = find_unknown_keys(decoded, KNOWN, strict=strict)
    require_keys(decoded, ("model", "input"))
    for name in REFUSED:
        if decoded.get(name) is not None:
            raise _not_supported(f"{name} is not supported", name)
    request = convert({name: value for name, value in decoded.items() if name in KNOWN}, ResponsesRequest)
    request.ignored = ignored
    require_stored(background=request.background, store=request.store)
    _note_ignored(request)
    for position, tool in enumerate(request.tools or ()):
        _check_tool(tool, f"tools[{position}]")
    _leave_out_hosted(request)
    if request.text is not None and request.text.format is not None:
        _check_format(request.text.format)
    _check_tool_choice(request)
    return request


def params_of(request: ResponsesRequest) -> dict[str, Any]:
    """Pick what may be passed on to a provider, under the names of chat completions."""
    params = {name: value for name in PASSED if (value := getattr(request, name)) is not None}
    if request.top_logprobs is not None or LOGPROBS in (request.include or ()):
        params["logprobs"] = True
    if request.text is not None:
        params |= _text_params(request.text)
    if request.tools:
        params |= _tool_params(request.tools, request.tool_choice)
    return params


def _text_params(text: TextConfig) -> dict[str, Any]:
    params: dict[str, Any] = {}
    if text.verbosity is not None:
        params["verbosity"] = text.verbosity
    match text.format:
        case {"type": "json_schema", **schema}:
            kept = {key: schema[key] for key in ("name", "description", "schema", "strict") if key in schema}
            params["response_format"] = {"type": "json_schema", "json_schema": kept}
        case {"type": "json_object"}:
            params["response_format"] = {"type": "json_object"}
    return params


def _tool_params(tools: list[dict[str, Any]], choice: str | dict[str, Any] | None) -> dict[str, Any]:
    """Flat tools as nested ones; a list of allowed tools becomes the list of tools."""
    wanted: Any
    match choice:
        case {"type": "function" | "custom" as kind, "name": name}:
            wanted = {"type": kind, kind: {"name": name}}
        case {"type": "allowed_tools", "tools": [*allowed], **rest}:
            names = {tool.get("name") for tool in allowed}
            tools, wanted = [tool for tool in tools if tool["name"] in names], rest.get("mode", "auto")
        case _:
            wanted = choice
    params: dict[str, Any] = {"tools": [_chat_tool(tool) for tool in tools]}
    return params if wanted is None else params | {"tool_choice": wanted}


def _chat_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Write a tool as chat completions do."""
    if tool["type"] == "custom":
        custom = {key: tool[key] for key in ("name", "description") if tool.get(key) is not None}
        match tool.get("format"):
            case {"type": "grammar", **grammar}:
                named = {key: grammar[key] for key in ("syntax", "definition") if key in grammar}
                custom["format"] = {"type": "grammar", "grammar": named}
            case {"type": "text"}:
                custom["format"] = {"type": "text"}
        return {"type": "custom", "custom": custom}
    keys = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {key: tool[key] for key in keys if tool.get(key) is not None}}


def _leave_out_hosted(request: ResponsesRequest) -> None:
    """Leave out tools that a service would have to run itself, and name them."""
    hosted = [tool["type"] for tool in request.tools or () if tool["type"] not in OWN_TOOLS]
    if hosted:
        request.dropped += [f"tools.{kind[:64]}" for kind in dict.fromkeys(hosted)]
        request.tools = [tool for tool in request.tools or () if tool["type"] in OWN_TOOLS] or None


def _note_ignored(request: ResponsesRequest) -> None:
    """Note what is accepted and has no effect here."""
    if request.truncation == "auto":
        request.ignored.append("truncation")
    request.ignored += [
        f"include.{name[:64]}" for name in request.include or () if name not in (LOGPROBS, SEALED_THINKING)
    ]


def _check_tool(tool: dict[str, Any], path: str) -> None:
    kind = tool.get("type")
    if not isinstance(kind, str):
        raise InvalidRequest("a tool needs a type", param=f"{path}.type", code="missing_required_parameter")
    if kind not in OWN_TOOLS:
        return
    if not isinstance(tool.get("name"), str) or not tool["name"]:
        raise InvalidRequest(f"a {kind} tool needs a name", param=f"{path}.name", code="missing_required_parameter")
    if not isinstance(tool.get("parameters"), (dict, type(None))):
        raise InvalidRequest("parameters is a JSON schema", param=f"{path}.parameters", code="invalid_type")


def _check_tool_choice(request: ResponsesRequest) -> None:
    match request.tool_choice:
        case None | "none" | "auto":
            return
        case "required":
            pass
        case {"type": "function" | "custom", "name": str()}:
            pass
        case {"type": "allowed_tools", "tools": [*allowed], **rest} if all(isinstance(tool, dict) for tool in allowed):
            if rest.get("mode", "auto") not in ("auto", "required"):
                raise InvalidRequest("mode is auto or required", param="tool_choice.mode", code="invalid_value")
        case _:
            message = "tool_choice is none, auto, required, a function, a custom tool or a list of allowed tools"
            raise InvalidRequest(message, param="tool_choice", code="invalid_value")
    if not request.tools:
        raise InvalidRequest("tool_choice needs tools", param="tool_choice", code="invalid_value")


def _check_format(wanted: dict[str, Any]) -> None:
    match wanted:
        case {"type": "text" | "json_object"}:
            return
        case {"type": "json_schema"}:
            pass
        case _:
            message = "text.format.type is text, json_object or json_schema"
            raise InvalidRequest(message, param="text.format.type", code="invalid_value")
    if not isinstance(wanted.get("name"), str):
        raise InvalidRequest("json_schema needs a name", param="text.format.name", code="missing_required_parameter")
    if not isinstance(wanted.get("schema"), dict):
        raise InvalidRequest("schema is a JSON schema", param="text.format.schema", code="invalid_type")


def _not_supported(message: str, param: str) -> InvalidRequest:
    return InvalidRequest(message, param=param, code="unsupported_parameter")
