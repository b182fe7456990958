"""Results of tools with pictures, texts in parts and marks of caches, for each family as it takes them."""

from typing import Any

import pytest

from router.providers.base import ModelTarget
from router.providers.outgoing import messages_for

MARK = {"cache_control": {"type": "ephemeral"}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def result(call_id: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": list(parts)}


def sent(name: str, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    return messages_for(ModelTarget(name), list(messages))[0]


def test_pictures_are_shown_by_the_user_once_all_results_are_there() -> None:
    said = {"role": "user", "content": "And?"}
    messages = sent("openai/gpt-5", result("a", text("one"), PICTURE), result("b", PICTURE), said)
    assert [message["role"] for message in messages] == ["tool", "tool", "user", "user"]
    assert [message["content"] for message in messages[:2]] == ["one", "The result is shown below."]
    assert messages[2]["content"] == [PICTURE, PICTURE]
    assert sent("openai/gpt-5", result("a", PICTURE))[-1] == {"role": "user", "content": [PICTURE]}


def test_claude_sees_pictures_where_they_were() -> None:
    [message] = sent("anthropic/claude-sonnet-4-5", result("a", text("one"), PICTURE))
    assert message["content"] == [text("one"), PICTURE]


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_texts_in_parts_become_one_text_where_marks_mean_nothing(role: str) -> None:
    message = {"role": role, "content": [text("one", **MARK), text("two")]}
    assert sent("deepseek/deepseek-chat", message)[0]["content"] == "one\ntwo"
    assert sent("anthropic/claude-sonnet-4-5", message)[0]["content"] == [text("one", **MARK), text("two")]
    beside_a_picture = {"role": "user", "content": [text("one"), PICTURE]}
    assert sent("deepseek/deepseek-chat", beside_a_picture)[0]["content"] == [text("one"), PICTURE]


def test_the_mark_of_a_call_goes_to_who_knows_it_and_is_named_elsewhere() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}, **MARK}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    [marked], dropped = messages_for(ModelTarget("anthropic/claude-sonnet-4-5"), [message])
    assert (marked["tool_calls"][0]["cache_control"], dropped) == (MARK["cache_control"], [])
    [plain], dropped = messages_for(ModelTarget("openai/gpt-5"), [message])
    assert "cache_control" not in plain["tool_calls"][0]
    assert dropped == ["messages.cache_control"]
