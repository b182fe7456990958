from typing import Any

import pytest

from router.api.messages.carried import state_block
from router.api.messages.content import messages_of
from router.api.messages.tools import function_tools, tool_choice_of
from router.errors import InvalidRequest

MARK = {"cache_control": {"type": "ephemeral"}}
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


def translated(*messages: dict[str, Any], system: Any = None) -> list[dict[str, Any]]:
    found, left_out = messages_of(system, messages)
    assert left_out == []
    return found


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def call(call_id: str = "toolu_1", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "look", "input": given}


def test_plain_texts_stay_plain() -> None:
    assert translated({"role": "user", "content": "Hi"}, system="Be brief.") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]
    assert translated(user(text("Hi")), system=[text("Be brief.")]) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


def test_marks_of_caches_stay_where_they_were() -> None:
    system, asked, said, result = translated(
        user(text("Hi", **MARK)),
        assistant({**call(), **MARK}),
        user({"type": "tool_result", "tool_use_id": "toolu_1", "content": "18", **MARK}),
        system=[text("Be brief.", **MARK)],
    )
    assert system["content"] == [text("Be brief.", **MARK)]
    assert asked["content"] == [text("Hi", **MARK)]
    assert said["tool_calls"][0]["cache_control"] == MARK["cache_control"]
    assert result["content"] == [text("18", **MARK)]


@pytest.mark.parametrize(
    ("mark", "kept"),
    [
        ({"type": "ephemeral", "ttl": "1h", "scope": "x" * 5_000, "deep": [[]]}, {"type": "ephemeral", "ttl": "1h"}),
        ({"type": ["ephemeral"]}, None),
        ({}, None),
        ("ephemeral", None),
    ],
)
def test_of_a_mark_its_own_keys_are_passed_on(mark: Any, kept: dict[str, str] | None) -> None:
    [asked] = translated(user(text("Hi", cache_control=mark), text("you")))
    [tool] = function_tools([{"name": "look", "input_schema": {}, "cache_control": mark}])[0] or []
    assert asked["content"][0].get("cache_control") == kept
    assert tool.get("cache_control") == kept


def test_pictures_and_documents_become_parts() -> None:
    picture = {"type": "image", "source": PNG}
    pdf = {"type": "document", "source": {**PNG, "media_type": "application/pdf"}, "title": "a.pdf"}
    note = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}}
    [message] = translated(user(picture, pdf, note))
    image, file, words = message["content"]
    assert image == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    assert file["file"] == {"file_data": "data:application/pdf;base64,iVBORw0KGgo=", "filename": "a.pdf"}
    assert words == text("words")


def test_each_result_is_a_message_of_its_own_before_what_is_said_beside_it() -> None:
    results = [{"type": "tool_result", "tool_use_id": f"toolu_{n}", "content": str(n)} for n in (1, 2)]
    messages = translated(assistant(call("toolu_1"), call("toolu_2")), user(text("And?"), *results))
    assert [message["role"] for message in messages] == ["assistant", "tool", "tool", "user"]
    assert [message.get("tool_call_id") for message in messages[1:3]] == ["toolu_1", "toolu_2"]
    assert messages[3]["content"] == "And?"


def test_a_result_that_is_an_error_says_so() -> None:
    failed = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no such file", "is_error": True}
    assert translated(user(failed))[0]["content"] == "Error: no such file"
    assert translated(user({**failed, "content": "error 404"}))[0]["content"] == "error 404"
    assert translated(user({**failed, "content": None}))[0]["content"] == "Error"


def test_calls_carry_their_arguments_as_json() -> None:
    [message] = translated(assistant(text("Let me look."), call(city="Paris")))
    assert message["content"] == "Let me look."
    [made] = message["tool_calls"]
    assert made == {"id": "toolu_1", "type": "function", "function": {"name": "look", "arguments": '{"city":"Paris"}'}}


def test_signed_thinking_goes_on_as_it_is_and_unsigned_as_plain_thinking() -> None:
    signed = {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}
    redacted = {"type": "redacted_thinking", "data": "EvYB"}
    [message] = translated(assistant(signed, redacted, call()))
    assert message["thinking_blocks"] == [signed, redacted]
    for mark in ("tierwise-unsigned", ""):
        [message] = translated(assistant({**signed, "signature": mark}, call()))
        assert "thinking_blocks" not in message
        assert message["reasoning_content"] == "Hm."


def test_the_state_of_other_families_comes_back_to_its_place() -> None:
    details, extra = [{"type": "reasoning.encrypted", "data": "x"}], {"google": {"thought_signature": "y"}}
    blocks = [state_block({"reasoning_details": details}), state_block(None, {"toolu_1": extra})]
    [message] = translated(assistant(*(block for block in blocks if block), call()))
    assert message["reasoning_details"] == details
    assert message["tool_calls"][0]["extra_content"] == extra
    assert "thinking_blocks" not in message


@pytest.mark.parametrize("data", ["tierwise-state-", "tierwise-state-!!", "tierwise-state-W10="])
def test_a_state_that_cannot_be_read_is_none(data: str) -> None:
    [message] = translated(assistant({"type": "redacted_thinking", "data": data}, text("Hi")))
    assert message == {"role": "assistant", "content": "Hi"}


def test_what_anthropics_servers_did_is_left_out_and_named() -> None:
    searched = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    [message], left_out = messages_of(None, [assistant(searched, found, text("It rains."))])
    assert message["content"] == "It rains."
    assert left_out == ["messages (server_tool_use)", "messages (web_search_tool_result)"]


@pytest.mark.parametrize(
    ("block", "place"),
    [
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, "messages.0.content.0.source"),
        ({"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}}, "messages.0.content.0.source.url"),
        ({"type": "document", "source": {"type": "url", "url": "https://x"}}, "messages.0.content.0.source"),
        ({"type": "text"}, "messages.0.content.0"),
        ({}, "messages.0.content.0"),
    ],
)
def test_a_block_that_is_none_is_named(block: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        translated(user(block))
    assert caught.value.param == place


def test_tools_of_the_client_that_models_know_by_type_become_functions() -> None:
    tools, left_out = function_tools(
        [{"type": "bash_20250124", "name": "bash"}, {"type": "computer_20250124", "name": "c"}]
    )
    assert tools is not None
    assert tools[0]["function"]["parameters"]["properties"].keys() == {"command", "restart"}
    assert left_out == ["tools.1 (computer_20250124)"]


def test_the_choice_of_a_tool_is_translated() -> None:
    tools, _ = function_tools([{"name": "look", "input_schema": {"type": "object"}}])
    assert tools is not None
    assert tool_choice_of({"type": "any", "disable_parallel_tool_use": True}, tools) == {
        "tool_choice": "required",
        "parallel_tool_calls": False,
    }
    chosen = tool_choice_of({"type": "tool", "name": "look"}, tools)
    assert chosen == {"tool_choice": {"type": "function", "function": {"name": "look"}}}
    assert tool_choice_of({"type": "tool", "name": "gone"}, tools) == {}
