"""Messages of Anthropic's dialect, from their blocks to the messages that chat completions have.

A user's message with results of tools becomes one message for each result, then what the user said beside them. What
blocks hold besides (citations, results of tools that Anthropic's servers ran) has no counterpart: it is left out and
named.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from router.api.chat.messages import MOST_MESSAGES, check_image_url
from router.api.messages.carried import is_unsigned, restore, state_in
from router.errors import InvalidRequest
from router.providers.state import CACHE_CONTROL, cache_mark
from router.providers.thinking_blocks import KEY as THINKING_BLOCKS
from router.providers.thinking_blocks import clean_blocks

Message = dict[str, Any]
SERVER_BLOCKS = ("server_tool_use", "mcp_tool_use", "container_upload", "compaction")
_encode = msgspec.json.Encoder().encode


def messages_of(system: str | list[Any] | None, messages: Sequence[Any]) -> tuple[list[Message], list[str]]:
    """Translate a conversation; also names what was left out. Raises InvalidRequest naming `messages.i...`."""
    if not messages:
        raise InvalidRequest("at least one message is required", param="messages", code="invalid_value")
    if len(messages) > MOST_MESSAGES:
        raise InvalidRequest(f"more than {MOST_MESSAGES} messages", param="messages", code="invalid_value")
    translation = _Translation()
    if system:
        translation.add_system(system, "system")
    for position, message in enumerate(messages):
        where = f"messages.{position}"
        match message:
            case {"role": "user", "content": content}:
                translation.add_user(content, where)
            case {"role": "assistant", "content": content}:
                translation.add_assistant(content, where)
            case {"role": "system" | "developer", "content": content}:
                translation.add_system(content, f"{where}.content")
            case {"role": "user" | "assistant" | "system" | "developer"}:
                raise InvalidRequest("Field required", param=f"{where}.content", code="missing_required_parameter")
            case _:
                raise InvalidRequest("role is user or assistant", param=f"{where}.role", code="invalid_value")
    return translation.messages, list(dict.fromkeys(translation.left_out))


class _Translation:
    """The conversation as far as it is translated."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.left_out: list[str] = []

    def add_system(self, content: Any, where: str) -> None:
        parts = [part for block, at in _blocks(content, where) for part in self._parts(block, at)]
        self.messages.append({"role": "system", "content": _plain(parts)})

    def add_user(self, content: Any, where: str) -> None:
        parts: list[Message] = []
        has_results = False
        for block, at in _blocks(content, f"{where}.content"):
            if block.get("type") == "tool_result":
                has_results = True
                self.messages.append(self._result(block, at))
            else:
                parts += self._parts(block, at)
        if parts or not has_results:
            self.messages.append({"role": "user", "content": _plain(parts)})

    def add_assistant(self, content: Any, where: str) -> None:
        parts: list[Message] = []
        calls: list[Message] = []
        thoughts: list[str] = []
        signed: list[Message] = []
        states: list[dict[str, Any]] = []
        for block, at in _blocks(content, f"{where}.content"):
            match block:
                case {"type": "tool_use"}:
                    calls.append(_call(block, at))
                case {"type": "thinking", "thinking": str(text), **rest}:
                    thoughts.append(text)
                    if isinstance(signature := rest.get("signature"), str) and not is_unsigned(signature):
                        signed.append(block)
                case {"type": "redacted_thinking", "data": str(data)}:
                    state = state_in(data)
                    signed += [block] if state is None else []
                    states += [state] if state else []
                case _:
                    parts += self._parts(block, at)
        message: Message = {"role": "assistant", "content": _text_or_parts(parts) if parts or not calls else None}
        if calls:
            message["tool_calls"] = calls
        if said := "\n".join(filter(None, thoughts)):
            message["reasoning_content"] = said
        if blocks := clean_blocks(signed):
            message[THINKING_BLOCKS] = blocks
        dropped: set[str] = set()
        for state in states:
            restore(message, state, dropped)
        self.left_out += sorted(dropped)
        self.messages.append(message)

    def _result(self, block: Message, at: str) -> Message:
        call_id, content = block.get("tool_use_id"), block.get("content")
        if not isinstance(call_id, str) or not call_id:
            raise InvalidRequest("Field required", param=f"{at}.tool_use_id", code="missing_required_parameter")
        parts = [part for one, place in _blocks(content or "", f"{at}.content") for part in self._parts(one, place)]
        if block.get("is_error") is True:
            _say_it_failed(parts)
        if (mark := _mark(block)) and parts:
            parts[-1] = {**parts[-1], **mark}
        return {"role": "tool", "tool_call_id": call_id, "content": _plain(parts)}

    def _parts(self, block: Message, at: str) -> list[Message]:
        """Translate a block that says or shows something to the parts it is worth."""
        match block:
            case {"type": "text", "text": str(text)}:
                return [{"type": "text", "text": text, **_mark(block)}]
            case {"type": "image", "source": dict(source)}:
                return [{"type": "image_url", "image_url": {"url": _image(source, f"{at}.source")}, **_mark(block)}]
            case {"type": "document", "source": dict(source)}:
                return self._document(block, source, at)
            case {"type": "search_result", "content": list(content)}:
                head = [block[key] for key in ("title", "source") if isinstance(block.get(key), str)]
                inside = [part for one, place in _blocks(content, f"{at}.content") for part in self._parts(one, place)]
                return [{"type": "text", "text": " - ".join(head)}, *inside] if head else inside
            case {"type": "mid_conversation_system", "content": content}:
                return [part for one, place in _blocks(content, f"{at}.content") for part in self._parts(one, place)]
            case {"type": "tool_reference", "tool_name": str(name)}:
                return [{"type": "text", "text": name}]
            case {"type": str(kind)} if kind in SERVER_BLOCKS or kind.endswith("_tool_result"):
                self.left_out.append(f"messages ({kind[:64]})")
                return []
            case {"type": "text" | "image" | "document" | "search_result" | "thinking" | "redacted_thinking" as kind}:
                raise InvalidRequest(f"this is no valid {kind} block", param=at, code="invalid_type")
            case {"type": str(kind)}:
                message = f"Input tag {kind[:64]!r} does not match any of the expected tags here"
                raise InvalidRequest(message, param=f"{at}.type", code="invalid_value")
        raise InvalidRequest("a block is an object with a type", param=at, code="invalid_type")

    def _document(self, block: Message, source: Message, at: str) -> list[Message]:
        title = block.get("title")
        named = title if isinstance(title, str) and title else None
        head = [{"type": "text", "text": named}] if named else []
        match source:
            case {"type": "text", "data": str(text)}:
                return [*head, {"type": "text", "text": text, **_mark(block)}]
            case {"type": "base64", "media_type": str(media_type), "data": str(encoded)}:
                held = {"file_data": f"data:{media_type};base64,{encoded}", "filename": named or "document.pdf"}
                return [{"type": "file", "file": held, **_mark(block)}]
            case {"type": "content", "content": content}:
                inside = [part for one, place in _blocks(content, f"{at}.source") for part in self._parts(one, place)]
                return [*head, *inside]
        message = "send a document as text, as base64 or as content: no files are kept here, and none are fetched"
        raise InvalidRequest(message, param=f"{at}.source", code="unsupported_value")


