"""Is a conversation in the middle of calling tools? Then whoever called them goes on. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from classifier.conversation import is_of_harness

RESULTS = ("tool", "function")


def runs_tools(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the last word is a tool's result, or the assistant's last turn has calls without a result.

    What a harness adds by itself after a result, as user or as system, is nobody's word.
    """
    answered, has_asked = set(), False
    for message in reversed(messages):
        role = message.get("role")
        if role == "assistant":
            return any(call.get("id") not in answered for call in message.get("tool_calls") or ())
        if role in RESULTS:
            if not has_asked:
                return True
            answered.add(message.get("tool_call_id"))
        elif role == "user" and not has_asked:
            has_asked = not _is_of_harness(message.get("content"))
    return False


def _is_of_harness(content: Any) -> bool:
    if isinstance(content, str):
        return is_of_harness(content.rstrip())
    texts = [part.get("text") for part in content or () if isinstance(part, dict)]
    return bool(texts) and all(isinstance(text, str) and is_of_harness(text.rstrip()) for text in texts)
