import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from router.errors import (
    ProviderError,
    ProviderOverloaded,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnreachable,
)
from router.providers.base import Delta
from router.providers.collecting import fold
from router.providers.openai import client
from router.providers.openai.client import OpenAICompatible
from router.types import Precision, Usage
from tests.providers.shapes import a_chunk, a_request, a_usage_chunk, an_answer
from tests.providers.upstream import an_upstream, breaks, closes, hangs, says, says_text, streams
from tests.waiting import PATIENCE_S


@pytest.fixture
async def provider() -> AsyncIterator[OpenAICompatible]:
    provider = OpenAICompatible()
    yield provider
    await provider.close()


async def deltas_of(provider: OpenAICompatible, request: Any) -> list[Delta]:
    return [delta async for delta in provider.stream(request)]


async def test_a_whole_answer_comes_with_its_usage_in_disjoint_buckets(provider: OpenAICompatible) -> None:
    async with an_upstream(says(an_answer())) as upstream:
        answer = await provider.complete(a_request(api_base=upstream.base))
    assert answer.choices[0].content == "Paris."
    assert answer.metered is not None
    assert answer.metered.usage == Usage(input_fresh=12, input_cached=8, output_visible=5, output_reasoning=4)
    assert answer.metered.precision is Precision.EXACT
    assert (answer.service_tier, answer.system_fingerprint) == ("default", "fp_1")
    assert upstream.headers[0]["Authorization"] == "Bearer sk-secret-key-1234567890"


@pytest.mark.parametrize("piece", [0, 1, 7])
async def test_a_stream_reads_the_same_however_it_is_cut_into_packets(provider: OpenAICompatible, piece: int) -> None:
    chunks = [
        a_chunk("", role="assistant"),
        b": ping\r\n\r\n",
        a_chunk("Par"),
        a_chunk("is é."),
        a_chunk(None, "stop"),
        a_usage_chunk(),
    ]
    async with an_upstream(streams(*chunks, piece=piece)) as upstream:
        deltas = await deltas_of(provider, a_request(api_base=upstream.base))
    answer = fold(deltas, "m")
    assert answer.choices[0].content == "Paris é."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.metered is not None
    assert answer.metered.usage.input_tokens == 20
    assert upstream.bodies[0]["stream_options"] == {"include_usage": True}


async def test_usage_beside_a_choice_counts(provider: OpenAICompatible) -> None:
    chunk = a_chunk("Hi", "stop", usage={"prompt_tokens": 3, "completion_tokens": 1})
    async with an_upstream(streams(chunk)) as upstream:
        answer = fold(await deltas_of(provider, a_request(api_base=upstream.base)), "m")
    assert answer.metered is not None
    assert answer.metered.usage == Usage(input_fresh=3, output_visible=1)


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
async def test_thinking_goes_out_as_reasoning_whatever_a_backend_calls_it(provider: OpenAICompatible, key: str) -> None:
    chunks = [a_chunk(None, None, index=0, usage=None, **{key: "Hm."}), a_chunk("Yes", "stop")]
    async with an_upstream(streams(*chunks), says(an_answer("Yes", **{key: "Hm."}))) as upstream:
        streamed = fold(await deltas_of(provider, a_request(api_base=upstream.base)), "m")
        whole = await provider.complete(a_request(api_base=upstream.base))
    for answer in (streamed, whole):
        assert (answer.choices[0].content, answer.choices[0].reasoning) == ("Yes", "Hm.")


