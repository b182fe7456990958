"""The output of a response: steps of an answer in, items out, with their events where somebody listens."""

from typing import Any

from router.api.chat.response import whole_call, wire_logprobs
from router.api.responses.events import Calling, Emit, Saying, Thinking
from router.api.responses.response import (
    CustomCallItem,
    FunctionCallItem,
    Item,
    MessageItem,
    ReasoningItem,
    Status,
)
from router.api.responses.sealed import Sealed, seal
from router.providers.base import Choice, Delta
from router.providers.state import EXTRA_CONTENT, join_state
from router.providers.thinking_blocks import KEY as THINKING_BLOCKS
from router.providers.thinking_blocks import add_pieces, clean_blocks


def silence(kind: str, **fields: Any) -> None:
    """Emit nothing: the answer goes out whole."""


class Output:
    """The items of one response. Thinking and text follow each other; function calls may grow side by side.

    State that the provider wants back is sealed into the thinking it came with, or into a reasoning item at the end.
    """

    def __init__(self, request_id: str, emit: Emit = silence) -> None:
        self.items: list[Item] = []
        self._request_id = request_id
        self._emit = emit
        self._open: Thinking | Saying | None = None
        self._calls: dict[int, Calling] = {}
        self._call_ids: dict[int, str] = {}
        self._blocks: list[dict[str, Any]] = []
        self._state = Sealed({}, {})

    def add(self, delta: Delta) -> None:
        """Add one step of the answer."""
        if delta.reasoning:
            self._thinking().add(delta.reasoning)
        if delta.thinking_blocks:
            self._thinking()
            add_pieces(self._blocks, delta.thinking_blocks)
        if delta.state:
            self._state.message = join_state(self._state.message, delta.state)
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
                thinking_blocks=choice.thinking_blocks,
                state=choice.state,
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
        if (sealed := seal(self._state)) is not None:
            self._state = Sealed({}, {})
            item = ReasoningItem(self._next_id("rs"), status, [], sealed)
            place = self._add_item(item)
            self._emit("response.output_item.done", output_index=place, item=item)

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
        is_custom = "custom" in part
        if place not in self._calls:
            self._close("completed")
            self._begin_call(part, place, is_custom=is_custom)
        if EXTRA_CONTENT in part:
            self._state.calls[self._call_ids[place]] = {EXTRA_CONTENT: part[EXTRA_CONTENT]}
        body = part.get("custom" if is_custom else "function") or {}
        if text := body.get("input" if is_custom else "arguments"):
            self._calls[place].add(text)

    def _begin_call(self, part: dict[str, Any], place: int, *, is_custom: bool) -> None:
        call_id = f"call_{self._request_id}{place:02x}"
        item: CustomCallItem | FunctionCallItem
        if is_custom:
            call_id = part.get("id") or call_id
            item = CustomCallItem(self._next_id("ctc"), "in_progress", call_id, part["custom"].get("name") or "", "")
        else:
            call = whole_call({**part, "type": "function"}, call_id)
            call_id = call["id"]
            item = FunctionCallItem(self._next_id("fc"), "in_progress", call_id, call["function"]["name"], "")
        self._call_ids[place] = call_id
        self._calls[place] = Calling(item, self._add_item(item), self._emit)

    def _next_id(self, prefix: str) -> str:
        return f"{prefix}_{self._request_id}{len(self.items):02x}"

    def _add_item(self, item: Item) -> int:
        self.items.append(item)
        self._emit("response.output_item.added", output_index=len(self.items) - 1, item=item)
        return len(self.items) - 1

    def _close(self, status: str) -> None:
        if isinstance(self._open, Thinking):
            blocks, self._blocks = clean_blocks(self._blocks), []
            self._open.close(status, seal(Sealed({THINKING_BLOCKS: blocks})) if blocks else None)
        elif self._open is not None:
            self._open.close(status)
        self._open = None
