"""Reads an operator's own labels: JSON lines of conversations with how each tier did."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier.messages import MessagesError, turns_of
from classifier.types import Turn


class LabelsError(Exception):
    """A labels file that cannot be used; the message names the line."""


@dataclass(frozen=True, slots=True)
class GradedConversation:
    """A conversation and how good each tier's answer was, 0..1."""

    turns: tuple[Turn, ...]
    fast: float
    reasoning: float


@dataclass(frozen=True, slots=True)
class Graded:
    """A conversation and how good one model's answer was, 0..1."""

    turns: tuple[Turn, ...]
    right: float


def read_labels(path: Path) -> list[GradedConversation]:
    """Lines of {"text"|"messages", "outcomes": {"fast": 0..1, "reasoning": 0..1}}."""
    labels = []
    for number, row in _rows(path):
        outcomes = row.get("outcomes")
        if not isinstance(outcomes, dict):
            raise LabelsError(f'{path}, line {number}: no "outcomes" object')
        scores = [
            _score(outcomes.get(tier), f'{path}, line {number}: outcome "{tier}"') for tier in ("fast", "reasoning")
        ]
        labels.append(GradedConversation(_turns(row, path, number), *scores))
    return labels


def read_graded(path: Path) -> list[Graded]:
    """Lines of {"text"|"messages", "correct": 0..1 or a boolean}, all by the model to be placed."""
    return [
        Graded(_turns(row, path, number), _score(row.get("correct"), f'{path}, line {number}: "correct"'))
        for number, row in _rows(path)
    ]


def digest(path: Path) -> str:
    """SHA-256 of the file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise LabelsError(f"{path}: {error.strerror}") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise LabelsError(f"{path}, line {number}: not JSON") from error
        if not isinstance(row, dict):
            raise LabelsError(f"{path}, line {number}: not a JSON object")
        rows.append((number, row))
    return rows


def _turns(row: dict[str, Any], path: Path, number: int) -> tuple[Turn, ...]:
    try:
        return turns_of(row)
    except MessagesError as error:
        raise LabelsError(f"{path}, line {number}: {error}") from error


def _score(value: object, what: str) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise LabelsError(f"{what} is not a number from 0 to 1")
    return float(value)