async def test_tool_calls_come_in_parts_and_keep_their_number(provider: OpenAICompatible) -> None:
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "add", "arguments": ""}}
    chunks = [
        a_chunk(None, tool_calls=[first]),
        a_chunk(None, tool_calls=[{"index": 0, "function": {"arguments": '{"a":'}}]),
        a_chunk(None, tool_calls=[{"index": 0, "function": {"arguments": "1}"}}]),
        a_chunk(None, "tool_calls"),
    ]
    async with an_upstream(streams(*chunks)) as upstream:
        [choice] = fold(await deltas_of(provider, a_request(api_base=upstream.base)), "m").choices
    assert choice.tool_calls == [
        {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    ]
    assert choice.finish_reason == "tool_calls"


async def test_a_backend_that_answers_a_stream_with_one_body_is_understood(provider: OpenAICompatible) -> None:
    async with an_upstream(says(an_answer())) as upstream:
        [choice] = fold(await deltas_of(provider, a_request(api_base=upstream.base)), "m").choices
    assert choice.content == "Paris."


async def test_a_backend_that_does_not_know_stream_options_is_asked_again_once_and_remembered(
    provider: OpenAICompatible,
) -> None:
    refusal = says({"error": {"message": "Unknown field: stream_options"}}, 400)
    async with an_upstream(refusal, streams(a_chunk("Hi", "stop"))) as upstream:
        request = a_request(api_base=upstream.base)
        await deltas_of(provider, request)
        await deltas_of(provider, request)
    assert ["stream_options" in body for body in upstream.bodies] == [True, False, False]


async def test_an_unknown_parameter_is_left_out_and_named(provider: OpenAICompatible) -> None:
    refusal = says(
        {"error": {"message": "Unsupported parameter: 'seed'", "param": "seed", "code": "unsupported_parameter"}}, 400
    )
    async with an_upstream(refusal, says(an_answer())) as upstream:
        answer = await provider.complete(a_request(api_base=upstream.base, params={"seed": 1}))
    assert answer.dropped == ["seed"]


async def test_a_wrong_value_is_the_clients_business_and_poisons_nothing(provider: OpenAICompatible) -> None:
    refusal = says(
        {"error": {"message": "temperature must be at most 2", "param": "temperature", "code": "invalid_value"}}, 400
    )
    async with an_upstream(refusal, says(an_answer())) as upstream:
        with pytest.raises(ProviderRefused) as caught:
            await provider.complete(a_request(api_base=upstream.base, params={"temperature": 5}))
        await provider.complete(a_request(api_base=upstream.base, params={"temperature": 1.5}))
    assert caught.value.param == "temperature"
    assert upstream.bodies[-1]["temperature"] == 1.5


async def test_a_value_that_one_model_does_not_take_is_left_out_this_time_only(provider: OpenAICompatible) -> None:
    message = "Unsupported value: 'reasoning_effort' does not support 'xhigh' with this model."
    refusal = says({"error": {"message": message, "param": "reasoning_effort", "code": "unsupported_value"}}, 400)
    async with an_upstream(refusal, says(an_answer())) as upstream:
        await provider.complete(a_request(api_base=upstream.base, effort="xhigh"))
        await provider.complete(a_request(api_base=upstream.base, effort="low"))
    assert [body.get("reasoning_effort") for body in upstream.bodies] == ["xhigh", None, "low"]


async def test_a_stream_cut_before_its_end_hands_on_the_usage_that_came(provider: OpenAICompatible) -> None:
    async with an_upstream(
        streams(a_chunk("Hel", usage={"prompt_tokens": 3, "completion_tokens": 1}), done=False, cut=True)
    ) as upstream:
        stream = provider.stream(a_request(api_base=upstream.base))
        seen = [await anext(stream)]
        with pytest.raises(ProviderError, match="broke off"):
            await anext(stream)
    assert seen[-1].metered is not None


async def test_a_stream_without_a_finish_reason_or_an_end_mark_is_an_error(provider: OpenAICompatible) -> None:
    async with an_upstream(streams(a_chunk("Hel"), done=False)) as upstream:
        with pytest.raises(ProviderError, match="broke off"):
            await deltas_of(provider, a_request(api_base=upstream.base))


@pytest.mark.parametrize("ends", [[a_chunk("Hi", "stop")], [a_chunk("Hi", "stop"), a_usage_chunk()]])
async def test_a_stream_that_stays_open_after_its_end_is_not_waited_for(
    provider: OpenAICompatible, ends: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LONG_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(client, "GRACE_SECONDS", 0.1)
    async with an_upstream(hangs(*ends)) as upstream:
        request = a_request(api_base=upstream.base, timeout_s=3_600)
        async with asyncio.timeout(PATIENCE_S):
            answer = fold(await deltas_of(provider, request), "m")
    assert answer.choices[0].content == "Hi"


async def test_a_connection_that_breaks_after_the_end_breaks_nothing(provider: OpenAICompatible) -> None:
    async with an_upstream(breaks(a_chunk("Hi"), a_chunk(None, "stop"))) as upstream:
        answer = fold(await deltas_of(provider, a_request(api_base=upstream.base)), "m")
    assert (answer.choices[0].content, answer.choices[0].finish_reason) == ("Hi", "stop")


async def test_a_connection_that_breaks_before_the_end_is_an_error(provider: OpenAICompatible) -> None:
    async with an_upstream(breaks(a_chunk("Hi"))) as upstream:
        with pytest.raises(ProviderError, match="broke off"):
            await deltas_of(provider, a_request(api_base=upstream.base))


async def test_thinking_that_opens_in_the_prompt_is_learnt_from_the_first_stream(provider: OpenAICompatible) -> None:
    chunks = [a_chunk("Let me see."), a_chunk("\n</think>\n"), a_chunk("\nParis."), a_chunk(None, "stop")]
    async with an_upstream(streams(*chunks)) as upstream:
        request = a_request("hosted_vllm/some-model", api_base=upstream.base)
        [first] = fold(await deltas_of(provider, request), "m").choices
        [second] = fold(await deltas_of(provider, request), "m").choices
    assert first.content == "Let me see.\n</think>\n\nParis."
    assert (second.content, second.reasoning) == ("Paris.", "Let me see.\n")


@pytest.mark.parametrize("model", ["deepseek-r1", "Qwen/QwQ-32B", "qwen3-235b-a22b-thinking-2507"])
async def test_a_model_that_is_called_thinking_is_split_from_the_first_stream(
    provider: OpenAICompatible, model: str
) -> None:
    chunks = [a_chunk("Let me see.\n</think>\n\nPa"), a_chunk("ris."), a_chunk(None, "stop")]
    async with an_upstream(streams(*chunks)) as upstream:
        request = a_request(f"hosted_vllm/{model}", api_base=upstream.base)
        [choice] = fold(await deltas_of(provider, request), "m").choices
    assert (choice.content, choice.reasoning) == ("Paris.", "Let me see.\n")


async def test_thinking_in_a_field_of_its_own_needs_no_tag(provider: OpenAICompatible) -> None:
    chunks = [a_chunk(None, reasoning_content="Hm."), a_chunk("Pa"), a_chunk("ris."), a_chunk(None, "stop")]
    async with an_upstream(streams(*chunks)) as upstream:
        request = a_request("hosted_vllm/deepseek-r1", api_base=upstream.base)
        [choice] = fold(await deltas_of(provider, request), "m").choices
    assert (choice.content, choice.reasoning) == ("Paris.", "Hm.")


async def test_what_was_taken_for_thinking_and_never_ended_is_the_answer_too(provider: OpenAICompatible) -> None:
    taught = streams(a_chunk("Hm."), a_chunk("</think>\n"), a_chunk("Paris."), a_chunk(None, "stop"))
    plain = streams(a_chunk("Oslo"), a_chunk("."), a_chunk(None, "stop"))
    async with an_upstream(taught, plain) as upstream:
        request = a_request("hosted_vllm/some-model", api_base=upstream.base)
        await deltas_of(provider, request)
        [unexpected] = fold(await deltas_of(provider, request), "m").choices
        [unlearnt] = fold(await deltas_of(provider, request), "m").choices
    assert unexpected.content == "Oslo."
    assert (unlearnt.content, unlearnt.reasoning) == ("Oslo.", None)


async def test_a_broken_event_is_an_error(provider: OpenAICompatible) -> None:
    async with an_upstream(streams(a_chunk("Hel"), b'data: {"choices": [\n\n')) as upstream:
        with pytest.raises(ProviderError, match="broken stream"):
            await deltas_of(provider, a_request(api_base=upstream.base))


async def test_an_error_within_a_stream_is_raised_without_secrets(provider: OpenAICompatible) -> None:
    error = {"error": {"message": "overloaded, key sk-secret-key-1234567890", "code": 503}}
    async with an_upstream(streams(a_chunk("Hel"), error)) as upstream:
        with pytest.raises(ProviderOverloaded) as caught:
            await deltas_of(provider, a_request(api_base=upstream.base))
    assert "secret" not in caught.value.message


async def test_a_rate_limit_tells_when_to_come_again(provider: OpenAICompatible) -> None:
    limit = says({"error": {"message": "slow down"}}, 429, **{"retry-after": "7"})
    async with an_upstream(limit) as upstream:
        with pytest.raises(ProviderOverloaded) as caught:
            await provider.complete(a_request(api_base=upstream.base))
    assert caught.value.headers() == {"retry-after": "7"}
    assert caught.value.retryable


async def test_an_html_page_in_place_of_an_answer_is_an_error_of_few_words(provider: OpenAICompatible) -> None:
    async with an_upstream(says_text("<html>Internal</html>", 500), says_text("<html>Welcome</html>")) as upstream:
        with pytest.raises(ProviderError, match="status 500"):
            await provider.complete(a_request(api_base=upstream.base))
        with pytest.raises(ProviderError, match="no valid answer"):
            await provider.complete(a_request(api_base=upstream.base))


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500])
async def test_a_key_is_never_echoed(provider: OpenAICompatible, status: int) -> None:
    message = "Incorrect API key provided: sk-secret-key-1234567890, or sk-proj-abcdefghijkl; Bearer abcdef"
    async with an_upstream(says({"error": {"message": message}}, status)) as upstream:
        with pytest.raises(ProviderError) as caught:
            await provider.complete(a_request(api_base=upstream.base))
    assert "secret" not in str(caught.value.body())
    assert "abcdef" not in str(caught.value.body())
    assert caught.value.provider_status == status


