"""`tierwise replay` through a served instance: what it says a query cost is what the books say."""

import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

from scripts.showcase.serving import TIERWISE, environment, serve

SUMS = [(17, 25), (40, 2), (3, 9)]


def run(*command: str) -> Any:
    done = subprocess.run(
        [TIERWISE, *command, "--format", "json"], capture_output=True, text=True, env=environment(), check=True
    )
    return json.loads(done.stdout)


def some_questions(path: Path) -> Path:
    lines = [
        {"id": at, "messages": [{"role": "user", "content": f"What is {a} + {b}?"}], "answer": str(a + b)}
        for at, (a, b) in enumerate(SUMS)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_served_instance_is_graded_tier_by_tier_and_the_costs_are_those_of_its_books(tmp_path: Path) -> None:
    questions = some_questions(tmp_path / "questions.jsonl")
    with serve(tmp_path) as instance:
        replay = ("replay", "--questions", str(questions), "--out", str(tmp_path / "out"), "--url", instance.url)
        fast, parallel = run(*replay, "--key", instance.key, "--tiers", "fast,parallel")
    assert (fast["accuracy"], parallel["accuracy"], parallel["graded"]) == (0.0, 1.0, len(SUMS))  # only one can add up
    assert (fast["calls_per_query"], parallel["calls_per_query"], fast["errors"]) == (1.0, 4.0, 0)
    report = run("report", "--by", "tier", "--config", str(tmp_path / "tierwise.toml"))
    booked = {row["tier"]: Decimal(row["cost_usd"]) * 10**9 for row in report["rows"]}
    for row in (fast, parallel):
        assert row["cost_nanousd_per_query"] == round(booked[row["tier"]] / len(SUMS))
