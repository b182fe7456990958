"""The body of a chat request: parsed, checked and cut down to what is allowed.

Every error names the parameter as the client wrote it. What leaves this module holds only allow-listed keys: nothing
that steers the server or a provider's client (api_base, api_key, extra_headers, ...) gets past it.
"""

import re
from collections.abc import Sequence, Set
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from router.api.chat.messages import clean_messages
from router.errors import InvalidRequest
from router.jobs.job import JobWish
from router.providers.state import CACHE_CONTROL, cache_mark
from router.types import Effort

Unit = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Limit = Annotated[int, Meta(ge=1, le=10_000_000)]
Shape = TypeVar("Shape")
LOGGED_TEXT = Annotated[str, Meta(max_length=512)]


class StreamOptions(msgspec.Struct):
    """What the client wants of its stream."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ReasoningOptions(msgspec.Struct):
    """How some clients spell the effort."""

    effort: Effort | None = None


class ChatRequest(msgspec.Struct):
    """OpenAI's request body: every parameter that has a meaning here. Null is as good as absent."""

    model: Annotated[str, Meta(min_length=1, max_length=256)]
    messages: list[Any]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Unit | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: str | Annotated[list[str], Meta(max_length=4)] | None = None
    tools: Annotated[list[dict[str, Any]], Meta(max_length=512)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[dict[str, Any]], Meta(max_length=512)] | None = None
    function_call: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: Effort | None = None
    reasoning: ReasoningOptions | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None
    metadata: Annotated[dict[str, LOGGED_TEXT], Meta(max_length=16)] | None = None
    store: bool | None = None
    user: LOGGED_TEXT | None = None
    safety_identifier: LOGGED_TEXT | None = None
    prompt_cache_key: LOGGED_TEXT | None = None
    prompt_cache_retention: str | None = None
    background: bool | None = None
    x_tierwise: JobWish | None = None  # of a background job

    ignored: list[str] = []
    dropped: list[str] = []


PASSED = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "seed",
    "stop",
    "n",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "verbosity",
    "service_tier",
    "modalities",
    "audio",
    "prediction",
    "web_search_options",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
)
FUNCTION_KEYS = ("name", "description", "parameters", "strict")
STEERING = frozenset({"api_base", "api_key", "base_url", "extra_headers", "extra_body", "model_list"})
KNOWN = frozenset(ChatRequest.__struct_fields__) - {"ignored", "dropped"}
DEEPEST = 200
NEEDS_STORE = "background: true needs store: true, because an answer that nobody waits for has to be kept; add it"
TOO_DEEP = "the body is nested too deeply"
_decode = msgspec.json.Decoder().decode
_PATH = re.compile(r" - at `\$\.?(.*)`$")
_MISSING = re.compile(r"missing required field `(\w+)`")


def parse_json(body: bytes) -> Any:
    """Decode a JSON body; raises InvalidRequest."""
    try:
        decoded = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}", param="body", code="invalid_json") from None
    except RecursionError:
        raise InvalidRequest(TOO_DEEP, param="body", code="invalid_json") from None
    # What only just fits the stack here would not where it is encoded again.
    if body.count(b"{") + body.count(b"[") > DEEPEST and _is_deeper_than(DEEPEST, decoded):
        raise InvalidRequest(TOO_DEEP, param="body", code="invalid_json")
    return decoded


def convert(decoded: Any, shape: type[Shape]) -> Shape:
    """Check decoded JSON against a struct; raises InvalidRequest naming the parameter."""
    try:
        return msgspec.convert(decoded, shape)
    except msgspec.ValidationError as error:
        text = str(error)
        places = [match.group(1) for pattern in (_PATH, _MISSING) if (match := pattern.search(text))]
        param = ".".join(place for place in places if place)
        raise InvalidRequest(_PATH.sub("", text), param=param or "body", code="invalid_value") from None
    except RecursionError:
        raise InvalidRequest(TOO_DEEP, param="body", code="invalid_json") from None


def parse_object(body: bytes) -> dict[str, Any]:
    """Decode a body that must be a JSON object; raises InvalidRequest."""
    decoded = parse_json(body)
    if not isinstance(decoded, dict):
        raise InvalidRequest("the body must be a JSON object", param="body", code="invalid_type")
    return decoded


def require_stored(*, background: bool | None, store: bool | None) -> None:
    """Refuse a background job that nothing is kept of; raises InvalidRequest."""
    if background and not store:
        raise InvalidRequest(NEEDS_STORE, param="background", code="invalid_value")


def parse_chat(body: bytes, *, strict: bool) -> ChatRequest:
    """Parse and check a chat request; raises InvalidRequest naming the parameter."""
    return chat_of(parse_object(body), strict=strict)


def chat_of(decoded: dict[str, Any], *, strict: bool) -> ChatRequest:
    """Check a decoded chat request; raises InvalidRequest naming the parameter."""
    ignored = find_unknown_keys(decoded, KNOWN, strict=strict)
    require_keys(decoded, ("model", "messages"))
    known = {name: value for name, value in decoded.items() if name in KNOWN} if ignored else decoded
    request = convert(known, ChatRequest)
    request.ignored = ignored
    require_stored(background=request.background, store=request.store)
    _translate_functions(request)
    lost: set[str] = set()
    request.messages = clean_messages(request.messages, lost)
    request.dropped = sorted(lost)
    _check_together(request)
    return request


