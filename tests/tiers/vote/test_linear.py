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


@pytest.mark.slow
@pytest.mark.parametrize("start", ["", "The answer is", "```python\n", "\\boxed{"])
@pytest.mark.parametrize("answer_type", [AnswerType.NUMERIC, AnswerType.DATE, AnswerType.CODE, AnswerType.JSON])
def test_reading_takes_no_longer_than_the_text_is_long(answer_type: AnswerType, start: str) -> None:
    slowest = 0.0
    for piece in PIECES:
        text = start + piece * (LENGTH // len(piece))
        began = time.process_time()
        asked = read_question(answer_type, [{"role": "user", "content": f"How many? {text}"}], {})
        read_sample(Choice(content=text, finish_reason="stop"), asked)
        read_sample(Choice(content=f"{text} 42 in the end.", finish_reason="stop"), asked)
        slowest = max(slowest, time.process_time() - began)
    assert slowest < 1.0  # one regular expression that goes back and forth takes minutes
