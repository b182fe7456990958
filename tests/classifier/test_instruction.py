"""What is asked is told from what it is asked of: cases written by another hand, and laws for any text."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

import classifier.training
from classifier.instruction import MaterialKind, Parts, material_kind, split
from tests.growth import is_in_proportion

# Developed on the cases of odd number. On the even ones, before any of them had been looked at, .79 passed (plain: two
# cut); the kinds of fault seen there were then mended, so that both figures are of cases seen: .985 and .946.
FLOORS = {"odd": 0.98, "even": 0.94}
PASSES = 0.8  # character overlap F1, white space ignored
STORY = (
    "My flatmate and I have lived together for two years and it was fine until she met him in March.\n\n"
    "He is here five nights a week and pays nothing. I did say something once and it was better for four days. "
    "I don't want to move out because my deposit is stuck in it.\n\nHow would you bring it up?"
)
PUZZLE = (
    "Alice, Bob and Chen sit at a round table with three chairs numbered clockwise.\n\n"
    "Alice does not sit next to the door.\nChen sits on an odd number.\nBob sits left of Alice.\n\n"
    "How many seatings are there?"
)
EXAM = (
    "A rancher conveyed his land to a friend for life. The friend cut the timber. Classify the interest below.\n"
    "A. Fee simple\nB. Life estate\nC. Leasehold\nD. Easement"
)
ARTICLE = (
    "The bridge was closed to lorries last winter when cracks were found in its second arch. Since then they have used "
    "the ring road, which adds eleven kilometres. The council has received two offers for its repair."
)
PIECES = [
    *(
        "Summarise this:",
        "```",
        "\n\n",
        "\n",
        "<task>",
        "</task>",
        "<a>",
        "</a>",
        '"',
        "“",
        "”",
        "„",
        "「",
        "」",
        " ",
        "--",
    ),
    *(
        "Dear Ada,",
        "> so",
        "| a | b |",
        "Best,",
        "Context:",
        "Question: why?",
        "- one",
        "def f(x):",
        "    return 1;",
        "---",
    ),
    *(
        "A\tB",
        "2024-01-01 10:00:00 INFO x",
        "what now?",
        "I like my",
        "请翻译：",
        '{"a": 1}',
        "[1] x",
        "TITLE IN CAPITALS",
    ),
    *("Me: hi", "You: ho", ARTICLE),
]
MIXTURES = st.lists(st.sampled_from(PIECES), max_size=30)
TEXTS = st.one_of(st.text(), MIXTURES.map("".join), MIXTURES.map("\n".join))
NASTY = [
    *(
        '"',
        "`",
        "<a ",
        "<a>",
        "<task>",
        "<b></b>",
        "\n",
        "\n ",
        " ",
        ": ",
        "| ",
        "[",
        "a=",
        "x(",
        "“",
        "AB ",
        "翻",
        '{"',
        "a:1",
    ),
    *("a\n- b\n", "<task>a</task>", "A: b\n", "Error: ", "(?", "Dear\n"),
]


class Case(TypedDict):
    id: str
    text: str
    instruction: str
    kind: str


CASES: list[Case] = [
    json.loads(line) for line in Path(__file__).with_name("instruction_cases.jsonl").read_text("utf-8").splitlines()
]


def _overlap(ours: str, theirs: str) -> float:
    """F1 of the characters that two texts share, white space ignored."""
    left, right = Counter("".join(ours.split())), Counter("".join(theirs.split()))
    shared = (left & right).total()
    return 2 * shared / (left.total() + right.total()) if shared else 0.0


@pytest.mark.parametrize("half", FLOORS)
def test_most_written_cases_are_parted_as_their_author_would(half: str) -> None:
    cases = [case for case in CASES if int(case["id"][1:]) % 2 == (half == "odd")]
    passed = [_overlap(split(case["text"]).instruction, case["instruction"]) >= PASSES for case in cases]
    assert sum(passed) / len(passed) >= FLOORS[half]


def test_what_is_all_instruction_stays_whole() -> None:
    plain = [case["text"] for case in CASES if case["kind"] == "plain"]
    assert sum(split(text).material != "" for text in plain) <= 2


@pytest.mark.parametrize("text", [STORY, PUZZLE, EXAM, "thanks!", "Is 3599 prime?"])
def test_stories_puzzles_and_exam_questions_stay_whole(text: str) -> None:
    assert split(text) == Parts(text, "")


@pytest.mark.parametrize(
    "ask",
    [
        "Summarise this in one sentence.",
        "translate to german:",
        "Übersetze den Text ins Englische.",
        "Résume ce texte :",
        "Traduce al inglés:",
        "把下面这段翻译成英文：",
        "次の文章を要約してください。",
        "다음 글을 요약해 주세요:",
    ],
)
def test_a_text_to_be_worked_on_is_material(ask: str) -> None:
    assert split(f"{ask}\n\n{ARTICLE}") == Parts(ask, ARTICLE)


@pytest.mark.parametrize(
    "pasted", ["```\nx = 1\n```", "<doc>\nx is one.\nIt was two.\n</doc>", "> x is one\n> y is two"]
)
def test_delimited_material_is_cut_from_between_two_requests(pasted: str) -> None:
    assert split(f"What does this do?\n\n{pasted}\n\nKeep it short.") == Parts(
        "What does this do?\nKeep it short.", pasted
    )


def test_tags_around_the_instruction_are_dropped() -> None:
    parts = split("<task>\nAdd a dark mode.\n</task>\n<environment_details>\nsrc/app.py\n</environment_details>")
    assert parts.instruction == "Add a dark mode."


def test_of_a_long_text_the_middle_is_material() -> None:
    parts = split(f"Summarise the article.\n\n{(ARTICLE + chr(10) * 2) * 400}\nWhat do they want?")
    assert parts.instruction == "Summarise the article.\nWhat do they want?"


def test_the_consumer_corpus_is_cut_where_something_is_worked_on_and_hardly_elsewhere() -> None:
    rows: list[tuple[str, bool]] = []
    for path in (Path(classifier.training.__file__).parent / "consumer").glob("*.jsonl"):
        for row in map(json.loads, path.read_text("utf-8").splitlines()):
            if row.get("split") == "train" and "messages" in row:
                rows.append((row["kind"], split(row["messages"][-1]["content"]).material != ""))
    whole = [
        cut for kind, cut in rows if kind in ("smalltalk", "decision", "compare", "brainstorm", "roleplay", "puzzle")
    ]
    worked = [cut for kind, cut in rows if kind in ("rewrite", "code_fix", "translate", "summarise", "housekeeping")]
    assert sum(whole) / len(whole) <= 0.04
    assert sum(worked) / len(worked) >= 0.45


@pytest.mark.parametrize(
    ("material", "kind"),
    [
        ("", MaterialKind.NONE),
        (ARTICLE, MaterialKind.PROSE),
        ("def f(x):\n    return x + 1", MaterialKind.CODE),
        ("a\tb\n1\t2\n3\t4", MaterialKind.TABLE),
        ("2024-05-01 12:00:01 INFO start\n2024-05-01 12:00:02 ERROR stop", MaterialKind.LOG),
    ],
)
def test_the_kind_of_a_material_is_that_of_most_of_its_lines(material: str, kind: MaterialKind) -> None:
    assert material_kind(material) is kind


@given(TEXTS)
def test_only_a_blank_text_has_a_blank_instruction(text: str) -> None:
    assert bool(split(text).instruction.strip()) == bool(text.strip())


@given(TEXTS)
def test_line_ends_of_two_characters_change_nothing(text: str) -> None:
    plain = text.replace("\r", "")
    assert split(plain.replace("\n", "\r\n")) == split(plain)


@given(TEXTS)
def test_any_text_has_a_kind(text: str) -> None:
    assert material_kind(text) in MaterialKind


@pytest.mark.parametrize("piece", NASTY)
def test_no_text_takes_longer_than_in_proportion_to_its_length(piece: str) -> None:
    assert is_in_proportion(lambda length: split(piece * (length // len(piece))), 100_000)


@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_who_shouts_or_whispers_says_the_same(change: Callable[[str], str]) -> None:
    options = "\n".join(f"{letter}. it is {letter} times as long" for letter in "ABCDE")
    for text in (
        f"How long is the shadow of the mast at noon?\n{options}",
        "Translate this:\n\nThe keys are with Ann.",
    ):
        assert [part.lower() for part in split(change(text))] == [part.lower() for part in split(text)]
