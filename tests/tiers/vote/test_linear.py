"""No text holds up the event loop: reading takes time in proportion to its length, whatever stands in it."""

from functools import partial

import pytest

from classifier.types import AnswerType
from router.providers.base import Choice
from router.tiers.vote.keys import read_question, read_sample
from tests.growth import is_in_proportion

LENGTH = 40_000
PIECES = [
    "\n", " ", "\t", "answer ", "the answer is ", "answer: ", "answer is\n", "answer (", "answer to ", "final: ",
    "####", "\\boxed{", "\\boxed ", "\\frac{", "\\text{", "`", "```", "```\n", "```json\n", "``` ", '"', '\\"',
    "'", "/*", "# ",
    "1 ", "1,", "1/", "9", ". ", "(", "{", "[", '{"a":', "=", "x = 2, ", "x<", "± ", "about ", "A) ", "A) x ", "2 and ",
    "05/01/2021 ", "May 4 ", "4:3", "十", "年", "i don't know ", "Could you? ", "Error: ", "-", "\u00a0", "²", "yes ",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("start", ["", "The answer is", "```python\n", "\\boxed{"])
@pytest.mark.parametrize("answer_type", [AnswerType.NUMERIC, AnswerType.DATE, AnswerType.CODE, AnswerType.JSON])
def test_reading_takes_no_longer_than_the_text_is_long(answer_type: AnswerType, start: str) -> None:
    for piece in PIECES:
        assert is_in_proportion(partial(read, answer_type, start, piece), LENGTH), piece


def read(answer_type: AnswerType, start: str, piece: str, length: int) -> None:
    text = start + piece * (length // len(piece))
    asked = read_question(answer_type, [{"role": "user", "content": f"How many? {text}"}], {})
    read_sample(Choice(content=text, finish_reason="stop"), asked)
    read_sample(Choice(content=f"{text} 42 in the end.", finish_reason="stop"), asked)
