"""Reads the queries of classifier/training/consumer: what people ask, with levels by a rubric. Training only.

The README beside the queries has the rubric, who wrote them, and how far two annotators agree.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from classifier.messages import turns_of
from classifier.types import AnswerType, Stakes, Turn

DIRECTORY = Path(__file__).parent / "consumer"
SECOND_ANNOTATION = "second_annotation.jsonl"
TRAIN, KEPT = "train", "kept"


@dataclass(frozen=True, slots=True)
class ConsumerQuery:
    """One written query; its last user turn is what was rated."""

    id: str
    author: str
    language: str
    kind: str
    level: int
    answer_type: AnswerType
    stakes: Stakes
    split: str
    turns: tuple[Turn, ...]
    twin: str | None = None  # two queries of one author that differ in level, hardly in wording and length

    @property
    def asked(self) -> str:
        """The last user turn."""
        return next(turn.text for turn in reversed(self.turns) if turn.role == "user")

    @property
    def is_conversation(self) -> bool:
        """Whether the user spoke more than once."""
        return sum(turn.role == "user" for turn in self.turns) > 1


@cache
def read_queries(directory: Path = DIRECTORY) -> tuple[ConsumerQuery, ...]:
    """All queries, by author and id."""
    files = sorted(path for path in directory.glob("*.jsonl") if path.name != SECOND_ANNOTATION)
    return tuple(_query(path.stem, row) for path in files for row in _rows(path))


def read_second_annotation(directory: Path = DIRECTORY) -> dict[str, tuple[int, AnswerType, Stakes]]:
    """Level, answer type and stakes by query id, as a second annotator gave them without seeing the first ones."""
    return {
        row["id"]: (row["level"], AnswerType(row["answer_type"]), Stakes(row["stakes"]))
        for row in _rows(directory / SECOND_ANNOTATION)
    }


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def _query(author: str, row: Mapping[str, Any]) -> ConsumerQuery:
    return ConsumerQuery(
        row["id"],
        author,
        row["lang"],
        row["kind"],
        row["level"],
        AnswerType(row["answer_type"]),
        Stakes(row["stakes"]),
        row["split"],
        tuple(turns_of(row)),
        row.get("twin"),
    )
