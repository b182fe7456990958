"""No text holds up the event loop: reading takes time in proportion to its length, whatever stands in it."""

import time

import pytest

from classifier.types import AnswerType
from router.providers.base import Choice
from router.tiers.vote.keys import read_question, read_sample

LENGTH = 40_000
PIECES = [
    "\n", " ", "\t", "answer ", "the answer is ", "answer: ", "answer is\n", "answer (", "answer to ", "final: ",
    "####", "\\boxed{", "\\boxed ", "\\frac{", "\\text{", "`", "```", "```\n", "```json\n", "``` ", '"', '\\"',
    "'", "/*", "# ",
    "1 ", "1,", "1/", "9", ". ", "(", "{", "[", '{"a":', "=", "x = 2, ", "x<", "± ", "about ", "A) ", "A) x ", "2 and ",
    "05/01/2021 ", "May 4 ", "4:3", "十", "年", "i don't know ", "Could you? ", "Error: ", "-", "\u00a0", "²", "yes ",
]  # fmt: skip


ATTEMPTS = 4  # a machine that others use too takes longer at times, never four times in a row just for the long text


@pytest.mark.slow
@pytest.mark.parametrize("start", ["", "The answer is", "```python\n", "\\boxed{"])
@pytest.mark.parametrize("answer_type", [AnswerType.NUMERIC, AnswerType.DATE, AnswerType.CODE, AnswerType.JSON])
def test_reading_takes_no_longer_than_the_text_is_long(answer_type: AnswerType, start: str) -> None:
    for piece in PIECES:
        assert any(
            seconds_of_reading(answer_type, start, piece, LENGTH)
            < 9 * seconds_of_reading(answer_type, start, piece, LENGTH // 4)  # in proportion 4, in its square 16
            for _ in range(ATTEMPTS)
        ), piece


def seconds_of_reading(answer_type: AnswerType, start: str, piece: str, length: int) -> float:
    text = start + piece * (length // len(piece))
    began = time.process_time()
    asked = read_question(answer_type, [{"role": "user", "content": f"How many? {text}"}], {})
    read_sample(Choice(content=text, finish_reason="stop"), asked)
    read_sample(Choice(content=f"{text} 42 in the end.", finish_reason="stop"), asked)
    return time.process_time() - began
