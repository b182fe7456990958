from typing import Any

import msgspec

from router.providers.litellm.answers import wire_answer
from router.providers.openai.answer import AnswerReader
from router.providers.openai.stream import ChunkReader


class Handed:
    """What litellm hands back."""

    def __init__(self, choice: dict[str, Any]) -> None:
        self._choice = choice

    def model_dump(self) -> dict[str, Any]:
        return {"choices": [{"index": 0, **self._choice}]}


def test_a_letter_cut_over_two_chunks_is_whole() -> None:
    reader = ChunkReader("p/m", None, [])
    pieces: list[dict[str, Any]] = [{"content": "a\ud83d"}, {"content": "\ude00b"}, {"content": "\ud83d"}]
    deltas = [d for piece in pieces for d in reader.add(wire_answer(Handed({"delta": piece}), []), is_odd=True)]
    deltas += reader.end(is_done=True)
    assert "".join(delta.content or "" for delta in deltas) == "a\U0001f600b\ufffd"


def test_half_a_letter_can_be_sent() -> None:
    call = {"id": "c\ud83d", "type": "function", "function": {"name": "f\ud83d", "arguments": "{}"}}
    message = {"content": "a\ud83d", "reasoning_content": "\ude00", "tool_calls": [call]}
    answer = wire_answer(Handed({"message": message, "finish_reason": "stop"}), [])
    read = AnswerReader("p/m", None, []).completion_of(answer, is_odd=True)
    msgspec.json.encode(read.choices)
