"""What messages carry out to each family: its own state, nobody else's, and ids of its own form."""

from typing import Any

import pytest

from router.providers.base import ModelTarget
from router.providers.call_ids import CallIds, id_form
from router.providers.outgoing import messages_for
from router.providers.state import LARGEST_STATE, clean_call_state, clean_state, join_state, state_family

SIGNED = {"google": {"thought_signature": "c2ln"}}
DETAILS = [{"type": "reasoning.encrypted", "data": "b3Bh"}]
BLOCKS = [{"type": "thinking", "thinking": "Hm.", "signature": "sig"}]
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": SIGNED}
EVERYTHING = {
    "role": "assistant",
    "content": "x",
    "reasoning": "Hm.",
    "reasoning_content": "Hm.",
    "reasoning_details": DETAILS,
    "reasoning_opaque": "b3Bh",
    "thinking_blocks": BLOCKS,
    "extra_content": SIGNED,
    "tool_calls": [CALL],
}
OTHERS = "https://models.example/v1"


def kept(name: str, api_base: str | None = None) -> set[str]:
    [message], _ = messages_for(ModelTarget(name, api_base), [EVERYTHING])
    found = message.keys() - {"role", "content", "tool_calls"}
    return found | ({"signed calls"} if "extra_content" in message["tool_calls"][0] else set())


@pytest.mark.parametrize(
    ("name", "api_base", "keys"),
    [
        ("openai/gpt-5", None, set()),
        ("openai/gpt-5", "https://api.openai.com/v1", set()),
        ("groq/llama", None, set()),
        ("anthropic/claude-sonnet-4-5", None, {"thinking_blocks"}),
        ("bedrock/us.anthropic.claude-sonnet-4-5-v1:0", None, {"thinking_blocks"}),
        ("bedrock/us.amazon.nova-lite-v1:0", None, set()),
        ("vertex_ai/claude-sonnet-4-5", None, {"thinking_blocks"}),
        ("vertex_ai/gemini-3-pro", None, {"extra_content", "signed calls"}),
        ("gemini/gemini-3-pro", None, {"extra_content", "signed calls"}),
        ("openai/gemini-3-pro", "https://x.googleapis.com/v1beta/openai", {"extra_content", "signed calls"}),
        ("openrouter/google/gemini-3-pro", None, {"reasoning_details", "reasoning"}),
        ("openai/google/gemini-3-pro", "https://openrouter.ai/api/v1", {"reasoning_details", "reasoning"}),
        ("deepseek/deepseek-reasoner", None, {"reasoning_content"}),
        ("openai/deepseek-reasoner", OTHERS, {"reasoning_content"}),
        ("moonshot/kimi-k2-thinking", None, {"reasoning_content"}),
        ("openai/glm-4.7", OTHERS, {"reasoning_content"}),
        ("openai/MiniMax-M2", OTHERS, {"reasoning_content", "reasoning_details"}),
        ("openai/claude-via-a-proxy", OTHERS, {"thinking_blocks"}),
        ("openai/somebody", OTHERS, {"extra_content", "reasoning_details", "reasoning_opaque", "signed calls"}),
        ("mistral/magistral-medium-latest", None, set()),
    ],
)  # fmt: skip
def test_state_goes_to_the_family_that_made_it_and_to_no_other(name: str, api_base: str | None, keys: set[str]) -> None:
    assert kept(name, api_base) == keys


def test_what_stays_here_is_named() -> None:
    _, dropped = messages_for(ModelTarget("groq/llama"), [EVERYTHING])
    assert dropped == [
        "messages.extra_content",
        "messages.reasoning_content",
        "messages.reasoning_details",
        "messages.reasoning_opaque",
        "messages.thinking_blocks",
        "messages.tool_calls.extra_content",
    ]


@pytest.mark.parametrize(
    ("name", "arrives"),
    [
        ("anthropic/claude-sonnet-4-5", True),
        ("openrouter/anthropic/claude-sonnet-4.5", True),
        ("openai/gpt-5", False),
        ("gemini/gemini-2.5-pro", False),
    ],
)
def test_marks_for_a_cache_go_where_they_are_known(name: str, arrives: bool) -> None:
    part = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    [message], dropped = messages_for(ModelTarget(name), [{"role": "user", "content": [part]}])
    assert ("cache_control" in message["content"][0]) is arrives
    assert dropped == ([] if arrives else ["messages.cache_control"])


def test_a_backend_that_insists_gets_thinking_or_a_blank() -> None:
    asked = {"role": "user", "content": "x"}
    thought, silent = {"role": "assistant", "content": "a", "reasoning": "Hm."}, {"role": "assistant", "content": "b"}
    target = ModelTarget("openai/somebody", OTHERS)
    messages, _ = messages_for(target, [asked, thought, silent], wanted=frozenset({"reasoning_content"}))
    assert [message.get("reasoning_content") for message in messages] == [None, "Hm.", " "]


