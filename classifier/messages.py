"""Reads queries as the outside writes them: {"text"} or {"messages"}, contents as a string or as parts."""

from collections.abc import Mapping, Sequence
from typing import Any

from classifier.types import Turn


class MessagesError(ValueError):
    """Not a query: neither a text nor a list of messages."""


def turns_of(query: object) -> tuple[Turn, ...]:
    """The conversation of one query, or raise MessagesError."""
    if not isinstance(query, Mapping):
        raise MessagesError("not a JSON object")
    text, messages = query.get("text"), query.get("messages")
    if isinstance(text, str) and messages is None:
        return (Turn("user", text),)
    if text is not None or not isinstance(messages, list) or not messages:
        raise MessagesError('needs either "text" (a string) or "messages" (a list that is not empty)')
    return tuple(_turn(message) for message in messages)


def _turn(message: object) -> Turn:
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        raise MessagesError('each message needs a "role"')
    text, attachments = _content(message.get("content"))
    calls = message.get("tool_calls")
    return Turn(message["role"], text, attachments, len(calls) if isinstance(calls, list) else 0)


def _content(content: object) -> tuple[str, int]:
    """The text of a content, and how many of its parts are none."""
    if content is None:
        return "", 0
    if isinstance(content, str):
        return content, 0
    if not isinstance(content, Sequence):
        raise MessagesError('a "content" is a string, a list of parts, or null')
    texts: list[str] = []
    for part in content:
        text: Any = part.get("text") if isinstance(part, Mapping) else part
        if isinstance(text, str):
            texts.append(text)
    return "\n".join(texts), len(content) - len(texts)
