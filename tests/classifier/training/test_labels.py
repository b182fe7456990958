import json
from pathlib import Path

import pytest

from classifier.messages import MessagesError, turns_of
from classifier.training.labels import LabelsError, read_graded, read_labels


def _write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def test_labels_hold_a_conversation_and_both_outcomes(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "hi"}], "outcomes": {"fast": 0, "reasoning": 0.5}}
    [label] = read_labels(_write(tmp_path / "labels.jsonl", row))
    assert (label.turns[0].text, label.fast, label.reasoning) == ("hi", 0.0, 0.5)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: not a JSON object"),
        ({"text": "x"}, 'line 2: no "outcomes"'),
        ({"text": "x", "outcomes": {"fast": 2, "reasoning": 0}}, 'line 2: outcome "fast"'),
        ({"outcomes": {"fast": 1, "reasoning": 0}}, "line 2: needs either"),
    ],
)
def test_a_line_that_is_no_label_is_named(tmp_path: Path, row: object, message: str) -> None:
    good = {"text": "x", "outcomes": {"fast": 1, "reasoning": 1}}
    with pytest.raises(LabelsError, match=message):
        read_labels(_write(tmp_path / "labels.jsonl", good, row))


def test_graded_answers_may_be_booleans(tmp_path: Path) -> None:
    [graded] = read_graded(_write(tmp_path / "graded.jsonl", {"text": "x", "correct": True}))
    assert graded.right == 1.0


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="No such file"):
        read_labels(tmp_path / "none.jsonl")


def test_parts_of_a_content_are_joined_and_what_is_no_text_is_an_attachment() -> None:
    parts = [
        {"type": "text", "text": "what is"},
        {"type": "image_url", "image_url": {}},
        {"type": "text", "text": "this?"},
    ]
    [turn] = turns_of({"messages": [{"role": "user", "content": parts}]})
    assert (turn.text, turn.attachments) == ("what is\nthis?", 1)


def test_tool_calls_are_counted() -> None:
    [turn] = turns_of({"messages": [{"role": "assistant", "content": None, "tool_calls": [{}, {}]}]})
    assert (turn.text, turn.tool_calls) == ("", 2)


@pytest.mark.parametrize(
    "query", [7, {}, {"text": 1}, {"messages": []}, {"messages": [{"content": "x"}]}, {"text": "a", "messages": []}]
)
def test_what_is_no_query_is_refused(query: object) -> None:
    with pytest.raises(MessagesError):
        turns_of(query)
