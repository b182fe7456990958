"""Sends a set of questions through chosen tiers of a running instance and grades what comes back.

An answer is right when its vote key equals that of the expected one (as numbers, dates, choices, or by computer
algebra); where no key can be read, when the expected words stand in it. What cannot be read counts as wrong.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from classifier.types import AnswerType
from router.providers.base import Choice
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.keys import answer_key, read_question, vote_key
from router.tiers.vote.rates import wilson

REQUEST_TIMEOUT_S = 600.0


class WrongQuestions(ValueError):
    """A file of questions cannot be used; the message names the line."""


class Question(msgspec.Struct):
    """One question; without an `answer` it is asked and not graded."""

    id: str | int
    messages: list[dict[str, Any]]
    answer: str | None = None


class Replayed(msgspec.Struct):
    """What came of one question in one tier. `cost_nanousd` None: a call had no price; `is_right` None: not graded."""

    id: str | int
    model: str
    final_tier: str | None = None
    calls: int = 0
    cost_nanousd: int | None = None
    is_right: bool | None = None
    answer: str | None = None
    error: str | None = None
    answer_type: AnswerType | None = None
    seconds: float | None = None
    finish_reason: str = "stop"


@dataclass(frozen=True, slots=True)
class Instance:
    """A running instance and how to reach it."""

    url: str
    key: str | None
    params: Mapping[str, Any]

    @classmethod
    def at(cls, url: str, key: str | None, max_tokens: int | None = None) -> "Instance":
        """Name an instance by its address, with or without `/v1`."""
        params = {} if max_tokens is None else {"max_tokens": max_tokens}
        return cls(url.rstrip("/").removesuffix("/v1"), key, params)


class _Refusal(msgspec.Struct):
    message: str


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Answered(msgspec.Struct):
    message: _Message
    finish_reason: str = "stop"


class _Outcome(msgspec.Struct):
    """What `x_tierwise` says of an answer."""

    final_tier: str
    calls: int
    cost_nanousd: int | None
    answer_type: AnswerType


class _Reply(msgspec.Struct):
    """What is read of a reply: an error, or an answer of Tierwise."""

    error: _Refusal | None = None
    choices: list[_Answered] = []
    x_tierwise: _Outcome | None = None


def read_questions(lines: Sequence[str]) -> list[Question]:
    """Read JSON lines; raises WrongQuestions naming the first bad one."""
    questions = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            questions.append(msgspec.json.decode(line, type=Question))
        except msgspec.DecodeError as error:
            raise WrongQuestions(f"line {number}: {error}") from None
    return questions


async def replay(
    instance: Instance, questions: Sequence[Question], models: Sequence[str], at_once: int
) -> AsyncIterator[Replayed]:
    """Ask every question in every model or tier, `at_once` at a time, yielding as they end."""
    checkers, places = CheckerPool(), asyncio.Semaphore(at_once)
    async with a_session() as session:

        async def one(question: Question, model: str) -> Replayed:
            async with places:
                return await ask(session, instance, question, model, checkers)

        tasks = [asyncio.create_task(one(question, model)) for question in questions for model in models]
        try:
            for ended in asyncio.as_completed(tasks):
                yield await ended
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await checkers.close()


def summary(replayed: Sequence[Replayed], model: str) -> dict[str, object]:
    """Return the accuracy with its Wilson 95 % interval, the cost and the calls per query of one model or tier."""
    mine = [r for r in replayed if r.model == model]
    graded = [r for r in mine if r.is_right is not None]
    right = sum(bool(r.is_right) for r in graded)
    interval = wilson(right, len(graded))
    costs = [r.cost_nanousd for r in mine if r.cost_nanousd is not None]
    return {
        "tier": model,
        "questions": len(mine),
        "graded": len(graded),
        "accuracy": round(interval.value, 4) if graded else None,
        "low": round(interval.low, 4) if graded else None,
        "high": round(interval.high, 4) if graded else None,
        "cost_nanousd_per_query": round(sum(costs) / len(costs)) if costs else None,
        "unpriced": len(mine) - len(costs),
        "calls_per_query": round(sum(r.calls for r in mine) / len(mine), 2) if mine else None,
        "errors": sum(r.error is not None for r in mine),
    }


async def is_right(
    expected: str, choice: Choice, question: Question, answer_type: AnswerType, checkers: CheckerPool
) -> bool:
    """Grade one answer against the expected one."""
    read = read_question(answer_type, question.messages, {})
    wanted, given = answer_key(expected, read), vote_key(choice, read)
    if wanted is None or given is None:
        return _stands_in(expected, choice.content or "")
    if wanted == given or (wanted.bare and wanted.bare == given.bare):
        return True
    kinds = {wanted.kind, given.kind}
    if "maths" in kinds and kinds <= {"maths", "number"}:
        return bool(await checkers.same_maths(wanted.bare or wanted.value, given.bare or given.value))
    return given.kind == "entity" and _stands_in(expected, given.value)


def a_session() -> aiohttp.ClientSession:
    """Open connections on which an answer may take ten minutes."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S))


async def ask(
    session: aiohttp.ClientSession,
    instance: Instance,
    question: Question,
    model: str,
    checkers: CheckerPool,
    answer_type: AnswerType | None = None,
    **params: Any,
) -> Replayed:
    """Ask one question of a model or tier and grade the answer; `params` stand in place of the question's own words.

    Where these change the messages, the answer type is that of the question: the instance tells that of what it got.
    """
    headers = {"authorization": f"Bearer {instance.key}"} if instance.key else {}
    body = {**instance.params, "model": model, "messages": question.messages, **params}
    ended = Replayed(question.id, model)
    began = asyncio.get_running_loop().time()
    try:
        async with session.post(f"{instance.url}/v1/chat/completions", json=body, headers=headers) as response:
            reply = msgspec.json.decode(await response.read(), type=_Reply)
    except (aiohttp.ClientError, TimeoutError) as error:
        ended.error = f"{type(error).__name__}: {error}"
        return ended
    except msgspec.DecodeError as error:
        ended.error = f"HTTP {response.status}, no answer of Tierwise: {error}"
        return ended
    match reply:
        case _Reply(error=_Refusal(message)):
            ended.error = message
        case _Reply(choices=[choice, *_], x_tierwise=_Outcome() as outcome):
            ended.answer, ended.answer_type = choice.message.content, answer_type or outcome.answer_type
            ended.finish_reason = "content_filter" if choice.message.refusal else choice.finish_reason
            ended.seconds = round(asyncio.get_running_loop().time() - began, 4)
            ended.final_tier, ended.calls, ended.cost_nanousd = outcome.final_tier, outcome.calls, outcome.cost_nanousd
            if question.answer is not None:
                given = Choice(content=ended.answer)
                ended.is_right = await is_right(question.answer, given, question, ended.answer_type, checkers)
        case _:
            ended.error = f"HTTP {response.status}, no answer of Tierwise"
    return ended


def _stands_in(expected: str, text: str) -> bool:
    words = re.escape(" ".join(expected.casefold().split()))
    return bool(words) and re.search(rf"(?<!\w){words}(?!\w)", " ".join(text.casefold().split())) is not None
