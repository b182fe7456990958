"""The events of a streamed response: numbered, framed, and what each kind of item tells as it grows."""

from typing import Any, Protocol

from router.api.chat.response import encode_body
from router.api.responses.response import (
    CustomCallItem,
    FunctionCallItem,
    MessageItem,
    OutputText,
    ReasoningItem,
    Refusal,
    SummaryText,
)


class Emit(Protocol):
    """Takes an event: its type and its fields."""

    def __call__(self, kind: str, **fields: Any) -> None: ...


class Events:
    """Numbers and frames the events of one stream."""

    def __init__(self) -> None:
        self._number = 0
        self._framed: list[bytes] = []

    def emit(self, kind: str, **fields: Any) -> None:
        """Add an event."""
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._framed.append(b"event: " + kind.encode() + b"\ndata: " + encode_body(event) + b"\n\n")
        self._number += 1

    def take(self) -> bytes:
        """Return what was added since the last time."""
        return b"".join(self.take_each())

    def take_each(self) -> list[bytes]:
        """Return what was added since the last time, each event by itself."""
        framed, self._framed = self._framed, []
        return framed


class Thinking:
    """A reasoning item that grows; thinking goes out under the name that clients show, as a summary."""

    def __init__(self, item: ReasoningItem, output_index: int, emit: Emit) -> None:
        self._item = item
        self._emit = emit
        self._at = {"item_id": item.id, "output_index": output_index, "summary_index": 0}
        self._pieces: list[str] = []
        emit("response.reasoning_summary_part.added", **self._at, part=SummaryText(""))

    def add(self, text: str) -> None:
        """Add a piece of thinking."""
        self._pieces.append(text)
        self._emit("response.reasoning_summary_text.delta", **self._at, delta=text)

    def close(self, status: str, sealed: str | None = None) -> None:
        """End the item; `sealed` is what its provider wants back with it."""
        part = SummaryText("".join(self._pieces))
        self._item.summary, self._item.status = [part], status
        if sealed is not None:
            self._item.encrypted_content = sealed
        self._emit("response.reasoning_summary_text.done", **self._at, text=part.text)
        self._emit("response.reasoning_summary_part.done", **self._at, part=part)
        self._emit("response.output_item.done", output_index=self._at["output_index"], item=self._item)


class Saying:
    """A message that grows: text, a refusal, or both as parts of it."""

    def __init__(self, item: MessageItem, output_index: int, emit: Emit) -> None:
        self._item = item
        self._emit = emit
        self._output_index = output_index
        self._part: OutputText | Refusal | None = None
        self._pieces: list[str] = []

    def add_text(self, text: str, logprobs: list[Any]) -> None:
        """Add a piece of visible text."""
        if not isinstance(self._part, OutputText):
            self._begin(OutputText("", []))
        assert isinstance(self._part, OutputText)
        self._part.logprobs += logprobs
        if text:
            self._pieces.append(text)
            self._emit("response.output_text.delta", **self._at, delta=text, logprobs=logprobs)

    def add_refusal(self, text: str) -> None:
        """Add a piece of a refusal."""
        if not isinstance(self._part, Refusal):
            self._begin(Refusal(""))
        self._pieces.append(text)
        self._emit("response.refusal.delta", **self._at, delta=text)

    def close(self, status: str) -> None:
        """End the item."""
        self._end_part()
        self._item.status = status
        self._emit("response.output_item.done", output_index=self._output_index, item=self._item)

    @property
    def _at(self) -> dict[str, Any]:
        place = len(self._item.content) - 1
        return {"item_id": self._item.id, "output_index": self._output_index, "content_index": place}

    def _begin(self, part: OutputText | Refusal) -> None:
        self._end_part()
        self._part = part
        self._item.content.append(part)
        self._emit("response.content_part.added", **self._at, part=part)

    def _end_part(self) -> None:
        text = "".join(self._pieces)
        match self._part:
            case OutputText() as part:
                part.text = text
                self._emit("response.output_text.done", **self._at, text=text, logprobs=part.logprobs)
            case Refusal() as part:
                part.refusal = text
                self._emit("response.refusal.done", **self._at, refusal=text)
            case None:
                return
        self._emit("response.content_part.done", **self._at, part=part)
        self._part = None
        self._pieces.clear()


class Calling:
    """A call of a function, or of a free-form tool, whose text grows."""

    def __init__(self, item: FunctionCallItem | CustomCallItem, output_index: int, emit: Emit) -> None:
        self._item = item
        self._emit = emit
        self._at = {"item_id": item.id, "output_index": output_index}
        self._pieces: list[str] = []
        self._kind = "function_call_arguments" if isinstance(item, FunctionCallItem) else "custom_tool_call_input"

    def add(self, text: str) -> None:
        """Add a piece of the arguments, or of the input."""
        self._pieces.append(text)
        self._emit(f"response.{self._kind}.delta", **self._at, delta=text)

    def close(self, status: str) -> None:
        """End the item."""
        item, text = self._item, "".join(self._pieces)
        item.status = status
        if isinstance(item, FunctionCallItem):
            item.arguments = text
            said = {"name": item.name, "arguments": text}
        else:
            item.input = text
            said = {"input": text}
        self._emit(f"response.{self._kind}.done", **self._at, **said)
        self._emit("response.output_item.done", output_index=self._at["output_index"], item=item)
