"""What the parallel tier promises about one request, on a provider that answers from a script."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from classifier.types import AnswerType, Stakes
from router.errors import BreakerOpen, Cause, ProviderError, ProviderOverloaded, ProviderUnreachable, QuotaExhausted
from router.health.targets import HealthBook
from router.providers.base import Delta, ModelTarget
from router.tiers.base import Answer
from router.tiers.calls import Calls
from router.tiers.parallel.planning import FORM_TOKENS, HINT_TOKENS
from router.tiers.parallel.prompts import forms_for, with_hints
from router.tiers.parallel.tier import ParallelOptions, ParallelTier
from router.tiers.permits import Permits, TargetBook
from router.tiers.single import SingleTier
from router.tiers.vote.keys import read_question
from router.types import CallStatus, Tier
from tests.tiers.fakes import (
    CHEAP,
    OTHER,
    STRONG,
    BreakOff,
    FakeBooks,
    FakeClock,
    FakeProvider,
    Hang,
    Reply,
    a_query,
    saying,
    some_calls,
)
from tests.waiting import PATIENCE_S

PATIENT = {"least_wait_s": PATIENCE_S, "sample_timeout_s": PATIENCE_S}


def a_tier(*targets: ModelTarget, strong: bool = False, **changes: Any) -> ParallelTier:
    escalation = SingleTier(Tier.REASONING, [STRONG]) if strong else None
    return ParallelTier(ParallelOptions(targets or (CHEAP,), escalation=escalation, **{**PATIENT, **changes}))


def answers(*values: object) -> list[Reply]:
    return [f"Some work.\nAnswer: {value}" for value in values]


async def test_four_that_agree_are_enough() -> None:
    provider = FakeProvider(saying(*answers(42)))
    answer = await a_tier().answer(a_query(), some_calls(provider))
    assert len(provider.requests) == 4
    assert answer.choices[0].content == "Some work.\nAnswer: 42"
    assert answer.confidence == pytest.approx(0.92, abs=0.02)
    assert answer.trace
    assert answer.trace["agreement"] == pytest.approx(1 - 2**-5, abs=1e-4)
    assert answer.trace["stop_reason"] == "accepted"


async def test_high_stakes_need_six_that_agree() -> None:
    provider = FakeProvider(saying(*answers(42)))
    answer = await a_tier(max_samples=16).answer(a_query(stakes=Stakes.HIGH), some_calls(provider))
    assert answer.trace
    assert (answer.trace["valid"], answer.trace["stop_reason"]) == (6, "accepted")


async def test_a_futile_vote_goes_to_the_strong_tier_with_its_top_two_as_hints() -> None:
    provider = FakeProvider(saying(*answers(1, 2, 3, 4, 5)))
    answer = await a_tier(strong=True).answer(a_query(), some_calls(provider))
    assert len(provider.requests) == 5
    assert provider.requests[4].target == STRONG
    assert "'1'; '2'" in provider.requests[4].messages[-1]["content"]
    assert answer.final_tier is Tier.REASONING
    assert answer.trace
    assert answer.trace["stop_reason"] == "futile"
    assert answer.trace["low_confidence"]


async def test_a_strong_answer_that_agrees_with_the_vote_is_not_low_confidence() -> None:
    provider = FakeProvider(saying(*answers(1, 2, 3, 4, 2)))
    answer = await a_tier(strong=True).answer(a_query(), some_calls(provider))
    assert answer.confidence is not None
    assert answer.confidence > 0.9
    assert answer.trace
    assert not answer.trace["low_confidence"]


async def test_without_a_strong_tier_a_futile_vote_goes_on_and_is_flagged() -> None:
    provider = FakeProvider(saying(*answers(1, 2, 3, 4, 5, 2, 7, 8)))
    answer = await a_tier().answer(a_query(), some_calls(provider))
    assert len(provider.requests) == 8
    assert answer.choices[0].content == "Some work.\nAnswer: 2"
    assert answer.trace
    assert answer.trace["low_confidence"]
    assert answer.confidence is not None
    assert answer.confidence < 0.5


async def test_a_vote_that_cannot_change_any_more_is_settled() -> None:
    replies: list[Reply] = [*answers(1, 1, 1, 2, 1, 1), Hang(), Hang()]
    answer = await a_tier().answer(a_query(), some_calls(FakeProvider(saying(*replies))))
    assert answer.trace
    assert answer.trace["stop_reason"] == "settled"
    assert answer.final_tier is Tier.PARALLEL


async def test_what_is_settled_but_not_accepted_escalates() -> None:
    provider = FakeProvider(saying(*answers(1, 1, 1, 2, 1, 2, 1), Hang(), *answers(3)))
    answer = await a_tier(strong=True).answer(a_query(), some_calls(provider))
    assert answer.trace
    assert answer.trace["stop_reason"] == "settled"
    assert answer.final_tier is Tier.REASONING


async def test_a_settled_leader_that_may_still_be_accepted_is_sampled_on() -> None:
    provider = FakeProvider(saying(*answers(1, 1, 1, 2, 1, 1, 1), Hang()))
    answer = await a_tier(strong=True).answer(a_query(), some_calls(provider))
    assert answer.trace
    assert answer.trace["stop_reason"] == "accepted"


async def test_accepting_closes_the_stragglers_and_books_them() -> None:
    replies = [*answers(7, 7, 7), Hang(), *answers(7), Hang("partly"), Hang(), Hang()]
    provider, books = FakeProvider(saying(*replies)), FakeBooks()
    answer = await a_tier(least_wait_s=0.01).answer(a_query(), some_calls(provider, books))
    assert answer.trace
    assert answer.trace["stop_reason"] == "accepted"
    assert sorted(provider.closed) == [3, 5, 6, 7]
    assert provider.in_flight == 0
    calls = {s["call_no"]: s["status"] for s in answer.trace["samples"]}
    assert [calls[i] for i in (3, 5, 6, 7)] == [CallStatus.CANCELLED] * 4


async def test_wave_two_may_break_in_every_way_and_the_books_are_complete() -> None:
    broken: list[Reply] = [
        ProviderUnreachable("killed"), Hang(), BreakOff("Answer: 9"), ProviderOverloaded("429", provider_status=429),
    ]  # fmt: skip
    provider, books = FakeProvider(saying(*answers(1, 1, 1, 2), *broken)), FakeBooks()
    calls = some_calls(provider, books)
    answer = await a_tier().answer(a_query(), calls)
    calls.flush()
    assert answer.choices[0].content == "Some work.\nAnswer: 1"
    assert {r.call_no for r in books.results()} == {i.call_no for i in books.intents()} == set(range(8))
    assert [r.status for r in sorted(books.results(), key=lambda r: r.call_no)[4:]] == [
        CallStatus.NOT_SENT,
        CallStatus.CANCELLED,
        CallStatus.OK,
        CallStatus.ERROR,
    ]


async def test_an_unexpected_failure_of_a_sample_is_its_own() -> None:
    provider = FakeProvider(saying(KeyError("nonsense"), *answers(3)))
    answer = await a_tier().answer(a_query(), some_calls(provider))
    assert answer.trace
    assert answer.trace["valid"] == 4


async def test_when_nothing_came_back_the_strong_tier_answers() -> None:
    provider = FakeProvider(
        lambda request, _: answers(5)[0] if request.target == STRONG else ProviderOverloaded("busy")
    )
    answer = await a_tier(strong=True).answer(a_query(), some_calls(provider))
    assert answer.final_tier is Tier.REASONING
    assert len(provider.requests) == 5


async def test_when_nobody_answers_the_last_error_is_raised() -> None:
    with pytest.raises(ProviderOverloaded):
        await a_tier().answer(a_query(), some_calls(FakeProvider(saying(ProviderOverloaded("busy")))))


async def test_a_failing_strong_tier_leaves_the_answer_of_the_samples() -> None:
    provider = FakeProvider(
        lambda request, i: ProviderError("down") if request.target == STRONG else answers(i)[0],
    )
    answer = await a_tier(strong=True).answer(a_query(), some_calls(provider))
    assert answer.final_tier is Tier.PARALLEL
    assert answer.choices[0].content == "Some work.\nAnswer: 0"


async def test_what_cannot_be_extracted_costs_and_never_votes() -> None:
    mumbling = "I cannot say anything definite about this, there is too much that speaks for either side of it."
    provider = FakeProvider(saying(mumbling, mumbling, mumbling, *answers(6)))
    answer = await a_tier().answer(a_query(), some_calls(provider))
    assert answer.choices[0].content == "Some work.\nAnswer: 6"
    assert answer.trace
    assert answer.trace["votes"] == [{"answer": "6", "votes": 3}]
    assert answer.trace["low_confidence"]
    assert sum(s["cost_nanousd"] for s in answer.trace["samples"]) == 8 * 25_000


async def test_a_wave_mixes_models_and_forms_and_leaves_the_clients_messages_alone() -> None:
    provider = FakeProvider(saying(*answers(1)))
    await a_tier(CHEAP, OTHER).answer(a_query(params={"temperature": 0}), some_calls(provider))
    first = provider.requests[:4]
    assert {r.target for r in first} == {CHEAP, OTHER}
    assert len({r.messages[-1]["content"] for r in first}) >= 2
    assert all(len(r.messages) == 1 for r in first)
    assert all(r.messages[0]["content"].startswith("How much is it?\n\n") for r in first)
    assert len({r.params["seed"] for r in first}) == 4
    assert all("temperature" not in r.params for r in first)


async def test_open_questions_get_the_medoid_and_are_flagged() -> None:
    texts = ["Plant tomatoes in full sun and water them early.", "Tomatoes want full sun; water them early in the day."]
    provider = FakeProvider(saying(*texts, "Buy a boat.", texts[0] + " Use mulch."))
    answer = await a_tier().answer(a_query("Any tips?", AnswerType.OPEN), some_calls(provider))
    assert answer.choices[0].content != "Buy a boat."
    assert answer.trace
    assert answer.trace["low_confidence"]
    assert len(provider.requests) == 4


async def test_n_gives_the_best_samples_first() -> None:
    provider = FakeProvider(saying(*answers(1, 2, 1, 1, 1)))
    answer = await a_tier().answer(a_query(n=3), some_calls(provider))
    assert [c.content for c in answer.choices] == answers(1, 1, 1)
    assert [c.index for c in answer.choices] == [0, 1, 2]


async def test_tool_calls_vote_as_a_set_without_order() -> None:
    def calls_of(*cities: str) -> Delta:
        return Delta(
            tool_calls=[
                {"index": i, "id": f"c{i}", "function": {"name": "weather", "arguments": f'{{"city": "{city}"}}'}}
                for i, city in enumerate(cities)
            ]
        )

    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    provider = FakeProvider(saying(calls_of("Rome", "Oslo"), calls_of("Oslo", "Rome"), calls_of("Rome", "Oslo")))
    tier = a_tier()
    answer = await tier.answer(a_query("?", AnswerType.OPEN, params={"tools": tools}), some_calls(provider))
    await tier.close()
    assert answer.trace
    assert answer.trace["stop_reason"] == "accepted"
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].tool_calls
    assert len(answer.choices[0].tool_calls) == 2


async def test_schema_violations_never_vote() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    provider = FakeProvider(saying('{"n": "many"}', '{"m": 1}', '{"n": "many"}', '{"n": 1}'))
    tier = a_tier()
    answer = await tier.answer(a_query("?", AnswerType.OPEN, params={"response_format": form}), some_calls(provider))
    await tier.close()
    assert answer.choices[0].content == '{"n": 1}'
    assert answer.trace
    assert [s["fate"] for s in answer.trace["samples"][:3]] == ["rejected"] * 3


async def test_maths_that_is_equal_votes_together() -> None:
    provider = FakeProvider(saying(*answers(r"$\frac{\sqrt{2}}{2}$", r"$\frac{1}{\sqrt{2}}$", r"$\sqrt{\frac12}$")))
    tier = a_tier()
    answer = await tier.answer(a_query(), some_calls(provider))
    await tier.close()
    assert answer.trace
    assert answer.trace["stop_reason"] == "accepted"


async def test_concurrency_is_bounded_per_request_and_overall() -> None:
    provider = FakeProvider(saying(*answers(*range(40))))
    tier = a_tier(at_once=3, at_once_overall=5)
    await asyncio.gather(*(tier.answer(a_query(), some_calls(provider)) for _ in range(4)))
    assert provider.most_in_flight == 5
    assert len(provider.requests) == 32


async def test_a_wave_that_would_pass_the_cost_cap_is_not_sent() -> None:
    provider, books = FakeProvider(saying(*answers(1, 2, 1, 2, 1, 2, 3))), FakeBooks()
    worst = 900 * 1000 + 1000 * 2000
    answer = await a_tier().answer(a_query(cost_cap_nanousd=worst + 60_000), some_calls(provider, books))
    assert answer.trace
    assert answer.trace["stop_reason"] == "cost_cap"
    assert sum(s["cost_nanousd"] for s in answer.trace["samples"]) == 3 * 25_000
    with pytest.raises(QuotaExhausted):
        await a_tier().answer(a_query(cost_cap_nanousd=1), some_calls(provider))


async def test_a_policy_may_ask_for_more_confidence_and_fewer_samples() -> None:
    sure, few = FakeProvider(saying(*answers(42))), FakeProvider(saying(*answers(1, 2, 3, 4)))
    answer = await a_tier(max_samples=16).answer(a_query(confidence=0.99), some_calls(sure))
    assert answer.trace
    assert answer.trace["valid"] == 6
    await a_tier(max_samples=16).answer(a_query(max_samples=4), some_calls(few))
    assert len(few.requests) == 4


async def test_a_policy_older_than_the_configuration_is_kept_to_what_can_be() -> None:
    provider = FakeProvider(saying(*answers(42)))
    answer = await a_tier(max_samples=4).answer(a_query(max_samples=32, confidence=0.999), some_calls(provider))
    assert answer.trace
    assert (len(provider.requests), answer.trace["stop_reason"]) == (4, "settled")


async def test_full_pressure_takes_two_samples() -> None:
    provider = FakeProvider(saying(*answers(1)))
    await a_tier().answer(a_query(pressure=1.0), some_calls(provider))
    assert len(provider.requests) == 2


async def read(steps: AsyncIterator[Delta | Answer]) -> tuple[list[Delta], Answer]:
    seen = [step async for step in steps]
    assert isinstance(seen[-1], Answer)
    return [s for s in seen if isinstance(s, Delta)], seen[-1]


async def test_a_stream_shows_the_role_at_once_then_progress_then_the_winner() -> None:
    provider = FakeProvider(saying(*answers(1)))
    deltas, answer = await read(a_tier().stream(a_query(), some_calls(provider)))
    assert deltas[0] == Delta(index=0)
    thoughts = [d.reasoning for d in deltas if d.reasoning]
    assert thoughts[0] == "Sampling up to 8 answers.\n"
    assert "3 of 8 samples, 3 agree\n" in thoughts
    assert "".join(d.content or "" for d in deltas) == "Some work.\nAnswer: 1"
    assert deltas[-1].finish_reason == "stop"
    assert answer.choices[0].content is None


async def test_the_first_step_of_a_stream_waits_for_no_sample() -> None:
    stream = a_tier().stream(a_query(), some_calls(FakeProvider(saying(Hang()))))
    assert await anext(stream) == Delta(index=0)
    await stream.aclose()


async def test_a_client_that_leaves_closes_all_samples_and_they_are_booked() -> None:
    provider, books = FakeProvider(saying(Hang("some"))), FakeBooks()
    calls = some_calls(provider, books)
    stream = a_tier().stream(a_query(), calls)
    await anext(stream)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await stream.aclose()
    calls.flush()
    assert provider.in_flight == 0
    assert len(books.results()) == len(books.intents()) == 4


async def test_samples_called_off_before_they_began_are_booked_as_not_sent() -> None:
    provider, books = FakeProvider(saying(Hang())), FakeBooks()
    calls = some_calls(provider, books)
    stream = a_tier().stream(a_query(), calls)
    await anext(stream)
    await stream.aclose()
    calls.flush()
    assert [r.status for r in books.results()] == [CallStatus.NOT_SENT] * 4


async def test_a_streamed_escalation_comes_as_it_is_written() -> None:
    provider = FakeProvider(saying(*answers(1, 2, 3, 4, 5)))
    deltas, answer = await read(a_tier(strong=True).stream(a_query(), some_calls(provider)))
    assert "".join(d.content or "" for d in deltas) == "Some work.\nAnswer: 5"
    assert answer.final_tier is Tier.REASONING
    assert answer.trace


async def test_a_cancelled_request_leaves_nothing_running() -> None:
    provider, books = FakeProvider(saying(Hang("x"))), FakeBooks()
    calls = some_calls(provider, books)
    task = asyncio.create_task(a_tier().answer(a_query(), calls))
    for _ in range(5):
        await asyncio.sleep(0)
    assert provider.in_flight == 4
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    calls.flush()
    assert provider.in_flight == 0
    assert len(books.results()) == 4


def test_a_confidence_out_of_reach_is_refused_at_construction() -> None:
    with pytest.raises(ValueError, match=r"tiers\.parallel\.confidence"):
        ParallelOptions((CHEAP,), max_samples=3)


async def test_usage_is_the_total_over_all_samples() -> None:
    calls = some_calls(FakeProvider(saying(*answers(1))))
    await a_tier().answer(a_query(), calls)
    assert (calls.usage.input_fresh, calls.usage.output_visible) == (20, 40)


def test_no_form_and_no_hint_adds_more_than_is_held_for() -> None:
    for answer_type in AnswerType:
        for form in forms_for(read_question(answer_type, [], {}), has_tools=False):
            assert len(form.instruction.encode()) < FORM_TOKENS - 100
    hinted = with_hints([], ["\U0001f600" * 500, "\\" * 500])
    assert len(hinted[0]["content"].encode()) < HINT_TOKENS


@pytest.mark.parametrize("said", ["I could not work this out.", "I don't know.", "Je ne sais pas.", ""])
async def test_samples_that_do_not_answer_make_the_vote_escalate_and_never_win(said: str) -> None:
    provider = FakeProvider(saying(said, said, said, *answers(7), *answers(8)))
    answer = await a_tier(strong=True).answer(a_query(), some_calls(provider))
    assert answer.trace
    assert answer.trace["stop_reason"] == "silent"
    assert answer.choices[0].content == "Some work.\nAnswer: 8"
    assert len(provider.requests) == 5


async def test_without_escalation_the_one_that_answers_is_served() -> None:
    said = "I could not work this out."
    provider = FakeProvider(saying(said, said, said, *answers(7), said))
    answer = await a_tier().answer(a_query(), some_calls(provider))
    assert answer.choices[0].content == "Some work.\nAnswer: 7"
    assert answer.trace
    assert answer.trace["low_confidence"]


async def test_refusals_of_most_samples_are_returned_and_not_escalated() -> None:
    refusal = "I'm sorry, but I can't help with that request because it goes against my policy."
    provider = FakeProvider(saying(refusal, *answers(7), refusal, refusal, *answers(8)))
    answer = await a_tier(strong=True).answer(a_query("How do I pick this lock?"), some_calls(provider))
    assert answer.choices[0].content == refusal
    assert answer.final_tier is Tier.PARALLEL
    assert answer.trace
    assert answer.trace["stop_reason"] == "aside"


def known_of(calls: Calls) -> TargetBook:
    """Have the calls watch over models; returns what they know."""
    known = TargetBook(HealthBook(FakeClock()))
    calls.permits = Permits(known)
    return known


async def test_a_model_that_is_not_asked_is_not_sampled() -> None:
    provider = FakeProvider(saying(*answers(42)))
    calls = some_calls(provider)
    known_of(calls).of(CHEAP).fail(Cause.CREDENTIALS, None, is_trial=False)
    await a_tier(CHEAP, OTHER).answer(a_query(), calls)
    assert {request.target for request in provider.requests} == {OTHER}


async def test_where_nothing_can_be_sampled_the_strong_tier_answers_and_without_one_nobody() -> None:
    provider = FakeProvider(saying(*answers(42)))
    calls = some_calls(provider)
    known_of(calls).of(CHEAP).fail(Cause.CREDENTIALS, None, is_trial=False)
    answer = await a_tier(strong=True).answer(a_query(), calls)
    assert ([request.target for request in provider.requests], answer.final_tier) == ([STRONG], Tier.REASONING)
    with pytest.raises(BreakerOpen):
        await a_tier().answer(a_query(), calls)
    with pytest.raises(BreakerOpen):
        await anext(a_tier().stream(a_query(), calls))
