"""Programs that differ only in names, comments and layout are one program."""

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.tiers.vote.programs import LONGEST, program_key, program_of


def fenced(source: str, language: str = "python") -> str:
    return f"Here it is:\n```{language}\n{dedent(source)}\n```\nIt runs in linear time."


ADDS = """
def total(numbers):
    result = 0
    for number in numbers:
        result += number
    return result
"""


@pytest.mark.parametrize(
    "other",
    [
        ADDS.replace("numbers", "xs").replace("number", "x").replace("result", "acc"),
        ADDS.replace("(numbers):", "(numbers: list[int]) -> int:\n    '''Add them up.'''"),
        ADDS.replace("result = 0", "result: int = 0  # nothing yet"),
        ADDS.replace("\n    for", "\n\n\n    for"),
    ],
    ids=["other names", "annotated and described", "commented", "spaced"],
)
def test_names_of_locals_comments_and_layout_do_not_matter(other: str) -> None:
    assert program_key(fenced(other)) == program_key(fenced(ADDS)) is not None


@pytest.mark.parametrize(
    "other",
    [
        ADDS.replace("result = 0", "result = 1"),
        ADDS.replace("+=", "-="),
        ADDS.replace("total", "sum_of"),  # who calls it needs the name
        ADDS.replace("number\n", "abs(number)\n"),
        ADDS.replace("return result", "return numbers"),
    ],
)
def test_what_a_program_does_matters(other: str) -> None:
    assert program_key(fenced(other)) != program_key(fenced(ADDS))


def test_names_of_an_inner_function_are_its_own() -> None:
    inner = "async def outer(x):\n    def inner(y):\n        {0} = y\n        return {0}\n    return inner(x)"
    assert program_key(fenced(inner.format("z"))) == program_key(fenced(inner.format("w"))) is not None


def test_a_function_of_nothing_but_its_docstring_passes() -> None:
    assert program_key(fenced("def f():\n    'Later.'")) == program_key(fenced("def f():\n    pass"))


def test_a_bare_annotation_is_nothing() -> None:
    assert program_key(fenced("x: int\ny = 1")) == program_key(fenced("pass\ny = 1"))


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("js", "function f(a) { return a + 1 } // why", "function f(a) {\n  /* so */ return a+1\n}"),
        ("sql", "SELECT a FROM t -- all of them", "SELECT a\nFROM t"),
        ("bash", "echo hi # greets", "echo hi"),
        ("c", "#include <math.h>\nint x;", "#include   <math.h>\nint x ;"),
        ("", "fn main() { }", "fn main() {}"),
    ],
)
def test_other_languages_are_compared_token_by_token(language: str, one: str, other: str) -> None:
    assert program_key(fenced(one, language)) == program_key(fenced(other, language)) is not None


def test_what_stands_in_quotes_is_no_comment_and_languages_differ() -> None:
    assert program_key(fenced("a = '1 2'", "js")) != program_key(fenced("a = '12'", "js"))
    assert program_key(fenced("x = 1", "js")) != program_key(fenced("x = 1", "ruby"))


def test_the_longest_block_is_the_program() -> None:
    text = fenced("pip install it", "sh") + fenced(ADDS)
    assert program_of(text) == ("python", f"{ADDS}\n")
    assert program_of("```Python\nprint(1)") == ("python", "print(1)")  # cut off before the fence ends


def test_a_text_is_a_program_when_it_is_one_and_not_when_it_merely_parses() -> None:
    assert program_of("print(1)\nx = 2") == ("python", "print(1)\nx = 2")
    assert program_of("42") is None
    assert program_of("Yes") is None
    assert program_of("You could write a loop.") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        fenced(""),
        fenced("def f(x:"),
        fenced("x = 1\n" * LONGEST),
        fenced("x = " + "(" * 300 + ")" * 300),
        fenced("x = " + "1 + " * 700 + "1"),
        "x = 1\n" * LONGEST,
        fenced("x = '\0'"),
    ],
    ids=[
        "nothing",
        "empty",
        "broken",
        "too long",
        "too many brackets",
        "too deep",
        "too long without a fence",
        "no text",
    ],
)
def test_what_is_no_program_has_no_key(text: str) -> None:
    assert program_key(text) is None


@given(st.text(max_size=200), st.sampled_from(["", "python", "js", "sh"]))
def test_no_text_breaks_the_reader(text: str, language: str) -> None:
    program_key(text)
    program_key(fenced(text, language))
