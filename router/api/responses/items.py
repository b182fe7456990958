"""The input items of a Responses request as chat messages.

An assistant's message, its thinking and its function calls are items of their own there and one message here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from router.api.chat.messages import MOST_MESSAGES, check_image_url
from router.api.chat.response import encode_body
from router.api.responses.request import FREE_TEXT
from router.errors import InvalidRequest

ROLES = ("user", "assistant", "system", "developer")
TEXTS = ("input_text", "output_text", "text")
Message = dict[str, Any]


def input_items(given: str | list[Any]) -> list[Any]:
    """The input as a list of items."""
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    return given


def messages_of(items: Sequence[Any], path: str = "input") -> list[Message]:
    """Translate items; raises InvalidRequest naming `input[i]...`."""
    if not items:
        raise InvalidRequest(f"{path} must not be empty", param=path, code="invalid_value")
    if len(items) > MOST_MESSAGES:
        raise InvalidRequest(f"more than {MOST_MESSAGES} items", param=path, code="invalid_value")
    messages: list[Message] = []
    thoughts: str | None = None
    for position, item in enumerate(items):
        at = f"{path}[{position}]"
        kind = item.get("type") or "message" if isinstance(item, dict) else None
        match kind:
            case "message":
                messages.append(_message(item, at))
            case "reasoning":
                thoughts = _thoughts(item) or thoughts
                continue
            case "function_call":
                _add_call(messages, item, at)
            case "custom_tool_call":
                _add_call(messages, _function_call(item), at)
            case "function_call_output" | "custom_tool_call_output":
                messages.append(_call_output(item, at))
            case str():
                raise InvalidRequest(
                    f"items of type {kind[:64]!r} are not supported; send messages, reasoning, function calls and "
                    "their outputs themselves",
                    param=f"{at}.type",
                    code="unsupported_value",
                )
            case _:
                raise InvalidRequest("an item is an object with a type", param=at, code="invalid_type")
        if thoughts is not None and messages[-1]["role"] == "assistant":
            messages[-1]["reasoning_content"] = thoughts
        thoughts = None
    return messages


def _message(item: dict[str, Any], at: str) -> Message:
    role, content = item.get("role"), item.get("content")
    if role not in ROLES:
        known = ", ".join(ROLES)
        raise InvalidRequest(f"role is one of {known}", param=f"{at}.role", code="invalid_value")
    return {"role": role, "content": _content(content, f"{at}.content")}


def _content(content: Any, at: str) -> str | list[dict[str, Any]]:
    """Translate content; a single text becomes a plain string, which every model takes."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InvalidRequest("content is a string or a list of parts", param=at, code="invalid_type")
    parts = [_part(part, f"{at}[{position}]") for position, part in enumerate(content)]
    if len(parts) == 1 and parts[0]["type"] == "text":
        text: str = parts[0]["text"]
        return text
    return parts


def _part(part: Any, at: str) -> dict[str, Any]:
    match part:
        case {"type": "input_text" | "output_text" | "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "refusal", "refusal": str(refusal)}:
            return {"type": "refusal", "refusal": refusal}
        case {"type": "input_image", "image_url": str(url), **rest}:
            check_image_url(url, f"{at}.image_url")
            return {"type": "image_url", "image_url": {"url": url, **_strings(rest, "detail")}}
        case {"type": "input_file", "file_data": str(encoded), **rest}:
            return {"type": "file", "file": {"file_data": encoded, **_strings(rest, "filename")}}
        case {"type": "input_audio", "input_audio": dict(audio)}:
            return {"type": "input_audio", "input_audio": audio}
        case {"type": "input_image" | "input_file" as kind}:
            what = "an image_url" if kind == "input_image" else "file_data"
            message = f"{kind} needs {what}: no files are kept here, and none are fetched"
            raise InvalidRequest(message, param=at, code="unsupported_value")
        case {"type": str(kind)} if kind in (*TEXTS, "refusal", "input_audio"):
            raise InvalidRequest(f"{kind} is missing or of the wrong type", param=at, code="invalid_type")
    known = "input_text, input_image, input_file, input_audio, output_text, refusal"
    raise InvalidRequest(f"a content part's type is one of {known}", param=f"{at}.type", code="invalid_value")


def _strings(part: Mapping[Any, Any], key: str) -> dict[str, str]:
    return {key: part[key]} if isinstance(part.get(key), str) else {}


def _add_call(messages: list[Message], item: dict[str, Any], at: str) -> None:
    """Add a function call to the assistant's message before it, or to a new one."""
    for key in ("call_id", "name", "arguments"):
        if not isinstance(item.get(key), str):
            raise InvalidRequest(f"a function call needs a {key}", param=f"{at}.{key}", code="invalid_value")
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    function = {"name": item["name"], "arguments": item["arguments"]}
    call = {"id": item["call_id"], "type": "function", "function": function}
    messages[-1].setdefault("tool_calls", []).append(call)


def _function_call(item: dict[str, Any]) -> dict[str, Any]:
    """A call with free text as the call of the function that stands for the tool."""
    return {**item, "arguments": encode_body({FREE_TEXT: item.get("input") or ""}).decode()}


def _call_output(item: dict[str, Any], at: str) -> Message:
    if not isinstance(item.get("call_id"), str):
        raise InvalidRequest("a function's output needs a call_id", param=f"{at}.call_id", code="invalid_value")
    content = _content(item.get("output"), f"{at}.output")
    return {"role": "tool", "tool_call_id": item["call_id"], "content": content}


def _thoughts(item: dict[str, Any]) -> str | None:
    """What a reasoning item tells; encrypted thinking of other services means nothing here."""
    lists = [given for key in ("content", "summary") if isinstance(given := item.get(key), list)]
    parts = [part for given in lists for part in given if isinstance(part, dict)]
    return "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str)) or None