async def test_too_long_an_input_has_a_code_of_its_own(provider: OpenAICompatible) -> None:
    message = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    async with an_upstream(says({"error": {"message": message}}, 400)) as upstream:
        with pytest.raises(ProviderRefused) as caught:
            await provider.complete(a_request(api_base=upstream.base))
    assert caught.value.code == "context_length_exceeded"


async def test_nobody_listening_means_nothing_was_sent(provider: OpenAICompatible) -> None:
    async with an_upstream(says({})) as upstream:
        request = a_request(api_base=upstream.base)
    with pytest.raises(ProviderUnreachable) as caught:
        await provider.complete(request)
    assert not caught.value.dispatched


async def test_a_connection_closed_without_a_byte_may_have_been_worked_on(provider: OpenAICompatible) -> None:
    async with an_upstream(closes()) as upstream:
        with pytest.raises(ProviderError) as caught:
            await provider.complete(a_request(api_base=upstream.base))
    assert caught.value.dispatched


@pytest.mark.parametrize("streamed", [True, False])
async def test_silence_ends_in_a_timeout(provider: OpenAICompatible, streamed: bool) -> None:
    async with an_upstream(hangs(*[a_chunk("Hel")][:streamed])) as upstream:
        request = a_request(api_base=upstream.base, timeout_s=1.0)
        with pytest.raises(ProviderTimeout):
            await (deltas_of(provider, request) if streamed else provider.complete(request))


