"""`tierwise estimate`: what the classifier says of queries read as JSON lines."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from classifier import artifact
from classifier.messages import MessagesError, turns_of
from classifier.model import DifficultyModel
from classifier.types import Abilities, AnswerType, Estimate, Forecast

PARALLEL_THRESHOLD, REASONING_THRESHOLD = 0.10, 0.25
LOWEST_SAMPLED_CHANCE = 0.2

TierFor = Callable[[Estimate], str]


class LineError(Exception):
    """A line of the input that is no query."""


def default_tier(estimate: Estimate) -> str:
    """The tier by the default thresholds, without cap and exploration."""
    if estimate.score >= REASONING_THRESHOLD:
        return "reasoning"
    can_vote = estimate.answer_type is not AnswerType.OPEN and estimate.p_fast >= LOWEST_SAMPLED_CHANCE
    return "parallel" if estimate.score >= PARALLEL_THRESHOLD and can_vote else "fast"


def estimated(
    lines: Iterable[str],
    model: DifficultyModel,
    *,
    abilities: Abilities | None = None,
    tier_for: TierFor = default_tier,
) -> Iterator[dict[str, Any]]:
    """Rows of output for lines of input, in order; raise LineError naming the first line that is no query.

    Without `abilities` the reference pair is assumed, and rows say so unless the artefact's heads were adapted.
    """
    is_assumed = not model.is_adapted and (abilities is None or None in (abilities.fast, abilities.reasoning))
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            query = json.loads(line)
            turns = turns_of(query)
        except (json.JSONDecodeError, MessagesError) as error:
            raise LineError(f"line {number}: {error}") from error
        row = _row(query.get("id"), model.estimate(turns, abilities or Abilities()), tier_for)
        yield row | {"ability": "assumed"} if is_assumed else row


def _row(query_id: object, estimate: Estimate, tier_for: TierFor) -> dict[str, Any]:
    return {
        "id": query_id,
        "p_fast": round(estimate.p_fast, 6),
        "p_reasoning": round(estimate.p_reasoning, 6),
        "score": round(estimate.score, 6),
        "difficulty": round(estimate.difficulty, 6),
        "answer_type": estimate.answer_type.value,
        "stakes": estimate.stakes.value,
        "expected_output_tokens": {
            "fast": _tokens(estimate.output_fast),
            "reasoning": _tokens(estimate.output_reasoning),
        },
        "tier": tier_for(estimate),
    }


def _tokens(forecast: Forecast) -> Mapping[str, int]:
    return {"low": forecast.low, "expected": forecast.expected, "high": forecast.high}


def estimate(
    artifact_directory: Annotated[
        Path | None,
        typer.Option("--artifact", help="A directory made by `tierwise train`; the shipped one by default."),
    ] = None,
) -> None:
    """Estimate queries: JSON lines {"id", "text"} or {"id", "messages"} on stdin, JSON lines on stdout."""
    try:
        model = artifact.load(artifact_directory)
        for row in estimated(sys.stdin, model):
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    except (artifact.ArtifactError, LineError) as error:
        typer.echo(f"tierwise estimate: {error}", err=True)
        raise typer.Exit(2) from error
