"""Is a conversation in the middle of calling tools? Then whoever called them goes on. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

RESULTS = ("tool", "function")


def runs_tools(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the last message is a tool's result, or the assistant's last turn has calls without a result."""
    if messages and messages[-1].get("role") in RESULTS:
        return True
    answered = set()
    for message in reversed(messages):
        role = message.get("role")
        if role == "assistant":
            return any(call.get("id") not in answered for call in message.get("tool_calls") or ())
        if role in RESULTS:
            answered.add(message.get("tool_call_id"))
    return False
