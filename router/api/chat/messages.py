"""The messages of a chat request: checked, and cut down to allow-listed keys.

Legacy `function` messages become tool messages, so that everything behind the API knows one form. State that a
provider wants back passes (`router.providers.state`); what does not pass is named.
"""

from collections.abc import Sequence
from typing import Any

from router.errors import InvalidRequest
from router.providers.state import CACHE_CONTROL, STATE_KEYS, cache_mark, clean_call_state, clean_state

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
PART_KEYS = {
    "text": "text",
    "refusal": "refusal",
    "image_url": "image_url",
    "input_audio": "input_audio",
    "file": "file",
}
THINKING_PARTS = {"thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}  # of an assistant's content
# What clients give back of our answers or of other services', and nothing is made of.
NOT_NAMED = frozenset(
    {
        "role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio", "annotations",
        "reasoning", "reasoning_content", "reasoning_details", "extra_content", "reasoning_opaque", "thinking_blocks",
        "provider_specific_fields", "id", "index", "images", CACHE_CONTROL,
    }
)  # fmt: skip
MOST_MESSAGES = 100_000


def clean_messages(messages: Sequence[Any], dropped: set[str] | None = None) -> list[dict[str, Any]]:
    """Return the messages with allow-listed keys only; raises InvalidRequest naming `messages[i]...`.

    What is left out and might be missed is named in `dropped`.
    """
    lost = set() if dropped is None else dropped
    if not messages:
        raise InvalidRequest("messages must not be empty", param="messages", code="invalid_value")
    if len(messages) > MOST_MESSAGES:
        raise InvalidRequest(f"more than {MOST_MESSAGES} messages", param="messages", code="invalid_value")
    checked = []
    last_function_id: str | None = None
    for position, message in enumerate(messages):
        path = f"messages[{position}]"
        if not isinstance(message, dict):
            raise InvalidRequest("a message is an object", param=path, code="invalid_type")
        role = message.get("role")
        if not isinstance(role, str) or role not in ROLES:
            known = ", ".join(sorted(ROLES))
            raise InvalidRequest(f"role is one of {known}", param=f"{path}.role", code="invalid_value")
        clean: dict[str, Any] = {"role": role}
        content = _clean_content(message.get("content"), f"{path}.content")
        if isinstance(name := message.get("name"), str):
            clean["name"] = name
        if len(message) > 2 and not message.keys() <= NOT_NAMED:
            lost.update(f"messages.{str(key)[:64]}" for key in message.keys() - NOT_NAMED if message[key] is not None)
        match role:
            case "assistant":
                last_function_id = _take_assistant(message, clean, content, path, position, lost) or last_function_id
            case "function":
                clean = {"role": "tool", "tool_call_id": last_function_id or f"call_{position}"}
            case "tool":
                call_id = message.get("tool_call_id")
                if not isinstance(call_id, str):
                    where = f"{path}.tool_call_id"
                    raise InvalidRequest("a tool message needs a tool_call_id", param=where, code="invalid_value")
                clean["tool_call_id"] = call_id
        if content is None and role not in ("assistant",):
            if role != "function":
                raise InvalidRequest("content is missing", param=f"{path}.content", code="missing_required_parameter")
            content = ""
        if content and CACHE_CONTROL in message and (mark := cache_mark(message[CACHE_CONTROL])) is not None:
            content = _with_mark(content, mark)
        clean["content"] = content
        checked.append(clean)
    return checked


def _with_mark(content: str | list[dict[str, Any]], mark: dict[str, Any]) -> list[dict[str, Any]]:
    """Put a message's own cache mark where parts have it: on the last one."""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [*parts[:-1], {**parts[-1], CACHE_CONTROL: mark}]


def _take_assistant(
    message: dict[str, Any], clean: dict[str, Any], content: Any, path: str, position: int, dropped: set[str]
) -> str | None:
    """Copy an assistant's own keys; returns the id given to a legacy function call, if there is one."""
    calls = message.get("tool_calls")
    legacy = message.get("function_call")
    function_id = None
    if calls is not None:
        if cleaned := _clean_calls(calls, f"{path}.tool_calls", dropped):
            clean["tool_calls"] = cleaned
    elif isinstance(legacy, dict):
        if not isinstance(legacy.get("name"), str) or not isinstance(legacy.get("arguments", ""), str):
            where = f"{path}.function_call"
            raise InvalidRequest("a function call has a name and arguments, both text", param=where)
        function_id = f"call_{position}"
        clean["tool_calls"] = _clean_calls([{"id": function_id, "type": "function", "function": legacy}], path, dropped)
    if not STATE_KEYS.isdisjoint(message):
        clean |= clean_state(message, dropped)
    for key in ("refusal", "reasoning_content", "reasoning"):
        if isinstance(message.get(key), str):
            clean[key] = message[key]
    if (
        content is None
        and calls is None
        and not clean.keys() & {"tool_calls", "refusal"}
        and message.get("audio") is None
    ):
        raise InvalidRequest("content is missing", param=f"{path}.content", code="missing_required_parameter")
    return function_id


def _clean_calls(calls: Any, path: str, dropped: set[str]) -> list[dict[str, Any]]:
    if not isinstance(calls, list):
        raise InvalidRequest("tool_calls is a list", param=path, code="invalid_type")
    return [_clean_call(call, path, position, dropped) for position, call in enumerate(calls)]


def _clean_call(call: Any, path: str, position: int, dropped: set[str]) -> dict[str, Any]:
    """Check a call of a function, or of a free-form tool."""
    is_custom = isinstance(call, dict) and call.get("type") == "custom"
    kind, text_key = ("custom", "input") if is_custom else ("function", "arguments")
    body = call.get(kind) if isinstance(call, dict) else None
    if not isinstance(body, dict) or not isinstance(body.get("name"), str):
        message = f"a tool call needs a {'tool' if is_custom else 'function'} name"
        raise InvalidRequest(message, param=f"{path}[{position}].{kind}.name", code="invalid_value")
    text = body.get(text_key, "")
    if not isinstance(text, str) or not isinstance(call.get("id", ""), str):
        where = f"{path}[{position}].{kind}.{text_key}"
        raise InvalidRequest(f"id and {text_key} are strings", param=where, code="invalid_type")
    clean = {"id": call.get("id", f"call_{position}"), "type": kind, kind: {"name": body["name"], text_key: text}}
    return clean | clean_call_state(call, dropped) if len(call) > 3 else clean


def _clean_content(content: Any, path: str) -> str | list[dict[str, Any]] | None:
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InvalidRequest("content is a string or a list of parts", param=path, code="invalid_type")
    parts = []
    for position, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind in THINKING_PARTS:
            keys = ("type", *THINKING_PARTS[kind])
            parts.append({key: part[key] for key in keys if key in part})
            continue
        key = PART_KEYS.get(kind) if isinstance(kind, str) else None
        if key is None:
            known = ", ".join(PART_KEYS)
            where = f"{path}[{position}].type"
            raise InvalidRequest(f"a content part's type is one of {known}", param=where, code="invalid_value")
        value = part.get(key)
        if not isinstance(value, str if key in ("text", "refusal") else dict):
            raise InvalidRequest(f"{key} is missing or of the wrong type", param=f"{path}[{position}].{key}")
        if isinstance(value, dict) and kind == "image_url":
            check_image_url(value.get("url"), f"{path}[{position}].image_url.url")
        clean = {"type": kind, key: value}
        if CACHE_CONTROL in part and (mark := cache_mark(part[CACHE_CONTROL])) is not None:
            clean[CACHE_CONTROL] = mark
        parts.append(clean)
    return parts


def check_image_url(url: object, path: str) -> None:
    """Raise InvalidRequest unless this is where an image may be."""
    if not isinstance(url, str) or not url.startswith(("https://", "http://", "data:")):
        raise InvalidRequest("an image is an http(s) URL or a data URI", param=path, code="invalid_image_url")
