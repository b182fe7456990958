import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.providers.openai.thinking_tags import ThinkingTags


def split(pieces: list[str]) -> tuple[str, str]:
    tags = ThinkingTags()
    parts = [*(tags.split(piece) for piece in pieces), tags.end()]
    return "".join(visible for visible, _ in parts), "".join(thought for _, thought in parts)


@pytest.mark.parametrize(
    ("text", "visible", "thought"),
    [
        ("plain", "plain", ""),
        ("<think>a</think>b", "b", "a"),
        ("\n <thinking>\na\n</thinking>\n\nb", "b", "a\n"),
        ("<think>never closed", "", "never closed"),
        ("a <think>b</think>", "a <think>b</think>", ""),
        ("<thin", "<thin", ""),
        ("  spaced", "  spaced", ""),
        ("", "", ""),
    ],
)
def test_only_what_begins_an_answer_is_thinking(text: str, visible: str, thought: str) -> None:
    assert split([text]) == (visible, thought)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "think", ">", "a ", "\n", "</thi", "nk>"])))
def test_the_split_does_not_depend_on_the_pieces(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert split(pieces) == split([text]) == split(list(text))
