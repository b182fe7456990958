"""What was cut inside its final answer says nothing; what was cut behind it does."""

import pytest

from classifier.types import AnswerType
from router.providers.base import Choice
from router.tiers.vote.keys import read_question, read_sample
from router.tiers.vote.readings import Said

QUESTION = [{"role": "user", "content": "How many apples are left?"}]


@pytest.mark.parametrize("text", ["#### 4", "6 * 7 = 42. The answer is 4", "Answer: 1,2"])
def test_an_answer_that_was_cut_off_never_votes(text: str) -> None:
    asked = read_question(AnswerType.NUMERIC, QUESTION, {})
    assert read_sample(Choice(content=text, finish_reason="length"), asked).said is Said.NON_ANSWER
    assert read_sample(Choice(content=text, finish_reason="stop"), asked).said is Said.ANSWER


@pytest.mark.parametrize("text", ["#### 42\nLet me", "The answer is 42. Let me double", "\\boxed{42}", "Answer: 42."])
def test_an_answer_that_was_finished_before_the_cut_votes(text: str) -> None:
    asked = read_question(AnswerType.NUMERIC, QUESTION, {})
    key = read_sample(Choice(content=text, finish_reason="length"), asked).key
    assert key is not None
    assert key.value == "42"
