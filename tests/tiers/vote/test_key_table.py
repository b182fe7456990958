"""A table of questions, texts and what each text says, written one by one in seventeen languages (`keys.txt`)."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from classifier.types import AnswerType
from router.providers.base import Choice
from router.tiers.vote.keys import read_question, read_sample


class Row(NamedTuple):
    """One text: `says` is kind:value of its key, or why it has none."""

    language: str
    answer_type: AnswerType
    question: str
    text: str
    says: str


def _rows() -> list[Row]:
    rows, language, answer_type, question = [], "", AnswerType.OPEN, ""
    for line in Path(__file__).with_name("keys.txt").read_text("utf-8").splitlines():
        line = line.replace("\\n", "\n")
        if line.startswith("? "):
            _, language, kind, question = line.split(" ", 3)
            answer_type = AnswerType(kind)
        elif line and not line.startswith("# "):
            text, _, says = line.rpartition(" => ")
            rows.append(Row(language, answer_type, question, text, says))
    return rows


ROWS = _rows()
LANGUAGES = sorted({row.language for row in ROWS})


def said(row: Row) -> str:
    asked = read_question(row.answer_type, [{"role": "user", "content": row.question}], {})
    reading = read_sample(Choice(content=row.text, finish_reason="stop"), asked)
    return f"{reading.key.kind}:{reading.key.value}" if reading.key else str(reading.said)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_says_what_the_table_says(language: str) -> None:
    wrong = [(row.question, row.text, row.says, said(row)) for row in ROWS if row.language == language]
    assert [row for row in wrong if row[2] != row[3]] == []


def test_the_table_is_long_and_a_third_of_it_has_no_key() -> None:
    assert len({(row.question, row.text) for row in ROWS}) == len(ROWS) >= 600
    assert sum(":" not in row.says for row in ROWS) * 3 >= len(ROWS)
    assert len(LANGUAGES) >= 16
    assert min(Counter(row.language for row in ROWS).values()) >= 20