def _blocks(content: Any, at: str) -> list[tuple[Message, str]]:
    """The blocks of a content, each with its place; a plain text is one block."""
    if isinstance(content, str):
        return [({"type": "text", "text": content}, at)] if content else []
    if not isinstance(content, list):
        raise InvalidRequest("content is a string or a list of blocks", param=at, code="invalid_type")
    for position, block in enumerate(content):
        if not isinstance(block, dict):
            raise InvalidRequest("a block is an object with a type", param=f"{at}.{position}", code="invalid_type")
    return [(block, f"{at}.{position}") for position, block in enumerate(content)]


def _say_it_failed(parts: list[Message]) -> None:
    """Say in words that a call failed: only Anthropic's models are told beside them."""
    if not parts or parts[0]["type"] != "text":
        parts.insert(0, {"type": "text", "text": "Error"})
    elif not parts[0]["text"].lstrip().lower().startswith("error"):
        parts[0] = {**parts[0], "text": f"Error: {parts[0]['text']}"}


def _plain(parts: list[Message]) -> str | list[Message]:
    """A single text without marks is a plain string, which every model takes."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        text: str = parts[0]["text"]
        return text
    return parts


def _text_or_parts(parts: list[Message]) -> str | list[Message]:
    """What an assistant said as one text, unless a part is marked."""
    if any(part.keys() != {"type", "text"} for part in parts):
        return parts
    return "".join(part["text"] for part in parts)


def _call(block: Message, at: str) -> Message:
    for key in ("id", "name"):
        if not isinstance(block.get(key), str) or not block[key]:
            raise InvalidRequest("Field required", param=f"{at}.{key}", code="missing_required_parameter")
    given = block.get("input")
    if not isinstance(given, (dict, type(None))):
        raise InvalidRequest("Input should be an object", param=f"{at}.input", code="invalid_type")
    function = {"name": block["name"], "arguments": _encode(given or {}).decode()}
    return {"id": block["id"], "type": "function", "function": function, **_mark(block)}


def _image(source: Message, at: str) -> str:
    match source:
        case {"type": "base64", "media_type": str(media_type), "data": str(encoded)}:
            return f"data:{media_type};base64,{encoded}"
        case {"type": "url", "url": str(url)}:
            check_image_url(url, f"{at}.url")
            return url
    message = "send an image as base64 or by its URL: no files are kept here"
    raise InvalidRequest(message, param=at, code="unsupported_value")


def _mark(block: Message) -> Message:
    """The mark up to which a provider is asked to cache."""
    mark = cache_mark(block.get(CACHE_CONTROL))
    return {} if mark is None else {CACHE_CONTROL: mark}