def test_a_lost_signature_is_replaced_by_googles_own_word_where_it_is_insisted_on() -> None:
    calls = [{**CALL, "extra_content": None}, {**CALL, "id": "c2", "extra_content": None}]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    target = ModelTarget("openai/somebody", OTHERS)
    [shaped], _ = messages_for(target, [message], wanted=frozenset({"extra_content"}))
    first, second = shaped["tool_calls"]
    assert first["extra_content"] == {"google": {"thought_signature": "skip_thought_signature_validator"}}
    assert "extra_content" not in second


def test_a_signature_kept_in_an_id_goes_back_to_google_and_off_the_id_elsewhere() -> None:
    call = {"id": "call_1__thought__c2ln", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": "call_1__thought__c2ln", "content": "x"}
    messages: list[dict[str, Any]] = [{"role": "assistant", "content": None, "tool_calls": [call]}, result]
    [own, told], _ = messages_for(ModelTarget("openai/gemini-3-pro", OTHERS), messages)
    assert (own["tool_calls"][0]["id"], told["tool_call_id"]) == ("call_1", "call_1")
    assert own["tool_calls"][0]["extra_content"] == SIGNED
    [other, _], _ = messages_for(ModelTarget("groq/llama"), messages)
    assert other["tool_calls"][0] == {**call, "id": "call_1"}


def test_an_empty_list_of_calls_is_left_out() -> None:
    [message], dropped = messages_for(
        ModelTarget("openai/gpt-5"), [{"role": "assistant", "content": "x", "tool_calls": []}]
    )
    assert (message, dropped) == ({"role": "assistant", "content": "x"}, [])


def ids_for(name: str, *given: str) -> list[str]:
    ids = CallIds(id_form(ModelTarget(name)), keeps_signatures=False)
    return [ids.of_call(one) for one in given]


def test_ids_that_fit_stay() -> None:
    assert ids_for("openai/gpt-5", "call_abc", "functions.f:0") == ["call_abc", "functions.f:0"]
    assert ids_for("mistral/m", "a1B2c3D4e") == ["a1B2c3D4e"]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("mistral/mistral-small-latest", "call_abc"),
        ("openai/devstral-small", "call_abc"),
        ("openai/gpt-5", "call_" + "x" * 60),
        ("anthropic/claude-sonnet-4-5", "functions.f:0"),
        ("bedrock/us.amazon.nova-lite-v1:0", "tool use 1"),
        ("anthropic/claude-sonnet-4-5", ""),
    ],
)
def test_others_become_a_hash_of_themselves_in_the_familys_form(name: str, given: str) -> None:
    form = id_form(ModelTarget(name))
    [first], [again] = ids_for(name, given), ids_for(name, given)
    assert first == again != given
    assert form.pattern.fullmatch(first)


def test_ids_that_come_again_are_told_apart_where_they_must_be_and_results_follow_the_last() -> None:
    ids = CallIds(id_form(ModelTarget("anthropic/claude-sonnet-4-5")), keeps_signatures=False)
    first, _ = ids.of_call("call_0"), ids.of_result("call_0")
    second = ids.of_call("call_0")
    assert first == "call_0" != second
    assert ids.of_result("call_0") == second


def test_state_that_is_too_large_is_left_out_and_named() -> None:
    dropped: set[str] = set()
    large = "x" * (LARGEST_STATE + 1)
    message: dict[str, Any] = {
        "reasoning_details": [{"data": large}],
        "extra_content": {"a": large},
        "reasoning_opaque": large,
    }
    assert clean_state(message, dropped) == {}
    assert clean_call_state({"extra_content": {"a": large}}, dropped) == {}
    assert dropped == {
        "messages.reasoning_details", "messages.extra_content", "messages.reasoning_opaque",
        "messages.tool_calls.extra_content",
    }  # fmt: skip


def test_signatures_that_litellms_own_clients_give_back_are_understood() -> None:
    call = {"id": "c", "provider_specific_fields": {"thought_signature": "c2ln"}}
    assert clean_call_state(call, set()) == {"extra_content": SIGNED}
    assert clean_state({"provider_specific_fields": {"thought_signatures": ["c2ln"]}}, set()) == {
        "extra_content": SIGNED
    }


def test_details_of_a_stream_go_on_where_they_are_of_one_piece() -> None:
    steps: list[dict[str, Any]] = [
        {"type": "reasoning.text", "text": "Let me ", "index": 0},
        {"type": "reasoning.text", "text": "see", "index": 0},
        {"type": "reasoning.text", "text": None, "signature": "sig", "index": 0},
        {"type": "reasoning.encrypted", "data": "b3Bh", "index": 1},
    ]
    state = None
    for step in steps:
        state = join_state(state, {"reasoning_details": [step]})
    assert state == {
        "reasoning_details": [
            {"type": "reasoning.text", "text": "Let me see", "signature": "sig", "index": 0},
            {"type": "reasoning.encrypted", "data": "b3Bh", "index": 1},
        ]
    }


def test_nobody_is_taken_for_a_family_by_a_name_within_a_host() -> None:
    assert state_family(ModelTarget("openai/x", "https://notopenrouter.ai.example/v1")).name == "unknown"