@pytest.mark.parametrize("streamed", [True, False])
async def test_cancelling_closes_the_upstream_connection(provider: OpenAICompatible, streamed: bool) -> None:
    async with an_upstream(hangs(*[a_chunk("Hel")][:streamed])) as upstream:
        request = a_request(api_base=upstream.base, timeout_s=3_600)
        task: asyncio.Task[Any] = asyncio.ensure_future(
            deltas_of(provider, request) if streamed else provider.complete(request)
        )
        await asyncio.wait_for(upstream.asked.wait(), PATIENCE_S)
        task.cancel()
        await asyncio.wait_for(upstream.hung_up.wait(), PATIENCE_S)


async def test_closing_a_stream_early_closes_the_upstream_connection(provider: OpenAICompatible) -> None:
    async with an_upstream(hangs(a_chunk("Hel"))) as upstream:
        stream = provider.stream(a_request(api_base=upstream.base, timeout_s=3_600))
        assert (await anext(stream)).content == "Hel"
        await stream.aclose()
        await asyncio.wait_for(upstream.hung_up.wait(), PATIENCE_S)


async def test_ping_asks_for_the_models_and_tells_bad_credentials(provider: OpenAICompatible) -> None:
    async with an_upstream(says({"data": []}), says({"error": {"message": "bad key"}}, 401)) as upstream:
        await provider.ping(a_request(api_base=upstream.base).target)
        with pytest.raises(ProviderError, match="credentials"):
            await provider.ping(a_request(api_base=upstream.base).target)
    assert upstream.paths == ["/v1/models", "/v1/models"]


