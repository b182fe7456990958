"""The content of one message: steps of an answer in, blocks out, with their events where somebody listens.

Blocks follow each other and never overlap: a block that began ends before the next begins. A call whose arguments are
not complete when another thing comes keeps its place, and the other waits.
"""

from typing import Any, Protocol

import msgspec

from router.api.chat.response import encode_body
from router.api.messages.carried import UNSIGNED, state_block
from router.providers.base import Choice, Delta
from router.providers.state import EXTRA_CONTENT, join_state

INVALID_JSON = "INVALID_JSON"  # the key that Anthropic gives arguments that are no JSON object
Block = dict[str, Any]


class EmitEvent(Protocol):
    """Takes an event: its type and its fields."""

    def __call__(self, kind: str, **fields: Any) -> None: ...


class MessageEvents:
    """Frames the events of one stream."""

    def __init__(self) -> None:
        self._framed: list[bytes] = []

    def emit(self, kind: str, **fields: Any) -> None:
        """Add an event."""
        self._framed.append(event(kind, **fields))

    def take(self) -> bytes:
        """Return what was added since the last time."""
        framed = b"".join(self._framed)
        self._framed.clear()
        return framed


def event(kind: str, **fields: Any) -> bytes:
    """Frame one event."""
    return b"event: " + kind.encode() + b"\ndata: " + encode_body({"type": kind, **fields}) + b"\n\n"


