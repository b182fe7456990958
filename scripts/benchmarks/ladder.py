"""Climbs a ladder of made-up products twice, with two seeds, on the scripted double: does it come out the same?"""

import json
import random
import subprocess
import sys
import tempfile
import time
from math import sqrt
from pathlib import Path
from typing import Annotated

import typer

from classifier.types import Z95
from router.commands.output import Format, show
from router.reports.ladder import Ladder, Rung, read_ladder
from router.reports.tradeoff import Estimated
from scripts.showcase.serving import TIERWISE, Instance, environment, serve

CONFIG = """
database_url = "sqlite:///{directory}/tierwise.db"
state_dir = "{directory}/state"
[server]
port = 0
auth = "required"
shutdown_timeout_s = 3
[tiers.fast]
model = "scripted/solver-40pct"
[tiers.reasoning]
model = "scripted/solver-85pct"
max_thinking_tokens = 2048
[tiers.parallel]
models = ["scripted/solver-40pct"]
"""
SEEDS = (1, 2)
COLUMNS = ("rung", "figure", "first", "interval", "second", "second_in_first", "first_in_second", "standard_errors")


def bench(
    questions: Annotated[int, typer.Option(min=2, help="How many questions.")] = 200,
    samples: Annotated[int, typer.Option(min=0, help="Most samples of a question.")] = 64,
    at_once: Annotated[int, typer.Option(min=1, help="Requests under way at once.")] = 16,
    out: Annotated[Path | None, typer.Option(help="Keep both runs there; an interrupted one goes on.")] = None,
) -> None:
    """Print each figure of both runs, and whether it is within the other run's 95 % interval."""
    with tempfile.TemporaryDirectory(prefix="tierwise-ladder-") as name:
        place = Path(name)
        runs = out or place
        runs.mkdir(parents=True, exist_ok=True)
        write_questions(place / "questions.jsonl", questions)
        with serve(place, CONFIG) as instance:
            first, second = (climb_once(place, runs / f"run{seed}", instance, seed, samples, at_once) for seed in SEEDS)
    rows = [row for ours, theirs in zip(first.rungs, second.rungs, strict=True) for row in _rows(ours, theirs)]
    show(rows, COLUMNS, Format.TABLE)
    within = sum(bool(row[column]) for row in rows for column in ("second_in_first", "first_in_second"))
    apart = sum(float(str(row["standard_errors"])) > Z95 for row in rows)
    print(f"{within} of {2 * len(rows)} figures are within the other run's 95 % interval: of two independent runs 83 %")
    print(f"{apart} of {len(rows)} figures are further apart than 1.96 standard errors of their difference")


def write_questions(path: Path, count: int) -> None:
    """Write products that no two questions share."""
    dice = random.Random(18)
    pairs = [(dice.randrange(100, 1_000), dice.randrange(100, 1_000)) for _ in range(count)]
    lines = [
        {"id": at, "messages": [{"role": "user", "content": f"What is {a} x {b}?"}], "answer": str(a * b)}
        for at, (a, b) in enumerate(pairs)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def climb_once(place: Path, out: Path, instance: Instance, seed: int, samples: int, at_once: int) -> Ladder:
    """Run the command with a seed, with the questions and the configuration of a place; returns what it wrote."""
    began = time.monotonic()
    where = ("--questions", str(place / "questions.jsonl"), "--out", str(out), "--url", instance.url)
    how = ("--key", instance.key, "--config", str(place / "tierwise.toml"), "--seed", str(seed))
    many = ("--samples", str(samples), "--at-once", str(at_once), "--format", "json")
    command = [TIERWISE, "ladder", *where, *how, *many]
    subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment())
    print(f"run {seed} took {time.monotonic() - began:.0f} s", file=sys.stderr)
    return read_ladder(json.loads((out / "ladder.json").read_text(encoding="utf-8")))


def _rows(ours: Rung, theirs: Rung) -> list[dict[str, object]]:
    """Compare a rung of both runs, figure by figure."""
    rows = []
    for figure in ("accuracy", "covered", "cost_nanousd"):
        a, b = getattr(ours, figure), getattr(theirs, figure)
        if a is None or b is None:
            continue
        rows.append(
            {
                "rung": ours.name,
                "figure": figure,
                "first": f"{a.value:.4g}",
                "interval": f"{a.low:.4g} to {a.high:.4g}",
                "second": f"{b.value:.4g}",
                "second_in_first": a.low <= b.value <= a.high,
                "first_in_second": b.low <= a.value <= b.high,
                "standard_errors": f"{_apart(a, b):.2f}",
            }
        )
    return rows


def _apart(a: Estimated, b: Estimated) -> float:
    """Return how many standard errors of their difference two figures lie apart, as their intervals tell."""
    errors = [((one.high or 0.0) - (one.low or 0.0)) / (2 * Z95) for one in (a, b)]
    return abs(a.value - b.value) / sqrt(errors[0] ** 2 + errors[1] ** 2) if any(errors) else 0.0


if __name__ == "__main__":
    typer.run(bench)
