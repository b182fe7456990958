"""`tierwise ladder` against an instance that answers as it is told, and against books of its own."""

import asyncio
import csv
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from router.commands.ladder import SHOWN
from router.database.engine import open_engine
from router.ledger import ladders
from router.reports.ladder import COLUMNS, read_ladder
from tests.commands.conftest import Command, Ran
from tests.learning.test_ladder import QUESTIONS, knows_one_sum
from tests.providers.upstream import an_upstream
from tests.reports.test_coverage import observed

SOME = ("--samples", "4", "--efforts", "low")


@pytest.fixture
def questions(here: Path) -> Path:
    lines = [{"id": q.id, "messages": q.messages, "answer": q.answer} for q in QUESTIONS]
    path = here / "sums.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def books_of(here: Path) -> Engine:
    """Open the books that the command made."""
    [books] = here.rglob("*.db")
    return open_engine(f"sqlite:///{books}")


async def climb(tierwise: Command, *options: str) -> tuple[Ran, list[dict[str, Any]]]:
    """Run the command against the instance; returns also the bodies that it sent."""
    async with an_upstream(knows_one_sum()) as upstream:
        command = ("ladder", "--questions", "sums.jsonl", "--out", "out", "--url", upstream.base, *SOME, *options)
        ran = await asyncio.to_thread(tierwise, *command)
    return ran, upstream.bodies


async def test_a_run_is_printed_written_drawn_and_kept(tierwise: Command, questions: Path, here: Path) -> None:
    ran, bodies = await climb(tierwise, "--format", "json")
    rows = json.loads(ran.out)
    assert [row["rung"] for row in rows] == ["fast", "fast x 2", "fast x 4", "reasoning low", "parallel"]
    assert (rows[2]["pass_at_k"], rows[-1]["accuracy"], rows[2]["cost_usd"]) == (0.5, 0.5, "0.000000400")
    assert {row["paid_by_revenue"] for row in rows} == {"yes"}
    assert len(bodies) == 2 * 7
    written = json.loads((here / "out" / "ladder.json").read_text())
    found = read_ladder(written)
    assert (found.source, found.name, found.questions) == ("questions", "sums", 2)
    with (here / "out" / "ladder.csv").open() as file:
        assert [row["rung"] for row in csv.DictReader(file)] == [row["rung"] for row in rows]
    page = (here / "out" / "ladder.html").read_text()
    assert "<svg" in page
    assert "break-even" in page
    assert "17 + 25" not in json.dumps(written) + page
    assert ladders.newest(books_of(here), "questions") == written


async def test_a_second_run_asks_nothing_again_unless_there_are_more_samples(
    tierwise: Command, questions: Path, here: Path
) -> None:
    first, _ = await climb(tierwise, "--format", "csv")
    again, bodies = await climb(tierwise, "--format", "csv")
    assert (again.out, bodies) == (first.out, [])
    _, bodies = await climb(tierwise, "--samples", "8")
    assert len(bodies) == 2 * 4


async def test_a_table_shows_what_fits(tierwise: Command, questions: Path) -> None:
    ran, _ = await climb(tierwise)
    assert set(SHOWN) < set(COLUMNS)
    assert "fast x 4" in ran.out
    assert "affordable_share" in ran.out


async def test_answers_of_other_questions_are_not_mixed_in(tierwise: Command, questions: Path) -> None:
    await climb(tierwise)
    ran, bodies = await climb(tierwise, "--seed", "2")
    assert (ran.code, bodies) == (2, [])
    assert "seed" in ran.err
    assert "--out" in ran.err


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ((), "either --questions FILE or --from-books"),
        (("--questions", "sums.jsonl", "--from-books"), "either --questions FILE or --from-books"),
        (("--questions", "sums.jsonl", "--efforts", "low,huge"), "huge is none of"),
        (("--questions", "ungraded.jsonl"), "question 1 has no answer"),
        (("--questions", "nowhere.jsonl"), "nowhere.jsonl"),
    ],
)
def test_what_cannot_be_climbed_is_told(
    tierwise: Command, questions: Path, here: Path, command: tuple[str, ...], reason: str
) -> None:
    (here / "ungraded.jsonl").write_text('{"id": 1, "messages": []}\n')
    ran = tierwise("ladder", *command)
    assert (ran.code, reason in " ".join(ran.err.replace("│", " ").split())) == (2, True)
    assert not (here / "ladder").exists()


def test_own_traffic_is_a_ladder_too(tierwise: Command, here: Path) -> None:
    assert tierwise("db", "upgrade").code == 0
    engine = books_of(here)
    observed(engine, *"aaaabbbb")
    observed(engine, *"aaaaaaaa", rating=-1)
    observed(engine, *"aabb", rating=None)
    ran = tierwise("ladder", "--from-books", "--since", "2020-01-01", "--format", "json")
    rows = {row["rung"]: row for row in json.loads(ran.out)}
    assert list(rows) == ["1 sample", "2 samples", "4 samples", "8 samples", "parallel"]
    assert (rows["1 sample"]["accuracy"], rows["8 samples"]["pass_at_k"], rows["parallel"]["accuracy"]) == (
        0.25,
        0.5,
        0.5,
    )
    assert rows["8 samples"]["cost_usd"] is None  # nobody booked a call of them
    kept = ladders.newest(engine, "traffic")
    assert kept is not None
    assert kept["questions"] == 2
