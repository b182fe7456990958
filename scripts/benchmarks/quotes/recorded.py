"""Questions with recorded answers of many models, as jobs can be played on them.

The recordings hold how long each answer was and whether it was right. They hold no answer's text and no times: wrong
answers agree by half, and a call takes its length at a speed that differs by model and by call.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq

ORIGINALS = """outcomes/ (MIT and Apache-2.0):
  mmlu_pro     TIGER-AI-Lab/MMLU-Pro, eval_results
  rgym_*       open-thought/reasoning-gym-eval
  zeroeval_*   WildEval/ZeroEval, result_dirs"""
FINISHERS = ("o1-mini-2024-09-12", "openai_o3-mini", "gemini-1.5-pro-002", "gpt-4o-2024-05-13")
CHARS_PER_TOKEN = 4
LEAST_CHEAP = 3  # models that answered a question
SPEEDS = (60.0, 160.0)  # tokens per second of a model, by its name
SPEED_VARIES, FIRST_WORD_S, FIRST_WORD_VARIES = 0.25, 0.5, 0.5  # deviations of logarithms, and the usual wait


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """How long one model's answer was in tokens, and P(one of its samples is right)."""

    model: str
    tokens: int
    score: float


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the answers of cheap models, and of one that finishes."""

    id: str
    source: str
    text: str
    cheap: Sequence[RecordedAnswer]
    finisher: RecordedAnswer


def read_questions(data: Path, seed: int) -> list[Question]:
    """Read the questions that the shipped classifier was not fitted on, in random order."""
    rows = pq.read_table(data / "queries.parquet", columns=["query_id", "source", "text", "split", "use"]).to_pylist()
    dev = {row["query_id"]: row for row in rows if row["split"] == "dev" and row["use"] == "train"}
    answers: Mapping[str, list[dict[str, Any]]] = defaultdict(list)
    for row in pq.read_table(data / "outcomes.parquet").to_pylist():
        if row["query_id"] in dev and row["score"] is not None and (row["output_chars"] or row["output_tokens"]):
            answers[row["query_id"]].append(row)
    found = list(_questions(dev, answers))
    Random(seed).shuffle(found)
    return found


def _questions(
    asked: Mapping[str, Mapping[str, Any]], answers: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterator[Question]:
    for query_id in sorted(answers):
        row = asked[query_id]
        cheap = [_answer(one) for one in answers[query_id] if one["kind"] == "cheap" and one["mode"] == "cot"]
        by_name = {one["model"]: one for one in answers[query_id]}
        finisher = next((by_name[name] for name in FINISHERS if name in by_name), None)
        if len(cheap) >= LEAST_CHEAP and finisher is not None:
            cheap.sort(key=lambda one: one.model)
            yield Question(query_id, row["source"], row["text"], cheap, _answer(finisher))


def _answer(row: Mapping[str, Any]) -> RecordedAnswer:
    chars = (row["output_chars"] or 0) + (row["thinking_chars"] or 0)
    tokens = row["output_tokens"] or max(chars // CHARS_PER_TOKEN, 1)
    return RecordedAnswer(row["model"], int(tokens), float(row["score"]))


def speed_of(model: str) -> float:
    """The usual tokens per second of a model: made up, and always the same."""
    low, high = SPEEDS
    return float(low * (high / low) ** Random(model).random())


def seconds_of(model: str, tokens: int, random: Random) -> float:
    """How long one call took: its length at a speed of the moment, after the first word."""
    wait = FIRST_WORD_S * math.exp(random.gauss(0.0, FIRST_WORD_VARIES))
    return wait + tokens / (speed_of(model) * math.exp(random.gauss(0.0, SPEED_VARIES)))
