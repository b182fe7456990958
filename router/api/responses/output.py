"""The output of a response: steps of an answer in, items out, with their events where somebody listens."""

from collections.abc import Set
from typing import Any

from router.api.chat.response import whole_call, wire_logprobs
from router.api.responses.events import Calling, Emit, FreeCalling, Saying, Thinking
from router.api.responses.response import CustomCallItem, FunctionCallItem, Item, MessageItem, ReasoningItem, Status
from router.providers.base import Choice, Delta


def silence(kind: str, **fields: Any) -> None:
    """Emit nothing: the answer goes out whole."""


class Output:
    """The items of one response. Thinking and text follow each other; function calls may grow side by side.

    `free_text` names the tools that take free text.
    """

    def __init__(self, request_id: str, emit: Emit = silence, *, free_text: Set[str] = frozenset()) -> None:
        self.items: list[Item] = []
        self._request_id = request_id
        self._emit = emit
        self._open: Thinking | Saying | None = None
        self._free_text = free_text
        self._calls: dict[int, Calling | FreeCalling] = {}

    def add(self, delta: Delta) -> None:
        """Add one step of the answer."""
        if delta.reasoning:
            self._thinking().add(delta.reasoning)
        if delta.content:
            logprobs = wire_logprobs(delta.logprobs) or {}
            self._saying().add_text(delta.content, logprobs.get("content") or [])
        if delta.refusal:
            self._saying().add_refusal(delta.refusal)
        for call in delta.tool_calls or ():
            self._add_call(call)

    def add_whole(self, choice: Choice) -> None:
        """Add a whole answer."""
        calls = [{**call, "index": place} for place, call in enumerate(choice.tool_calls or ())]
        self.add(
            Delta(
                content=choice.content,
                reasoning=choice.reasoning,
                refusal=choice.refusal,
                tool_calls=calls,
                logprobs=choice.logprobs,
            )
        )

    def finish(self, status: Status) -> None:
        """Close what is open with this status; a whole answer that says nothing is an empty message."""
        if status == "completed" and all(isinstance(item, ReasoningItem) for item in self.items):
            self._saying().add_text("", [])
        self._close(status)
        for call in self._calls.values():
            call.close(status)
        self._calls.clear()

    def _thinking(self) -> Thinking:
        if not isinstance(self._open, Thinking):
            self._close("completed")
            item = ReasoningItem(self._next_id("rs"), "in_progress", [])
            self._open = Thinking(item, self._add_item(item), self._emit)
        return self._open

    def _saying(self) -> Saying:
        if not isinstance(self._open, Saying):
            self._close("completed")
            item = MessageItem(self._next_id("msg"), "in_progress", [])
            self._open = Saying(item, self._add_item(item), self._emit)
        return self._open

    def _add_call(self, part: dict[str, Any]) -> None:
        """Add a part of the function call at its index; the first part names the function."""
        place = part.get("index") or 0
        call = whole_call({**part, "type": "function"}, f"call_{self._request_id}{place:02x}")
        if place not in self._calls:
            self._close("completed")
            self._calls[place] = self._begin_call(call["id"], call["function"]["name"])
        if arguments := call["function"]["arguments"]:
            self._calls[place].add(arguments)

    def _begin_call(self, call_id: str, name: str) -> Calling | FreeCalling:
        if name in self._free_text:
            custom = CustomCallItem(self._next_id("ctc"), "in_progress", call_id, name, "")
            return FreeCalling(custom, self._add_item(custom), self._emit)
        item = FunctionCallItem(self._next_id("fc"), "in_progress", call_id, name, "")
        return Calling(item, self._add_item(item), self._emit)

    def _next_id(self, prefix: str) -> str:
        return f"{prefix}_{self._request_id}{len(self.items):02x}"

    def _add_item(self, item: Item) -> int:
        self.items.append(item)
        self._emit("response.output_item.added", output_index=len(self.items) - 1, item=item)
        return len(self.items) - 1

    def _close(self, status: str) -> None:
        if self._open is not None:
            self._open.close(status)
            self._open = None
