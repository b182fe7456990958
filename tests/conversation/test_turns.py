"""Conversations as people have them: the written cases in tests/conversations, and the laws of the fold."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.artifact import load
from classifier.types import Abilities, AnswerType, Estimate, Forecast, Stakes, Turn
from router.conversation.turns import USER_TURNS, ConversationView, Kind, read
from router.decision.policy import Policy
from router.decision.rules import BudgetView, decide
from router.types import Tier

WRITTEN = Path(__file__).parent / "cases.jsonl"
CASES: list[dict[str, Any]] = [json.loads(line) for line in WRITTEN.read_text(encoding="utf-8").splitlines()]
POLICY = Policy(version=1, explore=0.0)
Estimator = Callable[[Sequence[Turn]], Estimate]
DEPTH = (Tier.FAST, Tier.PARALLEL, Tier.REASONING)


def turns_of(case: dict[str, Any]) -> list[Turn]:
    return [Turn(message["role"], message["content"]) for message in case["messages"]]


def a_chat(*texts: str) -> list[Turn]:
    return [Turn("assistant" if place % 2 else "user", text) for place, text in enumerate(texts)]


def an_estimate(gain: float) -> Estimate:
    spread = Forecast(10, 20, 40)
    return Estimate(0.3, 0.3 + gain, 0.1, AnswerType.NUMERIC, Stakes.LOW, spread, spread, "test")


def written_estimates(case: dict[str, Any]) -> Estimator:
    asked = [message["content"] for message in case["messages"][::2]]
    scores = dict(zip(asked, case["scores"], strict=True))
    return lambda subject: an_estimate(max(scores[turn.text] for turn in subject))


def tier_of(view: ConversationView, estimate_of: Estimator) -> Tier:
    estimate, view = view.settle([estimate_of(subject) for subject in view.subjects])
    able: dict[Tier, frozenset[Any]] = {tier: frozenset() for tier in Tier}
    decision = decide(
        estimate,
        POLICY,
        conversation=view,
        missing=able,
        allowed=frozenset(Tier),
        budget=BudgetView(),
        share_cap_quantile=None,
        draw=0.5,
    )
    return decision.tier


def tiers_of(case: dict[str, Any], estimate_of: Estimator) -> list[Tier]:
    """The tier of each user turn, as it was when it was the last one."""
    turns = turns_of(case)
    ends = range(1, len(turns) + 1, 2)
    views = [read(turns[:end], regenerated=case.get("regenerated", False) and end == len(turns)) for end in ends]
    return [tier_of(view, estimate_of) for view in views]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_written_case_is_read_as_meant(case: dict[str, Any]) -> None:
    turns = turns_of(case)
    view = read(turns, regenerated=case.get("regenerated", False))
    assert view.kind == case["kind"]
    assert view.steps_up == case["steps_up"]
    assert any(turns[2 * case["refers_to"]] in subject for subject in view.subjects)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_written_case_never_bounces(case: dict[str, Any]) -> None:
    tiers = tiers_of(case, written_estimates(case))
    last, referred = DEPTH.index(tiers[-1]), DEPTH.index(tiers[case["refers_to"]])
    match case["kind"]:
        case "thanks":
            assert tiers[-1] is Tier.FAST
        case "new":
            assert tiers[-1] is (Tier.REASONING if case["scores"][-1] >= POLICY.reasoning_threshold else Tier.FAST)
        case "pushback":
            assert last > referred or tiers[-1] is Tier.REASONING
        case _:
            assert last >= referred


def test_the_written_cases_never_bounce_under_the_shipped_classifier() -> None:
    model = load()
    bounced = []
    for case in CASES:
        tiers = tiers_of(case, lambda subject: model.estimate(subject, Abilities()))
        last, referred = DEPTH.index(tiers[-1]), DEPTH.index(tiers[case["refers_to"]])
        if last > 0 if case["kind"] == "thanks" else last < referred:
            bounced.append((case["id"], tiers))
    assert bounced == []


def test_a_follow_up_that_cannot_be_voted_on_does_not_fall_back() -> None:
    chat = a_chat("What is 17% of 240, rounded?", "41.", "And is 17% of 240 a lot to tip the waiters in Japan?")
    open_question = replace(an_estimate(0.2), answer_type=AnswerType.OPEN)
    estimates = {chat[-1].text: open_question, chat[0].text: an_estimate(0.15)}
    assert tier_of(read(chat), lambda subject: estimates[subject[0].text]) is Tier.PARALLEL


def test_the_written_cases_cover_what_they_should() -> None:
    assert len(CASES) >= 60
    assert {case["kind"] for case in CASES} == {*Kind} - {"housekeeping"}
    assert len({case["language"] for case in CASES}) >= 10


def test_a_first_message_stands_on_its_own() -> None:
    view = read(a_chat("why is that wrong?"))
    assert (view.kind, view.subjects, view.steps_up) == (Kind.NEW, ((Turn("user", "why is that wrong?"),),), 0.0)


def test_a_system_prompt_and_tool_steps_are_no_turns_of_the_user() -> None:
    turns = [
        Turn("system", "You are helpful."),
        Turn("user", "Book the cheapest route from Oslo to Rome with two stops."),
        Turn("assistant", "", tool_calls=1),
        Turn("tool", '{"fares": []}'),
    ]
    view = read(turns)
    assert (view.kind, view.subjects) == (Kind.NEW, ((turns[1],),))


def test_several_messages_in_a_row_are_one_turn() -> None:
    turns = [Turn("user", "I have 3 sons."), Turn("user", "Each has 2 sisters. How many children have I?")]
    assert read(turns).subjects == (tuple(turns),)


def test_an_image_with_a_few_words_is_estimated_itself() -> None:
    turns = [*a_chat("Is this mole dangerous?", "It looks harmless."), Turn("user", "and this one?", attachments=1)]
    assert read(turns).subjects[0] == (turns[-1],)


def test_nothing_from_the_user_is_estimated_as_it_is() -> None:
    assert read([]).kind is Kind.NEW
    assert read([Turn("system", "x")]).subjects == ((Turn("system", "x"),),)


def test_a_step_up_holds_for_one_more_question_on_the_subject() -> None:
    subject = a_chat("How do tides work in river estuaries?", "The moon pulls.", "That's wrong", "Also the sun.")
    second = "Which river estuaries have the highest tides worldwide?"
    third = "Which river estuaries have tidal power stations operating commercially?"
    assert read([*subject, Turn("user", second)]).steps_up == 1.0
    rest = [Turn("user", second), Turn("assistant", "The Severn."), Turn("user", third)]
    assert read([*subject, *rest]).steps_up == 0.0


def test_a_subject_older_than_the_window_is_forgotten() -> None:
    chat = a_chat("Prove Fermat's little theorem.", "By induction.", *("why?", "Because.") * USER_TURNS)
    assert read([*chat, Turn("user", "why?")]).subjects[0][0].text == "why?"


texts = st.sampled_from(
    [
        "why?",
        "Prove that there are infinitely many primes.",
        "thanks",
        "That's wrong",
        "ok",
        "no",
        "And for 17?",
        "What is a good recipe for banana bread with walnuts?",
        "Are you sure? Which primes exactly do you mean here, and is the product plus one always prime?",
        "",
        "🙂",
    ]
)
chats = st.lists(
    st.builds(Turn, st.sampled_from(["user", "user", "assistant", "system", "tool"]), texts, st.integers(0, 1)),
    max_size=40,
)


@given(chats, st.booleans())
def test_reading_costs_at_most_three_estimates_and_looks_back_eight_turns(turns: list[Turn], again: bool) -> None:
    view = read(turns, regenerated=again)
    assert 1 <= len(view.subjects) <= 3
    assert 0.0 <= view.steps_up <= 2.0
    assert view == read(list(turns), regenerated=again)


@given(chats, chats)
def test_what_came_before_the_last_eight_user_turns_changes_nothing(older: list[Turn], turns: list[Turn]) -> None:
    window = [Turn("assistant", "x"), *(t for i in range(USER_TURNS) for t in a_chat(f"why {i}?", "So."))]
    recent = [*window, *turns]
    assert read([*older, *recent]) == read(recent)


@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=400))
def test_any_text_can_be_read(first: str, reply: str, second: str) -> None:
    assert read(a_chat(first, reply, second)).kind in Kind
