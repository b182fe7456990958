"""What a request says of an earlier answer, and whose answer it was."""

from typing import Any

import pytest

from router.decision.signals import LONGEST_RECONSIDERING_MS, MOST_REGENERATES, AnswerHistory
from router.ledger.last_turns import LastTurn
from router.types import Signal, Tier
from tests.builders.dispatchers import FixedModel, a_routing, an_inference_request

Messages = list[dict[str, Any]]
ASKED: Messages = [{"role": "user", "content": "Which rivers flow through Vienna and Budapest?"}]
NOBODY = (None, None, None)  # neither key nor end user nor conversation
REPLY = {"role": "assistant", "content": "The Rhine flows through Vienna and Budapest."}


def an_id(number: int, ms: int = 0) -> str:
    return f"{1_700_000_000_000 + ms:012x}7{number:019x}"


def said(*messages: str) -> Messages:
    """The conversation goes on with what the user says next."""
    return [*ASKED, REPLY, *({"role": "user", "content": text} for text in messages)]


def signals(*requests: dict[str, Any]) -> list[tuple[Signal | None, str | None]]:
    routing = a_routing(FixedModel(0.8, 0.82))
    routed = [
        routing.route(an_inference_request(**{"request_id": an_id(place), **changes}))
        for place, changes in enumerate(requests)
    ]
    return [(each.signal, each.previous_id) for each in routed]


def test_a_first_question_says_nothing() -> None:
    assert signals({"messages": ASKED}) == [(None, None)]


def test_the_same_messages_again_are_a_regenerate_of_the_last_answer() -> None:
    found = signals(*[{"messages": ASKED}] * 3)
    assert found[1:] == [(Signal.REGENERATE, an_id(0)), (Signal.REGENERATE, an_id(1))]


def test_what_comes_over_and_over_is_a_program() -> None:
    found = signals(*[{"messages": ASKED}] * 8)
    assert [signal for signal, _ in found].count(Signal.REGENERATE) == MOST_REGENERATES
    assert found[-1] == (None, None)


def test_what_comes_again_much_later_is_a_new_wish() -> None:
    late = an_id(1, LONGEST_RECONSIDERING_MS + 1)
    assert signals({"messages": ASKED}, {"messages": ASKED, "request_id": late})[1] == (None, None)


def test_another_keys_same_messages_judge_nothing() -> None:
    assert signals({"messages": ASKED, "key_id": 1}, {"messages": ASKED, "key_id": 2})[1] == (None, None)


def test_an_objection_names_the_answer_it_objects_to() -> None:
    found = signals({"messages": ASKED}, {"messages": said("That's wrong, try again.")})
    assert found[1] == (Signal.PUSHBACK, an_id(0))


def test_an_objection_to_an_answer_of_another_worker_names_none() -> None:
    assert signals({"messages": said("That's wrong, try again.")}) == [(Signal.PUSHBACK, None)]


@pytest.mark.parametrize(
    ("turn", "messages", "expected"),
    [
        (1, ASKED, (Signal.REGENERATE, an_id(0))),
        (1, said("That's wrong."), (Signal.PUSHBACK, an_id(0))),
        (2, said("And which ones through Bratislava?"), (Signal.REGENERATE, an_id(0))),
        (3, ASKED, (None, None)),
    ],
)
def test_what_another_worker_answered_is_found_by_the_mark_of_its_conversation(
    turn: int, messages: Messages, expected: tuple[Signal | None, str | None]
) -> None:
    routing = a_routing(FixedModel(0.8, 0.82), last_turn={7: LastTurn(turn, an_id(0), Tier.FAST)}.get)
    asked = an_inference_request(request_id=an_id(1), messages=messages, conversation="c")
    found = routing.route(asked, lambda: 7)
    assert (found.signal, found.previous_id) == expected
    unmarked = a_routing(FixedModel(0.8, 0.82), last_turn={7: LastTurn(turn, an_id(0), Tier.FAST)}.get)
    assert unmarked.route(asked).previous_id is None


def test_many_may_begin_with_the_same_words() -> None:
    routing = a_routing(FixedModel(0.8, 0.82), last_turn={7: LastTurn(1, an_id(0), Tier.FAST)}.get)
    assert routing.route(an_inference_request(request_id=an_id(1), messages=ASKED), lambda: 7).previous_id is None


def test_what_other_workers_answered_over_and_over_is_a_program_too() -> None:
    last = LastTurn(1, an_id(0), Tier.FAST, MOST_REGENERATES + 1)
    routing = a_routing(FixedModel(0.8, 0.82), last_turn={7: last}.get)
    asked = an_inference_request(request_id=an_id(1), messages=ASKED, user="u")
    assert routing.route(asked, lambda: 7).signal is None


def test_thanks_and_another_subject_say_nothing() -> None:
    for text in ("Thanks!", "Something else: write a poem about the autumn wind."):
        assert signals({"messages": ASKED}, {"messages": said(text)})[1] == (None, None), text


@pytest.mark.parametrize("model", ["reasoning", "parallel"])
def test_the_same_question_to_a_deeper_tier_by_name(model: str) -> None:
    found = signals({"messages": ASKED}, {"messages": ASKED, "model": model})
    assert found[1] == (Signal.DEEPER, an_id(0))


def test_a_deeper_tier_named_for_what_follows_up() -> None:
    follow_up = said("And which rivers flow through Vienna?")
    found = signals({"messages": ASKED}, {"messages": follow_up, "model": "reasoning"})
    assert found[1] == (Signal.DEEPER, an_id(0))


def test_who_always_names_the_deep_tier_asks_for_nothing_deeper() -> None:
    found = signals({"messages": ASKED, "model": "reasoning"}, {"messages": ASKED, "model": "reasoning"})
    assert found[1] == (Signal.REGENERATE, an_id(0))


def test_tools_between_question_and_reply_do_not_hide_who_replied() -> None:
    called = {"role": "assistant", "content": "", "tool_calls": []}
    with_tool: Messages = [*ASKED, called, {"role": "tool", "content": "4"}]
    objection: Messages = [*with_tool, REPLY, {"role": "user", "content": "That's wrong, try again."}]
    found = signals({"messages": ASKED}, {"messages": with_tool}, {"messages": objection})
    assert found[2] == (Signal.PUSHBACK, an_id(1))


@pytest.mark.parametrize("other", [(1, None, None), (None, "Bob", None), (None, None, "another tab")])
def test_the_same_question_of_somebody_else_says_nothing(other: tuple[int | None, str | None, str | None]) -> None:
    memory = AnswerHistory(salt=b"salt")
    memory.remember(memory.recall(NOBODY, ASKED, an_id(1)), an_id(1), Tier.FAST)
    assert not memory.recall(other, ASKED, an_id(2)).is_regenerate


def test_memory_is_bounded() -> None:
    memory = AnswerHistory(salt=b"salt", size=2)
    for number in range(3):
        asked: Messages = [{"role": "user", "content": str(number)}]
        memory.remember(memory.recall(NOBODY, asked, an_id(number)), an_id(number), Tier.FAST)
    assert not memory.recall(NOBODY, [{"role": "user", "content": "0"}], an_id(9)).is_regenerate
    assert memory.recall(NOBODY, [{"role": "user", "content": "1"}], an_id(9)).is_regenerate