def find_unknown_keys(decoded: dict[str, Any], known: Set[str], *, strict: bool) -> list[str]:
    """Name the keys that mean nothing here; raises InvalidRequest where they are not tolerated."""
    if decoded.keys() <= known:
        return []
    unknown = [name[:64] for name in sorted(decoded.keys() - known)]
    if strict:
        raise InvalidRequest(f"unknown parameter: {unknown[0]}", param=unknown[0], code="unknown_parameter")
    return unknown


def require_keys(decoded: dict[str, Any], names: Sequence[str]) -> None:
    """Raise InvalidRequest for the first of these keys that is not given."""
    for name in names:
        if decoded.get(name) is None:
            raise InvalidRequest(f"you must provide {name}", param=name, code="missing_required_parameter")


def params_of(request: ChatRequest) -> dict[str, Any]:
    """Pick what may be passed on to a provider; what the client left out stays out."""
    return {name: value for name in PASSED if (value := getattr(request, name)) is not None}


def _check_together(request: ChatRequest) -> None:
    if request.top_logprobs is not None and not request.logprobs:
        raise InvalidRequest("top_logprobs needs logprobs: true", param="top_logprobs", code="invalid_value")
    if request.stream_options is not None and not request.stream:
        raise InvalidRequest("stream_options is only allowed with stream: true", param="stream_options")
    if request.tool_choice is not None and not request.tools and request.tool_choice not in ("none", "auto"):
        raise InvalidRequest("tool_choice needs tools", param="tool_choice", code="invalid_value")
    if isinstance(request.tool_choice, str) and request.tool_choice not in ("none", "auto", "required"):
        raise InvalidRequest(
            "tool_choice is none, auto, required or an object", param="tool_choice", code="invalid_value"
        )
    if request.tools:
        request.tools = [_clean_tool(tool, f"tools[{position}]") for position, tool in enumerate(request.tools)]
    if request.response_format is not None:
        _check_response_format(request.response_format)
    if request.modalities is not None and not set(request.modalities) <= {"text", "audio"}:
        raise InvalidRequest("modalities are text and audio", param="modalities", code="invalid_value")


def _clean_tool(tool: dict[str, Any], path: str) -> dict[str, Any]:
    """Return a function tool with its own keys only; other kinds are the provider's to know."""
    kind = tool.get("type")
    if not isinstance(kind, str):
        raise InvalidRequest("a tool needs a type", param=f"{path}.type", code="missing_required_parameter")
    if kind == "custom" and not (isinstance(body := tool.get(kind), dict) and isinstance(body.get("name"), str)):
        raise InvalidRequest("a tool needs a name", param=f"{path}.custom.name", code="missing_required_parameter")
    if kind != "function":
        return {key: value for key, value in tool.items() if key not in STEERING}
    function = tool.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise InvalidRequest(
            "a function needs a name", param=f"{path}.function.name", code="missing_required_parameter"
        )
    if not isinstance(function.get("parameters"), (dict, type(None))):
        raise InvalidRequest("parameters is a JSON schema", param=f"{path}.function.parameters", code="invalid_type")
    clean = {"type": kind, "function": {key: function[key] for key in FUNCTION_KEYS if key in function}}
    if (mark := cache_mark(tool.get(CACHE_CONTROL) or function.get(CACHE_CONTROL))) is not None:
        clean[CACHE_CONTROL] = mark
    return clean


def _check_response_format(wanted: dict[str, Any]) -> None:
    kind = wanted.get("type")
    if kind not in ("text", "json_object", "json_schema"):
        message = "response_format.type is text, json_object or json_schema"
        raise InvalidRequest(message, param="response_format.type", code="invalid_value")
    if kind == "json_schema":
        named = wanted.get("json_schema")
        if not isinstance(named, dict) or not isinstance(named.get("name"), str):
            message = "json_schema needs a name"
            raise InvalidRequest(message, param="response_format.json_schema.name", code="missing_required_parameter")
        if not isinstance(named.get("schema"), (dict, type(None))):
            message = "schema is a JSON schema"
            raise InvalidRequest(message, param="response_format.json_schema.schema", code="invalid_type")


def _translate_functions(request: ChatRequest) -> None:
    """Turn the legacy `functions` and `function_call` into tools; the answer is turned back in the response."""
    if request.functions is None:
        return
    if request.tools is not None:
        raise InvalidRequest("functions and tools exclude each other", param="functions", code="invalid_value")
    request.tools = [{"type": "function", "function": function} for function in request.functions] or None
    wanted = request.function_call
    if isinstance(wanted, dict):
        request.tool_choice = {"type": "function", "function": wanted}
    elif wanted is not None:
        request.tool_choice = wanted


def _is_deeper_than(levels: int, decoded: Any) -> bool:
    level = [decoded]
    for _ in range(levels):
        level = [
            child
            for one in level
            if isinstance(one, (dict, list))
            for child in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return any(isinstance(one, (dict, list)) for one in level)