class StreamedContent:
    """The blocks of a message that grows."""

    def __init__(self, request_id: str, emit: EmitEvent) -> None:
        self.has_called = self.has_refused = False
        self._request_id = request_id
        self._emit = emit
        self._index = 0
        self._open: str | None = None  # text, thinking or tool_use
        self._signature = ""
        self._call: int | None = None  # the index of the call whose block is open
        self._arguments = ""
        self._ended_calls: set[int] = set()
        self._waiting: list[Delta] = []
        self._state: dict[str, Any] = {}  # what the family wants back and no block holds yet

    def add(self, delta: Delta) -> None:
        """Add one step of the answer."""
        if self._call is not None and not self._is_of_open_call(delta):
            if not _is_object(self._arguments):
                self._waiting.append(delta)
                return
            if self._waiting:
                self._add_waiting()
                self.add(delta)
                return
        if delta.reasoning:
            self._think(delta.reasoning)
        for piece in delta.thinking_blocks or ():
            self._sign(piece)
        if delta.state:
            self._state = join_state(self._state, delta.state)
        if delta.content:
            self._say(delta.content)
        if delta.refusal:
            self.has_refused = True
            self._say(delta.refusal)
        for part in delta.tool_calls or ():
            self._add_call(part)

    def finish(self) -> None:
        """Close what is open, after what waited for it."""
        while self._waiting:  # of several unfinished calls one is closed in each round
            self._add_waiting()
        self._close()
        self._add_state({})

    def _add_waiting(self) -> None:
        """Close the open call, and add what waited for that; what waits for another call waits on."""
        self._close()
        waiting, self._waiting = self._waiting, []
        for delta in _in_order_of_calls(waiting):
            self.add(delta)

    def _is_of_open_call(self, delta: Delta) -> bool:
        """Tell whether a step goes on with the open call, or says nothing that needs a block."""
        parts = delta.tool_calls
        if parts:
            return all((part.get("index") or 0) == self._call for part in parts)
        return not (delta.content or delta.reasoning or delta.refusal or delta.thinking_blocks)

    def _think(self, text: str) -> None:
        if self._open != "thinking" or self._signature:
            self._begin("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        self._delta(type="thinking_delta", thinking=text)

    def _sign(self, piece: Block) -> None:
        """Take a piece of a signed block; its text came as reasoning."""
        if piece.get("type") == "redacted_thinking":
            self._add_whole({"type": "redacted_thinking", "data": piece.get("data") or ""})
        elif signature := piece.get("signature"):
            if self._open != "thinking":  # thinking that is not shown is signed all the same
                self._begin("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            self._signature += signature

    def _say(self, text: str) -> None:
        if self._open != "text":
            self._begin("text", {"type": "text", "text": ""})
        self._delta(type="text_delta", text=text)

    def _add_call(self, part: dict[str, Any]) -> None:
        place, function = part.get("index") or 0, part.get("function") or {}
        if place != self._call:
            if place in self._ended_calls:  # nothing can be added to a block that has ended
                return
            name = function.get("name") or ""
            call_id = part.get("id") or f"toolu_{self._request_id}{place:02x}"
            self._add_state(_state_of_call(part, call_id))
            self._begin("tool_use", {"type": "tool_use", "id": call_id, "name": name, "input": {}})
            self.has_called, self._call, self._arguments = True, place, ""
        if arguments := function.get("arguments"):
            self._arguments += arguments
            self._delta(type="input_json_delta", partial_json=arguments)

    def _add_state(self, calls: dict[str, Any]) -> None:
        state, self._state = self._state, {}
        if block := state_block(state, calls):
            self._add_whole(block)

    def _begin(self, kind: str, block: Block) -> None:
        self._close()
        self._open = kind
        self._emit("content_block_start", index=self._index, content_block=block)

    def _delta(self, **delta: str) -> None:
        self._emit("content_block_delta", index=self._index, delta=delta)

    def _add_whole(self, block: Block) -> None:
        self._begin("whole", block)
        self._close()

    def _close(self) -> None:
        if self._open is None:
            return
        if self._open == "thinking":
            self._delta(type="signature_delta", signature=self._signature or UNSIGNED)
        if self._call is not None:
            self._ended_calls.add(self._call)
        self._open, self._signature, self._call = None, "", None
        self._emit("content_block_stop", index=self._index)
        self._index += 1


def whole_content(choice: Choice, request_id: str) -> list[Block]:
    """Return the blocks of a whole answer."""
    blocks: list[Block] = [dict(block) for block in choice.thinking_blocks or ()]
    if choice.reasoning and not any(block.get("thinking") for block in blocks):
        blocks.append({"type": "thinking", "thinking": choice.reasoning, "signature": UNSIGNED})
    blocks += [{"type": "text", "text": text} for text in (choice.content, choice.refusal) if text]
    state = choice.state
    for place, call in enumerate(choice.tool_calls or ()):
        function = call.get("function") or {}
        call_id = call.get("id") or f"toolu_{request_id}{place:02x}"
        if carried := state_block(state, _state_of_call(call, call_id)):
            blocks.append(carried)
        state = None
        given = _input(function.get("arguments") or "")
        blocks.append({"type": "tool_use", "id": call_id, "name": function.get("name") or "", "input": given})
    if carried := state_block(state):
        blocks.append(carried)
    return blocks


def stop_reason_of(finish_reason: str, *, has_called: bool, has_refused: bool, stop_sequence: str | None) -> str:
    """Return the reason in Anthropic's words."""
    match finish_reason:
        case "length":
            return "max_tokens"
        case "content_filter":
            return "refusal"
    if has_called:
        return "tool_use"
    if has_refused:
        return "refusal"
    return "stop_sequence" if stop_sequence is not None else "end_turn"


def _input(arguments: str) -> dict[str, Any]:
    """A call's arguments as an object; what is none is kept as it came."""
    if not arguments.strip():
        return {}
    try:
        decoded = msgspec.json.decode(arguments)
    except (msgspec.MsgspecError, RecursionError):
        return {INVALID_JSON: arguments}
    return decoded if isinstance(decoded, dict) else {INVALID_JSON: arguments}


def _is_object(arguments: str) -> bool:
    """Tell whether arguments are complete; none at all may still come."""
    return bool(arguments) and INVALID_JSON not in _input(arguments)


def _in_order_of_calls(waiting: list[Delta]) -> list[Delta]:
    """Put the parts of each call together, in the order in which the calls began; what is no call comes after."""
    calls: dict[int, list[dict[str, Any]]] = {}
    others = []
    for delta in waiting:
        for part in delta.tool_calls or ():
            calls.setdefault(part.get("index") or 0, []).append(part)
        others.append(msgspec.structs.replace(delta, tool_calls=None))
    return [*(Delta(tool_calls=[part]) for parts in calls.values() for part in parts), *others]


def _state_of_call(call: dict[str, Any], call_id: str) -> dict[str, Any]:
    extra = call.get(EXTRA_CONTENT)
    return {call_id: extra} if isinstance(extra, dict) and extra else {}
