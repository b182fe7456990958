"""Samples share what a provider has read already: forms stand at the end, the first sample goes ahead."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest

from classifier.types import AnswerType
from router.providers.base import Delta, Metered, ModelTarget, ProviderRequest
from router.providers.caches import cache_key, has_cache_marks
from router.tiers.calls import Calls
from router.tiers.parallel.planning import sample_requests
from router.tiers.parallel.prompts import PromptForm, forms_for, put, with_hints
from router.tiers.parallel.tier import ParallelOptions, ParallelTier
from router.tiers.parallel.warmth import PrefixWarmth
from router.tiers.single import SingleTier
from router.tiers.vote.keys import read_question
from router.types import Precision, Tier, Usage
from tests.tiers.fakes import CHEAP, OTHER, STRONG, FakeProvider, Reply, a_query, saying, some_calls

FORM = PromptForm("form", "Think first.")
TURNS: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "word " * 3_900},
    {"role": "assistant", "content": "Noted."},
    {"role": "user", "content": "How many words was that?"},
]
CLAUDE, GPT = ModelTarget("anthropic/claude-haiku-4-5"), ModelTarget("openai/gpt-5-nano")
MARK = {"type": "ephemeral"}


def _shared(one: str, other: str) -> str:
    """The characters that both begin with."""
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:at]


class CachingProvider(FakeProvider):
    """Caches what it has read once it begins to answer, and counts input by words: cached or fresh."""

    def __init__(self, *said: str) -> None:
        super().__init__(saying(*said))
        self.known: list[str] = []
        self.fresh: list[int] = []
        self.cached: list[int] = []

    async def stream(self, request: ProviderRequest) -> AsyncGenerator[Delta]:
        prompt = msgspec.json.encode(request.messages).decode()
        shared = max((_shared(prompt, known).count(" ") for known in self.known), default=0)
        self.cached.append(shared)
        self.fresh.append(prompt.count(" ") - shared)
        async for delta in super().stream(request):
            await asyncio.sleep(0.01)
            self.known.append(prompt)
            yield delta

    @property
    def cost(self) -> float:
        """What all input cost, in fresh words; cached ones cost a tenth."""
        return sum(self.fresh) + sum(self.cached) / 10


def long_query(**changes: Any) -> Any:
    return msgspec.structs.replace(a_query(**changes), messages=TURNS, input_bound_tokens=20_000)


async def test_eight_samples_of_a_long_conversation_cost_less_input_than_two() -> None:
    """A split vote takes all eight; one alone reads the conversation once."""
    provider = CachingProvider(*[f"Answer: {n}" for n in (1, 2, 1, 2, 1, 2, 1, 2)])
    await ParallelTier(ParallelOptions((CHEAP,))).answer(long_query(), some_calls(provider))
    assert len(provider.requests) == 8
    assert provider.cost / provider.fresh[0] <= 1.8
    assert max(provider.fresh[1:]) < 120


async def test_the_next_turn_finds_the_conversation_warm_and_sends_a_whole_wave() -> None:
    tier = ParallelTier(ParallelOptions((CHEAP,)))
    for turns in (TURNS[:2], TURNS):
        provider = CachingProvider("Answer: 1")
        asked = msgspec.structs.replace(long_query(), messages=turns)
        await tier.answer(asked, some_calls(provider))
        provider_last = provider
    assert provider_last.cached[:4] == [0] * 4  # all four were sent before any had answered


async def test_each_model_has_a_sample_of_its_own_go_ahead() -> None:
    provider = CachingProvider("Answer: 1")
    await ParallelTier(ParallelOptions((CHEAP, OTHER))).answer(long_query(), some_calls(provider))
    assert [r.target for r in provider.requests[:2]] == [CHEAP, OTHER]
    assert provider.cached[:2] == [0, 0] != provider.cached[2:4]


async def test_a_short_prompt_waits_for_nobody() -> None:
    provider = CachingProvider("Answer: 1")
    await ParallelTier(ParallelOptions((CHEAP,))).answer(a_query(), some_calls(provider))
    assert provider.cached == [0] * 4


async def test_a_first_sample_that_fails_lets_the_others_go() -> None:
    failing: list[Reply] = [RuntimeError("gone"), *["Answer: 1"] * 4]
    provider = FakeProvider(lambda _, index: failing[min(index, 4)])
    answer = await ParallelTier(ParallelOptions((CHEAP,))).answer(long_query(), some_calls(provider))
    assert answer.choices[0].content == "Answer: 1"


@pytest.mark.parametrize("answer_type", list(AnswerType))
def test_all_forms_share_the_clients_messages_as_they_are(answer_type: AnswerType) -> None:
    for form in forms_for(read_question(answer_type, TURNS, {}), has_tools=False):
        made = put(TURNS, form)
        assert made[:-1] == TURNS[:-1]
        assert made[-1]["content"].startswith(TURNS[-1]["content"])


def test_marks_of_the_client_stay_and_nothing_is_added_to_what_it_marked() -> None:
    parts = [{"type": "text", "text": "a long text", "cache_control": MARK}, {"type": "text", "text": "and?"}]
    made = put([{"role": "user", "content": parts}], FORM)
    assert made[0]["content"] == [*parts, {"type": "text", "text": FORM.instruction}]
    assert has_cache_marks(made)


def test_a_conversation_that_ends_with_a_tool_is_sampled_as_it_is() -> None:
    turns = [*TURNS, {"role": "tool", "tool_call_id": "1", "content": "42"}]
    forms = forms_for(read_question(AnswerType.NUMERIC, turns, {}), has_tools=True, ends_with_user=False)
    assert [put(turns, form) for form in forms] == [turns]
    assert with_hints(turns, ["42"])[:-1] == turns


def test_a_long_prompt_is_marked_for_who_wants_marks_and_keyed_for_who_takes_keys() -> None:
    query = msgspec.structs.replace(long_query(), conversation="c-1")
    question = read_question(AnswerType.NUMERIC, query.messages, query.params)
    request = sample_requests(query, (CLAUDE, GPT), question, is_long=True)
    (_, claude), (_, gpt) = request(0), request(1)
    assert claude.messages[-1]["content"][0] == {
        "type": "text", "text": TURNS[-1]["content"], "cache_control": MARK,
    }  # fmt: skip
    assert isinstance(gpt.messages[-1]["content"], str)
    assert "prompt_cache_key" not in claude.params
    assert gpt.params["prompt_cache_key"] == cache_key("c-1", TURNS)
    own = msgspec.structs.replace(query, params={"prompt_cache_key": "mine"})
    assert sample_requests(own, (GPT,), question)(0)[1].params["prompt_cache_key"] == "mine"


def test_turns_of_one_conversation_have_one_key_and_others_another() -> None:
    assert cache_key(None, TURNS) == cache_key(None, TURNS[:2]) != cache_key(None, TURNS[2:])
    assert cache_key("a", TURNS) == cache_key("a", TURNS[2:]) != cache_key("b", TURNS)


def test_a_prefix_cools_down() -> None:
    warmth = PrefixWarmth()
    assert [warmth.is_cold("m", TURNS, at) for at in (0.0, 100.0, 1_000.0)] == [True, False, True]
    assert warmth.is_cold("n", TURNS, 1_000.0)
    assert warmth.is_cold("m", [*TURNS, {"role": "assistant", "content": "word " * 3_000}, TURNS[-1]], 1_001.0)


def with_logprobs(text: str, probability: float) -> list[Delta]:
    from math import log

    metered = Metered(Usage(input_fresh=5, output_visible=3), Precision.EXACT)
    said = {"content": [{"token": "x", "logprob": log(probability)}]}
    return [Delta(content=text, logprobs=said), Delta(finish_reason="stop", metered=metered)]


@pytest.mark.parametrize(
    ("probabilities", "answers", "taken", "reason"),
    [
        ((0.99,), "1", 1, "sure"),
        ((0.92, 0.95), "11", 4, "accepted"),
        ((0.5, 0.5, 0.5, 0.5), "1111", 4, "accepted"),
    ],
)
async def test_a_first_sample_that_is_sure_of_itself_is_enough(
    probabilities: tuple[float, ...], answers: str, taken: int, reason: str
) -> None:
    def reply(_: ProviderRequest, index: int) -> list[Delta]:
        at = min(index, len(probabilities) - 1)
        return with_logprobs(f"Answer: {answers[at]}", probabilities[at])

    provider = FakeProvider(reply)
    tier = ParallelTier(ParallelOptions((CHEAP,), token_confidence=0.98))
    answer = await tier.answer(a_query(), some_calls(provider))
    assert (len(provider.requests), answer.trace and answer.trace["stop_reason"]) == (taken, reason)
    assert all(request.params["logprobs"] for request in provider.requests)
    assert answer.choices[0].logprobs is None


async def test_two_that_agree_and_are_nearly_sure_are_enough() -> None:
    provider = FakeProvider(lambda _, index: with_logprobs("Answer: 1", 0.97))
    tier = ParallelTier(ParallelOptions((CHEAP,), token_confidence=0.98))
    answer = await tier.answer(a_query(), some_calls(provider))
    assert answer.trace
    assert (answer.trace["stop_reason"], answer.trace["valid"]) == ("sure", 2)


async def test_hints_for_the_strong_model_stand_at_the_end_too() -> None:
    provider = FakeProvider(saying(*[f"Answer: {n}" for n in (1, 2, 3, 4)], "Answer: 1"))
    tier = ParallelTier(ParallelOptions((CHEAP,), escalation=SingleTier(Tier.REASONING, [STRONG])))
    calls: Calls = some_calls(provider)
    await tier.answer(long_query(), calls)
    strong = provider.requests[-1]
    assert strong.target == STRONG
    assert strong.messages[:-1] == TURNS[:-1]
