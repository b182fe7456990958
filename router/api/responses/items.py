"""The input items of a Responses request as chat messages.

An assistant's message, its thinking and its function calls are items of their own there and one message here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from router.api.chat.messages import MOST_MESSAGES, check_image_url
from router.api.responses.sealed import Sealed, unseal
from router.errors import InvalidRequest
from router.providers.thinking_blocks import KEY as THINKING_BLOCKS

ROLES = ("user", "assistant", "system", "developer")
TEXTS = ("input_text", "output_text", "text")
# What a service did itself in an earlier turn: nothing here can go on from it, and nobody waits for its result.
HOSTED = frozenset(
    {
        "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "computer_call",
        "computer_call_output", "local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output",
        "mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response",
    }
)  # fmt: skip
Message = dict[str, Any]


def input_items(given: str | list[Any]) -> list[Any]:
    """The input as a list of items."""
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    return given


def messages_of(items: Sequence[Any], path: str = "input", dropped: list[str] | None = None) -> list[Message]:
    """Translate items; raises InvalidRequest naming `input[i]...`. What is left out is named in `dropped`."""
    if not items:
        raise InvalidRequest(f"{path} must not be empty", param=path, code="invalid_value")
    if len(items) > MOST_MESSAGES:
        raise InvalidRequest(f"more than {MOST_MESSAGES} items", param=path, code="invalid_value")
    reader = _ItemReader([] if dropped is None else dropped)
    for position, item in enumerate(items):
        reader.read(item, f"{path}[{position}]")
    if not reader.messages and reader.hosted is not None:
        raise InvalidRequest("there is nothing to answer", param=reader.hosted, code="unsupported_value")
    reader.end()
    return reader.messages


class _ItemReader:
    """Reads items one after the other into messages; thinking waits for the message that it led to."""

    def __init__(self, dropped: list[str]) -> None:
        self.messages: list[Message] = []
        self.hosted: str | None = None
        self._dropped = dropped
        self._thoughts: str | None = None
        self._state: Message = {}
        self._calls: dict[str, dict[str, Any]] = {}  # state of calls by their ids

    def read(self, item: Any, at: str) -> None:
        """Read one item."""
        messages = self.messages
        kind = item.get("type") or "message" if isinstance(item, dict) else None
        match kind:
            case "message":
                messages.append(_message(item, at))
            case "reasoning":
                return self._read_thinking(item)
            case "function_call" | "custom_tool_call":
                _add_call(messages, item, at)
            case "function_call_output" | "custom_tool_call_output":
                messages.append(_call_output(item, at))
            case str() if kind in HOSTED:
                self.hosted = self.hosted or f"{at}.type"
                return self._drop(f"input.{kind}")
            case str():
                raise InvalidRequest(
                    f"items of type {kind[:64]!r} are not supported; send messages, reasoning, function calls and "
                    "their outputs themselves",
                    param=f"{at}.type",
                    code="unsupported_value",
                )
            case _:
                raise InvalidRequest("an item is an object with a type", param=at, code="invalid_type")
        if messages[-1]["role"] == "assistant":
            self._give_thinking(messages[-1])
        self._thoughts, self._state = None, {}
        return None

    def end(self) -> None:
        """Give what came after the messages to the last one, and to calls their state."""
        if self._state and self.messages and self.messages[-1]["role"] == "assistant":
            self._give_thinking(self.messages[-1])
        for message in self.messages if self._calls else ():
            for call in message.get("tool_calls") or ():
                call |= self._calls.get(call["id"], {})

    def _read_thinking(self, item: dict[str, Any]) -> None:
        self._thoughts = _thoughts(item) or self._thoughts
        sealed = unseal(item.get("encrypted_content"))
        if sealed is None:
            if item.get("encrypted_content"):
                self._drop("input.reasoning.encrypted_content")
            return
        self._calls |= sealed.calls
        last = self.messages[-1] if self.messages else None
        if (
            sealed.calls
            and not sealed.message.get(THINKING_BLOCKS)
            and last is not None
            and last["role"] == "assistant"
        ):
            _join(last, sealed)  # it was written after the calls
        else:
            blocks = [*self._state.get(THINKING_BLOCKS, ()), *sealed.message.get(THINKING_BLOCKS, ())]
            self._state |= sealed.message
            if blocks:
                self._state[THINKING_BLOCKS] = blocks

    def _give_thinking(self, message: Message) -> None:
        if self._thoughts is not None:
            message["reasoning_content"] = self._thoughts
        if self._state:
            _join(message, Sealed(self._state))

    def _drop(self, name: str) -> None:
        if name not in self._dropped:
            self._dropped.append(name)


def _join(message: Message, sealed: Sealed) -> None:
    blocks = [*message.get(THINKING_BLOCKS, ()), *sealed.message.get(THINKING_BLOCKS, ())]
    message |= sealed.message
    if blocks:
        message[THINKING_BLOCKS] = blocks


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
    """Add a call of a function or of a custom tool to the assistant's message before it, or to a new one."""
    is_custom = item["type"] == "custom_tool_call"
    kind, text_key = ("custom", "input") if is_custom else ("function", "arguments")
    for key in ("call_id", "name", text_key):
        if not isinstance(item.get(key), str):
            raise InvalidRequest(f"a {kind} call needs a {key}", param=f"{at}.{key}", code="invalid_value")
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    call = {"id": item["call_id"], "type": kind, kind: {"name": item["name"], text_key: item[text_key]}}
    messages[-1].setdefault("tool_calls", []).append(call)


def _call_output(item: dict[str, Any], at: str) -> Message:
    if not isinstance(item.get("call_id"), str):
        raise InvalidRequest("a function's output needs a call_id", param=f"{at}.call_id", code="invalid_value")
    content = _content(item.get("output"), f"{at}.output")
    return {"role": "tool", "tool_call_id": item["call_id"], "content": content}


def _thoughts(item: dict[str, Any]) -> str | None:
    """What a reasoning item tells."""
    lists = [given for key in ("content", "summary") if isinstance(given := item.get(key), list)]
    parts = [part for given in lists for part in given if isinstance(part, dict)]
    return "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str)) or None
