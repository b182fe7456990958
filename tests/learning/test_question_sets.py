"""A set of questions through a running instance: what is right, what it cost, and what went wrong."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.learning.question_sets import Instance, Question, Replayed, WrongQuestions, read_questions, replay, summary
from tests.providers.upstream import Answer, an_upstream, closes, hangs, says, says_text


def a_question(text: str = "What is 17 + 25?", answer: str | None = "42") -> Question:
    return Question("q", [{"role": "user", "content": text}], answer)


QUESTION = a_question()


def a_completion(content: str | None, answer_type: str = "numeric", **decided: object) -> dict[str, Any]:
    decided = {"final_tier": "fast", "calls": 1, "cost_nanousd": 300, "answer_type": answer_type} | decided
    return {"choices": [{"message": {"role": "assistant", "content": content}}], "x_tierwise": decided}


def a_replayed(model: str = "fast", **changes: Any) -> Replayed:
    return Replayed("q", model, **{"final_tier": "fast", "calls": 1, "cost_nanousd": 100, **changes})


async def ask(answer: Answer, question: Question = QUESTION) -> Replayed:
    async with an_upstream(answer) as upstream:
        instance = Instance(upstream.base.removesuffix("/v1"), None, {})
        [only] = [replayed async for replayed in replay(instance, [question], ["fast"], 1)]
    return only


async def test_a_question_is_sent_as_it_is_to_the_tier_that_is_named_with_the_key() -> None:
    async with an_upstream(says(a_completion("Answer: 42"))) as upstream:
        instance = Instance(upstream.base.removesuffix("/v1"), "tw-1", {"max_tokens": 50})
        _ = [replayed async for replayed in replay(instance, [a_question()], ["fast", "auto"], 2)]
    assert {body["model"] for body in upstream.bodies} == {"fast", "auto"}
    assert upstream.bodies[0]["messages"] == a_question().messages
    assert (upstream.bodies[0]["max_tokens"], upstream.headers[0]["Authorization"]) == (50, "Bearer tw-1")
    assert set(upstream.paths) == {"/v1/chat/completions"}


async def test_what_the_instance_says_of_an_answer_is_kept() -> None:
    escalated = a_completion("Answer: 42", final_tier="reasoning", calls=5, cost_nanousd=None)
    replayed = await ask(says(escalated))
    assert (replayed.final_tier, replayed.calls, replayed.cost_nanousd) == ("reasoning", 5, None)
    assert (replayed.answer, replayed.error) == ("Answer: 42", None)


@pytest.mark.parametrize(
    ("expected", "answer_type", "content", "is_right"),
    [
        ("42", "numeric", "Seventeen and twenty-five make 42.", True),
        ("42", "numeric", "Answer: 41", False),
        ("1500 m", "numeric", "Answer: 1.5 km", True),
        (r"\sqrt{8}", "numeric", r"\boxed{2\sqrt{2}}", True),
        (r"\sqrt{8}", "numeric", r"\boxed{3\sqrt{2}}", False),
        ("2021-05-04", "date", "It was on May 4, 2021.", True),
        ("Marie Curie", "entity", "Answer: the physicist Marie Curie", True),
        ("Ganges", "open", "Most of them bathe in the  ganges, every year.", True),
        ("Gang", "open", "Most of them bathe in the Ganges.", False),
        ("42", "numeric", None, False),
    ],
)
async def test_an_answer_is_right_when_it_says_the_same(
    expected: str, answer_type: str, content: str | None, is_right: bool
) -> None:
    replayed = await ask(says(a_completion(content, answer_type)), a_question("Which?", expected))
    assert replayed.is_right is is_right


async def test_without_an_expected_answer_nothing_is_graded() -> None:
    replayed = await ask(says(a_completion("Answer: 42")), a_question(answer=None))
    assert (replayed.answer, replayed.is_right) == ("Answer: 42", None)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (says({"error": {"message": "over budget"}}, status=429), "over budget"),
        (closes(), "ServerDisconnectedError"),
        (says_text("<h1>Bad gateway</h1>", status=502), "HTTP 502, no answer of Tierwise"),
        (says({"choices": [{"message": {"content": "42"}}]}), "no answer of Tierwise"),
        (says([]), "no answer of Tierwise"),
    ],
)
async def test_what_goes_wrong_is_one_error_and_no_grade(answer: Answer, error: str) -> None:
    replayed = await ask(answer)
    assert replayed.error is not None
    assert error in replayed.error
    assert (replayed.is_right, replayed.cost_nanousd, replayed.calls) == (None, None, 0)


async def test_who_stops_listening_leaves_nothing_under_way() -> None:
    async with an_upstream(says(a_completion("Answer: 42")), hangs()) as upstream:
        instance = Instance(upstream.base.removesuffix("/v1"), None, {})
        replaying = replay(instance, [a_question()] * 2, ["fast"], 2)
        assert (await anext(replaying)).is_right
        await replaying.aclose()  # type: ignore[attr-defined]
        await upstream.hung_up.wait()


def test_a_summary_holds_accuracy_with_its_interval_and_means_per_query() -> None:
    replayed = [a_replayed(is_right=True)] * 6 + [a_replayed(is_right=False, calls=3, cost_nanousd=200)] * 2
    row = summary([*replayed, a_replayed("auto", is_right=False)], "fast")
    assert (row["questions"], row["graded"], row["accuracy"]) == (8, 8, 0.75)
    assert (row["low"], row["high"]) == (0.4093, 0.9285)  # Wilson's interval of 6 in 8
    assert (row["cost_nanousd_per_query"], row["calls_per_query"]) == (125, 1.5)


def test_what_failed_or_has_no_price_is_counted_and_no_part_of_the_means() -> None:
    failed = a_replayed(final_tier=None, calls=0, cost_nanousd=None, error="over budget")
    row = summary([a_replayed(is_right=True), a_replayed(is_right=True, cost_nanousd=None), failed], "fast")
    assert (row["questions"], row["graded"], row["accuracy"]) == (3, 2, 1.0)
    assert (row["cost_nanousd_per_query"], row["unpriced"], row["errors"]) == (100, 2, 1)


def test_a_tier_that_nobody_asked_has_no_figures() -> None:
    row = summary([], "fast")
    assert (row["questions"], row["accuracy"], row["cost_nanousd_per_query"], row["calls_per_query"]) == (
        0,
        *[None] * 3,
    )


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_the_interval_holds_the_accuracy(grades: list[bool]) -> None:
    row = summary([a_replayed(is_right=grade) for grade in grades], "fast")
    assert 0.0 <= float(str(row["low"])) <= sum(grades) / len(grades) <= float(str(row["high"])) <= 1.0


def test_questions_are_read_a_line_each_and_empty_lines_passed_over() -> None:
    lines = [
        '{"id": 1, "messages": [{"role": "user", "content": "?"}], "answer": "42"}',
        "",
        '{"id": "b", "messages": []}',
    ]
    assert [(q.id, q.answer) for q in read_questions(lines)] == [(1, "42"), ("b", None)]


@pytest.mark.parametrize("line", ["{", "[]", '{"id": 1}', '{"messages": []}', '{"id": 1, "messages": "?"}'])
def test_a_line_that_is_no_question_is_named(line: str) -> None:
    with pytest.raises(WrongQuestions, match="line 3: "):
        read_questions(['{"id": 1, "messages": []}', "", line])
