"""Long prose and a harness's blocks beside a question change nothing said of it; a puzzle keeps its figures."""

import pytest

from classifier import artifact
from classifier.conversation import summarise
from classifier.types import Turn

MODEL = artifact.load(artifact.SHIPPED)
PROSE = "The committee met on Tuesday and talked about the minutes of the meeting before. " * 60
BLOCK = "<environment_details>\n# Open Tabs\n" + "src/components/index.ts\n" * 80 + "</environment_details>"
QUESTIONS = (
    "What is 17 plus 25?",
    "What is the capital of France?",
    "How many days are in a week?",
    "Prove that there are infinitely many primes congruent to 3 modulo 4.",
)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("form", ["{question}\n\n{prose}", "{prose}\n\n{question}", "{question}\n\n{block}"])
def test_a_question_scores_the_same_behind_a_long_text(question: str, form: str) -> None:
    text = form.format(question=question, prose=PROSE, block=BLOCK)
    alone, beside = (MODEL.estimate([Turn("user", each)]) for each in (question, text))
    assert summarise([Turn("user", text)]).instruction.strip() == question
    assert beside.score == pytest.approx(alone.score, abs=0.03)
    assert (beside.answer_type, beside.stakes) == (alone.answer_type, alone.stakes)


def test_a_story_that_is_reckoned_with_is_no_material() -> None:
    story = "Anna had 12 apples and gave 3 to Ben. Then she bought 8 more and lost 2 on the way. " * 3
    assert not summarise([Turn("user", f"{story}\n\nHow many apples has she now?")]).has_material


@pytest.mark.parametrize(
    "puzzle",
    [
        "Sort these numbers in descending order:\n\n" + ", ".join(str(n * 37 % 101) for n in range(400)),
        "Swap the knights on this board:\n\n```\n" + "3 | w | . | B |\n" * 100 + "```",
    ],
)
def test_the_figures_of_a_puzzle_belong_to_it(puzzle: str) -> None:
    assert not summarise([Turn("user", puzzle)]).aside
