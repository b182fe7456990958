"""`tierwise ladder` through a served instance: what its rungs cost is what the books say, and its page shows them."""

from decimal import Decimal
from pathlib import Path

from router.money import NANO_PER_USD
from scripts.benchmarks.ladder import CONFIG, write_questions
from scripts.showcase.serving import serve
from tests.e2e.test_replay import run


def test_a_served_instance_is_climbed_and_costs_what_its_books_say(tmp_path: Path) -> None:
    write_questions(tmp_path / "questions.jsonl", 3)
    config = ("--config", str(tmp_path / "tierwise.toml"))
    with serve(tmp_path, CONFIG) as instance:
        where = (
            "--questions",
            str(tmp_path / "questions.jsonl"),
            "--out",
            str(tmp_path / "out"),
            "--url",
            instance.url,
        )
        rows = run("ladder", *where, "--key", instance.key, *config, "--samples", "4", "--efforts", "high")
    assert [row["rung"] for row in rows] == ["fast", "fast x 2", "fast x 4", "reasoning high", "parallel"]
    assert all(row["questions"] == 3 and row["errors"] == 0 and row["unpriced"] == 0 for row in rows)
    fast, _, four, high, parallel = (Decimal(row["cost_usd"]) for row in rows)
    booked = {row["tier"]: Decimal(row["cost_usd"]) for row in run("report", "--by", "tier", *config)["rows"]}
    nearly = Decimal(3) / NANO_PER_USD  # means are rounded to nano-dollars
    assert abs(booked["fast"] - 3 * (fast + four)) <= nearly
    deep = sum(cost for tier, cost in booked.items() if tier != "fast")  # an escalation is booked under reasoning
    assert abs(deep - 3 * (high + parallel)) <= nearly
