"""Climbing: what is asked for, what is kept, and how a run goes on where it was interrupted."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from router.learning.ladder import (
    Attempt,
    AttemptLog,
    LadderPlan,
    OtherLadder,
    climb,
    requests_per_question,
    require_answers,
    rungs_of,
)
from router.learning.question_sets import Instance, Question, WrongQuestions
from router.reports.ladder import RungKind
from tests.learning.test_question_sets import a_completion
from tests.providers.upstream import Answer, Upstream, an_upstream

QUESTIONS = [
    Question("sum", [{"role": "user", "content": "What is 17 + 25?"}], "42"),
    Question(2, [{"role": "user", "content": "What is 40 + 3?"}], "43"),
]
PLAN = LadderPlan(samples=4, efforts=("low", "high"))


def knows_one_sum() -> Answer:
    """Every second sample of the first question is right, and deep tiers are."""

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        is_right = body["model"] != "fast" or body["seed"] % 2 == 0
        told = a_completion("Answer: 42" if is_right else "Answer: 41", final_tier=body["model"], cost_nanousd=100)
        return web.json_response(told)

    return answer


def at(upstream: Upstream) -> Instance:
    return Instance.at(upstream.base, None)


async def climbed(upstream: Upstream, plan: LadderPlan = PLAN, known: list[Attempt] | None = None) -> list[Attempt]:
    return [attempt async for attempt in climb(at(upstream), QUESTIONS, plan, 4, known or [])]


async def test_every_way_is_asked_once_and_samples_as_the_parallel_tier_asks_for_them() -> None:
    async with an_upstream(knows_one_sum()) as upstream:
        attempts = await climbed(upstream)
    assert len(attempts) == len(QUESTIONS) * requests_per_question(PLAN) == 16
    of_sum = [body for body in upstream.bodies if "17 + 25" in body["messages"][-1]["content"]]
    plain, *samples = [body for body in of_sum if body["model"] == "fast"]
    assert plain["messages"] == QUESTIONS[0].messages
    assert len({body["seed"] for body in (plain, *samples)}) == 5
    assert len({body["messages"][-1]["content"] for body in samples}) == 4  # the forms take turns
    assert all("temperature" not in body for body in samples)
    assert {body["reasoning_effort"] for body in of_sum if body["model"] == "reasoning"} == {"low", "high"}


async def test_a_temperature_goes_to_samples_alone() -> None:
    async with an_upstream(knows_one_sum()) as upstream:
        await climbed(upstream, LadderPlan(samples=2, efforts=(), temperature=0.8))
    warm = [body.get("temperature") for body in upstream.bodies if body["model"] == "fast"]
    assert sorted(warm, key=str) == [0.8] * 4 + [None] * 2


async def test_rungs_stand_from_fast_to_parallel() -> None:
    async with an_upstream(knows_one_sum()) as upstream:
        attempts = await climbed(upstream)
    rungs = await rungs_of(QUESTIONS, attempts, PLAN)
    assert [rung.name for rung in rungs] == [
        "fast",
        "fast x 2",
        "fast x 4",
        "reasoning low",
        "reasoning high",
        "parallel",
    ]
    assert [rung.kind for rung in rungs][-2:] == [RungKind.EFFORT, RungKind.TIER]
    assert [rung.questions for rung in rungs] == [2] * 6
    four = rungs[2]
    assert four.covered is not None
    assert (four.covered.value, rungs[-1].accuracy is not None and rungs[-1].accuracy.value) == (0.5, 0.5)
    assert four.cost_nanousd is not None
    assert four.cost_nanousd.value == 400


async def test_a_run_goes_on_where_it_was_and_asks_again_what_failed(tmp_path: Path) -> None:
    async with an_upstream(knows_one_sum()) as upstream:
        with AttemptLog(tmp_path / "attempts.jsonl", QUESTIONS, PLAN, at(upstream)) as log:
            for attempt in (await climbed(upstream))[:7]:
                log.add(attempt)
            log.attempts[-1].ended.error = "broke off"
        asked = len(upstream.bodies)
        done = [a for a in log.attempts if a.ended.error is None]
        with (tmp_path / "attempts.jsonl").open("a") as file:
            file.write('{"rung": "cut o')
        again = AttemptLog(tmp_path / "attempts.jsonl", QUESTIONS, PLAN, at(upstream))
        assert len(again.attempts) == 7  # the line that was cut off is gone, and the file ends with a whole one
        assert (tmp_path / "attempts.jsonl").read_bytes().endswith(b"}\n")
        more = await climbed(upstream, known=log.attempts)
    assert len(upstream.bodies) - asked == len(more) == 16 - len(done) == 10


async def test_more_samples_are_added_to_a_run_but_other_questions_are_another_run(tmp_path: Path) -> None:
    path, instance = tmp_path / "attempts.jsonl", Instance.at("http://x", None)
    AttemptLog(path, QUESTIONS, PLAN, instance)
    AttemptLog(path, QUESTIONS, LadderPlan(samples=64), instance)
    for questions, plan in (
        (QUESTIONS[:1], PLAN),
        (QUESTIONS, LadderPlan(seed=2)),
        (QUESTIONS, LadderPlan(sampled="x")),
    ):
        with pytest.raises(OtherLadder, match="name another --out"):
            AttemptLog(path, questions, plan, instance)
    with pytest.raises(OtherLadder, match="params"):
        AttemptLog(path, QUESTIONS, PLAN, Instance.at("http://x", None, 50))
    path.write_text("not ours\n")
    with pytest.raises(OtherLadder, match="no file of a ladder"):
        AttemptLog(path, QUESTIONS, PLAN, instance)


async def test_samples_are_graded_as_what_the_question_asks_for_whatever_their_prompts_look_like() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        is_plain = (await request.json())["messages"] in [question.messages for question in QUESTIONS]
        told = a_completion("17 + 25 is not 42 but 41.", "numeric" if is_plain else "open", final_tier="fast")
        return web.json_response(told)

    async with an_upstream(answer) as upstream:
        attempts = await climbed(upstream)
    of_sum = [attempt.ended for attempt in attempts if attempt.ended.id == "sum"]
    assert {(ended.answer_type, ended.is_right) for ended in of_sum} == {("numeric", False)}


async def test_without_a_fast_answer_no_sample_is_asked_for() -> None:
    async def refuses(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "no"}}, status=400)

    async with an_upstream(refuses) as upstream:
        attempts = await climbed(upstream)
    assert len(attempts) == len(QUESTIONS) * 4
    rungs = await rungs_of(QUESTIONS, attempts, PLAN)
    assert [(rung.questions, rung.accuracy) for rung in rungs] == [(0, None)] * 6
    assert (rungs[0].errors, rungs[-1].errors) == (2, 2)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"answer": None}, "no answer"), ({"id": 2}, "two questions"), (None, "no question")],
)
def test_questions_that_cannot_be_graded_are_refused(changes: dict[str, Any] | None, reason: str) -> None:
    questions = [] if changes is None else [msgspec.structs.replace(QUESTIONS[0], **changes), QUESTIONS[1]]
    with pytest.raises(WrongQuestions, match=reason):
        require_answers(questions)
