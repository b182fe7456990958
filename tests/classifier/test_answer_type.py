import pytest

from classifier.cues import PHRASES, Cues, answer_type_of
from classifier.features import extract
from classifier.types import AnswerType

CUES = Cues()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How many primes are below 100?", AnswerType.NUMERIC),
        ("What is 17 * 23?", AnswerType.NUMERIC),
        ("Pick the right one.\nA. red\nB. blue\nC. green", AnswerType.CHOICE),
        ("Is the sky blue? Answer yes or no.", AnswerType.CHOICE),
        ("When was the treaty signed?", AnswerType.DATE),
        ("Who wrote Middlemarch?", AnswerType.ENTITY),
        ("What is the capital of Peru?", AnswerType.ENTITY),
        ("List three fruits as JSON with name and colour.", AnswerType.JSON),
        ("Write a Python function that reverses a list.", AnswerType.CODE),
        ("What is photosynthesis?", AnswerType.FACTUAL),
        ("Write me a poem about rain.", AnswerType.OPEN),
        ("hello", AnswerType.OPEN),
        ("¿Cuántos días tiene un año?", AnswerType.NUMERIC),
        ("Wer hat die Glühbirne erfunden?", AnswerType.ENTITY),
    ],
)
def test_the_form_of_the_answer_is_read_from_the_question(text: str, expected: AnswerType) -> None:
    assert answer_type_of(text, CUES.of(extract(text))) is expected


@pytest.mark.parametrize(("cue", "phrases"), PHRASES.items())
def test_every_listed_phrase_is_found(cue: int, phrases: str) -> None:
    lost = [phrase for phrase in map(str.strip, phrases.split(",")) if not CUES.of(extract(phrase)) & cue]
    assert lost == []
