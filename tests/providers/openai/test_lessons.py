"""What a refusal teaches: tried at once without what it names, kept in mind where that helped, named to the client."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from router.errors import ProviderRefused
from router.providers.openai.client import OpenAICompatible
from tests.providers.shapes import a_request, an_answer
from tests.providers.upstream import Answer, an_upstream, says

ASSISTANT: dict[str, Any] = {
    "role": "assistant",
    "content": "x",
    "reasoning_content": "Hm.",
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
TALK: list[dict[str, Any]] = [
    {"role": "user", "content": "x"},
    ASSISTANT,
    {"role": "tool", "tool_call_id": "c1", "content": "5"},
]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}}


@pytest.fixture
async def provider() -> AsyncIterator[OpenAICompatible]:
    provider = OpenAICompatible()
    yield provider
    await provider.close()


def refuses(message: str, status: int = 400, **error: Any) -> Answer:
    return says({"error": {"message": message, "type": "invalid_request_error", **error}}, status)


@pytest.mark.parametrize(
    ("refusal", "params", "dropped"),
    [
        (refuses("invalid temperature: only 1 is allowed for this model"), {"temperature": 0.2}, "temperature"),
        (refuses("invalid temperature: only 0.6 is allowed for this model"), {"temperature": 1}, "temperature"),
        (
            refuses("Unsupported value: 'temperature' does not support 0.2 with this model.", param="temperature"),
            {"temperature": 0.2},
            "temperature",
        ),
        (refuses("temperature must be in (0.0, 1.0)", param="temperature"), {"temperature": 1.5}, "temperature"),
        (refuses("Range of top_p should be (0.0, 1.0)"), {"top_p": 1}, "top_p"),
        (refuses("'n' : number must be at most 1", param="n"), {"n": 2}, "n"),
        (
            says({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}, 422),
            {"seed": 1},
            "seed",
        ),
        (
            says({"message": {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}}, 422),
            {"seed": 1},
            "seed",
        ),
        (refuses("Unknown parameter: 'parallel_tool_calls'."), {"parallel_tool_calls": True}, "parallel_tool_calls"),
        (refuses("verbosity is not supported by this model"), {"verbosity": "low"}, "verbosity"),
        (refuses("property 'strict' is unsupported"), {"tools": [TOOL]}, "tools.strict"),
        (refuses("property 'reasoning_content' is unsupported"), {"messages": TALK}, "messages.reasoning_content"),
        (refuses("unknown field reasoning_content", 500), {"messages": TALK}, "messages.reasoning_content"),
    ],
)
async def test_what_is_not_taken_is_left_out_tried_again_and_named(
    provider: OpenAICompatible, refusal: Answer, params: dict[str, Any], dropped: str
) -> None:
    messages = params.pop("messages", None)
    async with an_upstream(refusal, says(an_answer())) as upstream:
        request = a_request("openai/kimi-k2", api_base=upstream.base, params=params, messages=messages)
        answer = await provider.complete(request)
    assert len(upstream.bodies) == 2
    assert dropped in answer.dropped


async def test_a_larger_limit_than_the_model_takes_is_lowered_and_remembered(provider: OpenAICompatible) -> None:
    refusal = refuses("max_tokens is too large: 100000. This model supports at most 16384 completion tokens.")
    async with an_upstream(refusal, says(an_answer())) as upstream:
        request = a_request("openai/somebody", api_base=upstream.base, max_output_tokens=100_000)
        answer = await provider.complete(request)
        await provider.complete(request)
    assert [body["max_tokens"] for body in upstream.bodies] == [100_000, 16_384, 16_384]
    assert answer.dropped == ["max_tokens"]


@pytest.mark.parametrize(
    "message",
    [
        "thinking is enabled but reasoning_content is missing in assistant tool call message at index 1",
        "The `reasoning_content` in the thinking mode must be passed back to the API.",
        "Missing `reasoning_content` field in the assistant message at message index 1.",
    ],
)
async def test_thinking_that_is_insisted_on_goes_along_from_then_on(provider: OpenAICompatible, message: str) -> None:
    async with an_upstream(refuses(message), says(an_answer())) as upstream:
        request = a_request("openai/somebody", api_base=upstream.base, messages=TALK)
        await provider.complete(request)
        await provider.complete(request)
    sent = [body["messages"][1].get("reasoning_content") for body in upstream.bodies]
    assert sent == [None, "Hm.", "Hm."]


async def test_a_signature_that_is_insisted_on_is_stood_in_for(provider: OpenAICompatible) -> None:
    refusal = refuses("Function call is missing a thought_signature in functionCall parts.")
    async with an_upstream(refusal, says(an_answer())) as upstream:
        await provider.complete(a_request("openai/somebody", api_base=upstream.base, messages=TALK))
    assert "extra_content" in upstream.bodies[1]["messages"][1]["tool_calls"][0]


async def test_a_role_that_is_not_known_is_written_as_system(provider: OpenAICompatible) -> None:
    refusal = refuses("unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`")
    messages = [{"role": "developer", "content": "x"}, {"role": "user", "content": "y"}]
    async with an_upstream(refusal, says(an_answer())) as upstream:
        await provider.complete(a_request("openai/somebody", api_base=upstream.base, messages=messages))
    assert upstream.bodies[1]["messages"][0]["role"] == "system"


@pytest.mark.parametrize(
    "message",
    [
        "messages: roles must alternate between user and assistant",
        "Invalid value for 'messages[0].content': expected a string",
        "Invalid schema for function 'temperature': something must be an object",
    ],
)
async def test_a_request_that_is_wrong_itself_is_refused_at_once(provider: OpenAICompatible, message: str) -> None:
    params = {"user": "u", "temperature": 0.5, "seed": 1}
    async with an_upstream(refuses(message, param="messages")) as upstream:
        with pytest.raises(ProviderRefused):
            await provider.complete(a_request("openai/somebody", api_base=upstream.base, params=params))
    assert len(upstream.bodies) <= 2  # once more at most, where a name stands in it


async def test_what_did_not_help_is_not_kept_in_mind(provider: OpenAICompatible) -> None:
    unknown, other = refuses("Unknown parameter: 'seed'."), refuses("no such thing")
    async with an_upstream(unknown, other, says(an_answer())) as upstream:
        request = a_request("openai/somebody", api_base=upstream.base, params={"seed": 1})
        with pytest.raises(ProviderRefused):
            await provider.complete(request)
        await provider.complete(request)
    assert ["seed" in body for body in upstream.bodies] == [True, False, True]
