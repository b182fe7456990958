"""What samples are read as: equal answers share a key, and what cannot be read has none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.types import AnswerType
from router.providers.base import Choice
from router.tiers.vote.keys import VoteKey, read_question, vote_key

NUMERIC, CHOICE, DATE = AnswerType.NUMERIC, AnswerType.CHOICE, AnswerType.DATE
ENTITY, FACTUAL, OPEN, CODE, JSON = (
    AnswerType.ENTITY, AnswerType.FACTUAL, AnswerType.OPEN, AnswerType.CODE, AnswerType.JSON,
)  # fmt: skip


def read(text: str, answer_type: AnswerType = NUMERIC, question: str = "?", finish: str = "stop") -> VoteKey | None:
    request = read_question(answer_type, [{"role": "user", "content": question}], {})
    return vote_key(Choice(content=text, finish_reason=finish), request)


@pytest.mark.parametrize(
    ("answer_type", "texts"),
    [
        (NUMERIC, ["Answer: 1,234.5", "So the answer is $1234.50.", r"\boxed{1234.5}", "#### 1234.5", "1234.5"]),
        (NUMERIC, ["Answer: 0.75", r"The answer is $\boxed{\frac{3}{4}}$.", "Answer: 3/4", r"Answer: \dfrac34"]),
        (NUMERIC, ["Answer: 1.5 km", "Answer: 1500 m", "**Answer:** 1500 meters", "1 1/2 kilometers"]),
        (NUMERIC, ["Answer: 2 hours", "Answer: 120 minutes", "7200 seconds"]),
        (NUMERIC, ["Answer: 7", "Final answer: x = 7", "Answer: 3 + 4 = 7", "Answer: seven", "We find 7 in the end."]),
        (NUMERIC, ["Answer: 18 dollars", "Answer: $18", "Answer: 18.00 USD", "Answer: about 18"]),
        (NUMERIC, ["Answer: -5", "Answer: −5", r"Answer: \(-5\)"]),
        (CHOICE, ["(B)", "B.", "The answer is **B**.", "Answer: B) Paris", "Answer: Paris", r"\boxed{\text{B}}"]),
        (CHOICE, ["Yes.", "Answer: yes", "True", "The answer is: Yes, it does"[:21]]),
        (DATE, ["05/04/2021", "Answer: May 4, 2021", "4 May 2021", "It was on 2021-05-04.", "Tuesday, May 4th, 2021"]),
        (ENTITY, ["Answer: The Beatles", "the answer is Beatles.", "Answer: **Beatles**"]),
        (ENTITY, ["Answer: São Paulo", "Answer: sao paulo"]),
        (FACTUAL, ['The answer is "nk".', "Answer: nk", "So the answer is NK"]),
        (JSON, ['{"a": 1.0, "b": [2]}', '```json\n{"b": [2], "a": 1}\n```']),
        (CODE, ["```python\ndef f(x):\n    '''Doc.'''\n    y = x + 1  # why\n    return y\n```",
                "Here it is:\n```python\ndef f(number: int) -> int:\n    result = number + 1\n    return result\n```"]),
        (CODE, ["```js\nfunction f(a) { return a + 1 } // hi\n```", "```js\nfunction f(a) {\n  return a+1\n}\n```"]),
    ],
)  # fmt: skip
def test_equal_answers_share_a_key(answer_type: AnswerType, texts: list[str]) -> None:
    question = "Which? A) London B) Paris C) Rome" if "Answer: Paris" in texts else "?"
    keys = {read(text, answer_type, question) for text in texts}
    assert len(keys) == 1
    assert keys != {None}


@pytest.mark.parametrize(
    ("answer_type", "one", "other"),
    [
        (NUMERIC, "Answer: 7", "Answer: 8"),
        (NUMERIC, "Answer: 50%", "Answer: 0.5"),
        (NUMERIC, "Answer: 1 km", "Answer: 1 mile"),
        (CHOICE, "(A)", "(B)"),
        (DATE, "05/04/2021", "04/05/2021"),
        (CODE, "```python\ndef f(x):\n    return x + 1\n```", "```python\ndef f(x):\n    return x - 1\n```"),
        (CODE, "```python\ndef f(x):\n    return g(x)\n```", "```python\ndef f(x):\n    return h(x)\n```"),
        (JSON, '{"a": 1}', '{"a": "1"}'),
    ],
)
def test_different_answers_do_not(answer_type: AnswerType, one: str, other: str) -> None:
    assert read(one, answer_type) != read(other, answer_type)


@pytest.mark.parametrize(
    ("answer_type", "text"),
    [
        (NUMERIC, ""),
        (NUMERIC, "I could not find it, sorry. There was nothing definite to be said about the matter at hand."),
        (NUMERIC, "Answer: None"),
        (CODE, "You could write a loop."),
        (CODE, "```python\ndef f(x:\n```"),
        (JSON, '{"a": 1'),
        (JSON, '{"a": NaN}'),
        (OPEN, "Try mulch."),
    ],
)
def test_what_cannot_be_extracted_has_no_key(answer_type: AnswerType, text: str) -> None:
    assert read(text, answer_type) is None


def test_a_cut_off_text_counts_only_with_a_marked_answer() -> None:
    assert read("First 12, then 13 and", finish="length") is None
    assert read("Answer: 12\nBecause", finish="length") == read("Answer: 12")


def test_a_refusal_never_votes() -> None:
    assert vote_key(Choice(refusal="no", content="Answer: 1"), read_question(NUMERIC, [], {})) is None


def test_day_first_dates_are_read_as_the_question_asks() -> None:
    assert read("04/05/2021", DATE, "Give it as DD/MM/YYYY.") == read("2021-05-04", DATE)


def test_where_the_question_names_the_value_the_formula_is_the_answer() -> None:
    question = "Use 4 5 6 10 to make 24."
    assert read("Answer: (10 - 6) * 4 + 5 = 24", NUMERIC, question) == VoteKey("formula", "(10-6)*4+5")
    assert read("Answer: 4 * 6 = 24", NUMERIC, "What are 4 boxes of 6?") == read("Answer: 24")


@given(st.text(max_size=400))
def test_no_text_breaks_the_reader(text: str) -> None:
    for answer_type in AnswerType:
        read(text, answer_type)
        read(f"Answer: {text}", answer_type)
        read(f"```python\n{text}\n```", answer_type)


@given(st.integers(-(10**9), 10**9))
def test_an_integer_is_read_back_however_it_is_written(n: int) -> None:
    keys = {read(f"Answer: {n}"), read(f"Answer: {n:,}"), read(f"\\boxed{{{n}}}"), read(f"x = 3\nAnswer: {n}.0")}
    assert keys == {VoteKey("number", str(n), str(n))}


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=5))
def test_the_order_of_json_keys_does_not_matter(value: dict[str, object]) -> None:
    import json

    turned = dict(reversed(list(value.items())))
    assert read(json.dumps(value), JSON) == read(json.dumps(turned, indent=1), JSON) is not None