async def test_thinking_tags_of_a_local_model_are_split_off(provider: OpenAICompatible) -> None:
    pieces = ["<th", "ink>\nLet me", " see.</thi", "nk>\n\nPa", "ris <think>"]
    chunks = [*map(a_chunk, pieces), a_chunk(None, "stop")]
    whole = an_answer("<think>\nLet me see.</think>\n\nParis <think>")
    async with an_upstream(streams(*chunks), says(whole)) as upstream:
        request = a_request("hosted_vllm/qwen", api_base=upstream.base)
        [streamed] = fold(await deltas_of(provider, request), "m").choices
        [completed] = (await provider.complete(request)).choices
    for choice in (streamed, completed):
        assert (choice.content, choice.reasoning) == ("Paris <think>", "Let me see.")


async def test_ollama_is_spoken_to_below_its_native_address_and_without_a_key(provider: OpenAICompatible) -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 30, "total_tokens": 42}
    chunks = [a_chunk("", reasoning="Hm."), a_chunk("Paris."), a_chunk("", "stop"), a_usage_chunk(usage)]
    async with an_upstream(streams(*chunks)) as upstream:
        request = a_request("ollama/qwen3", api_base=upstream.base.removesuffix("/v1"), api_key=None)
        answer = fold(await deltas_of(provider, request), "qwen3")
    assert (answer.choices[0].content, answer.choices[0].reasoning) == ("Paris.", "Hm.")
    assert answer.metered is not None
    assert answer.metered.usage == Usage(input_fresh=12, output_visible=30)
    assert upstream.paths == ["/v1/chat/completions"]
    assert "Authorization" not in upstream.headers[0]


async def test_deepseek_streams_its_thinking_and_its_cache_hits(provider: OpenAICompatible) -> None:
    usage = {"prompt_tokens": 70, "completion_tokens": 9, "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 6}
    chunks = [a_chunk(reasoning_content="Hm."), a_chunk("Paris.", "stop", usage=usage)]
    async with an_upstream(streams(*chunks)) as upstream:
        answer = fold(await deltas_of(provider, a_request("deepseek/chat", api_base=upstream.base)), "chat")
    assert answer.choices[0].reasoning == "Hm."
    assert answer.metered is not None
    assert answer.metered.usage == Usage(input_fresh=6, input_cached=64, output_visible=9)
