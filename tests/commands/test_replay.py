"""`tierwise replay` against an instance that answers as it is told."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from router.commands.replay import COLUMNS
from tests.builders.databases import lay_out
from tests.commands.conftest import Command, Ran
from tests.providers.upstream import Answer, an_upstream

QUESTIONS = [
    {"id": "sum", "messages": [{"role": "user", "content": "What is 17 + 25?"}], "answer": "42"},
    {"id": 2, "messages": [{"role": "user", "content": "Recommend a book about rivers."}]},
]


@pytest.fixture
def questions(here: Path) -> Path:
    path = here / "questions.jsonl"
    path.write_text("".join(json.dumps(question) + "\n" for question in QUESTIONS))
    return path


def knows_sums_only_when_it_thinks() -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        tier = (await request.json())["model"]
        if tier not in ("fast", "reasoning"):
            return web.json_response({"error": {"message": f"no model goes by the name {tier!r}"}}, status=404)
        content, cost = ("Answer: 42", 700) if tier == "reasoning" else ("Answer: 41", 100)
        decided = {"final_tier": tier, "calls": 1, "cost_nanousd": cost, "answer_type": "numeric"}
        return web.json_response({"choices": [{"message": {"content": content}}], "x_tierwise": decided})

    return answer


async def replay(tierwise: Command, *options: str) -> tuple[Ran, list[dict[str, Any]]]:
    """Run the command against the instance; returns also the bodies that it sent."""
    async with an_upstream(knows_sums_only_when_it_thinks()) as upstream:
        command = ("replay", "--questions", "questions.jsonl", "--out", "out", "--url", upstream.base, *options)
        ran = await asyncio.to_thread(tierwise, *command)
    return ran, upstream.bodies


async def test_every_question_goes_to_every_tier_and_each_tier_gets_a_row(tierwise: Command, questions: Path) -> None:
    ran, bodies = await replay(tierwise, "--tiers", "fast, reasoning", "--max-tokens", "50", "--format", "json")
    fast, reasoning = json.loads(ran.out)
    assert (fast["tier"], fast["questions"], fast["graded"], fast["accuracy"]) == ("fast", 2, 1, 0.0)
    assert (reasoning["accuracy"], reasoning["cost_nanousd_per_query"]) == (1.0, 700)
    assert tuple(fast) == COLUMNS
    assert sorted(body["model"] for body in bodies) == ["fast", "fast", "reasoning", "reasoning"]
    assert {body["max_tokens"] for body in bodies} == {50}


async def test_answers_and_summary_are_kept_for_reports(tierwise: Command, questions: Path, here: Path) -> None:
    ran, _ = await replay(tierwise, "--tiers", "fast", "--format", "json")
    answers = [json.loads(line) for line in (here / "out" / "answers.jsonl").read_text().splitlines()]
    assert {(answer["id"], answer["is_right"]) for answer in answers} == {("sum", False), (2, None)}
    assert json.loads((here / "out" / "summary.json").read_text()) == json.loads(ran.out)
    lay_out("sqlite:///var/tierwise.db")
    assert tierwise("report", "--format", "html", "--replay", "out", "-o", "report.html").code == 0


async def test_a_tier_that_does_not_exist_is_counted_and_stops_nothing(tierwise: Command, questions: Path) -> None:
    ran, _ = await replay(tierwise, "--tiers", "deepest,fast", "--format", "json")
    deepest, fast = json.loads(ran.out)
    assert (ran.code, deepest["errors"], deepest["accuracy"], fast["errors"]) == (0, 2, None, 0)


async def test_all_four_tiers_are_asked_unless_some_are_named(tierwise: Command, questions: Path) -> None:
    _, bodies = await replay(tierwise)
    assert {body["model"] for body in bodies} == {"fast", "reasoning", "parallel", "auto"}


@pytest.mark.parametrize(("text", "reason"), [("{", "line 1"), ('{"id": 1}', "line 1"), ("\xff", "questions.jsonl")])
def test_a_file_that_holds_no_questions_is_refused(tierwise: Command, here: Path, text: str, reason: str) -> None:
    (here / "questions.jsonl").write_bytes(text.encode("latin-1"))
    ran = tierwise("replay", "--questions", "questions.jsonl", "--out", "out")
    assert (ran.code, reason in ran.err) == (2, True)
    assert not (here / "out").exists()
