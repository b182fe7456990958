"""Climbs a ladder: a set of questions in every way to answer that a running instance has, graded, cheapest first.

Every answer is kept as it comes, so that a run that was interrupted goes on where it was. The samples of a question
are single requests to the sampled model, put in the forms and with the seeds of the parallel tier.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from router.learning.question_sets import Instance, Question, Replayed, WrongQuestions, a_session, ask
from router.learning.rungs import SampledQuestion, rungs_of_samples, single_rung
from router.reports.ladder import Rung, RungKind
from router.tiers.parallel.prompts import ends_with_user, forms_for, put
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.keys import Asked, read_question
from router.tiers.vote.verifiers import default_verifiers
from router.types import Tier

SAMPLE = "sample"
EFFORT = "effort "


class OtherLadder(ValueError):
    """A directory holds the answers of another ladder; the message says what differs."""


@dataclass(frozen=True, slots=True)
class LadderPlan:
    """What is asked of each question, besides one fast answer and one of the parallel tier as it is configured.

    `sampled` is the model or tier that samples come from; `temperature` None leaves it as the parallel tier does.
    """

    samples: int = 64
    efforts: tuple[str, ...] = ("low", "medium", "high")
    sampled: str = str(Tier.FAST)
    temperature: float | None = None
    seed: int = 1


class Attempt(msgspec.Struct):
    """One answer of a run: of which rung, the number of the sample, and what came of it."""

    rung: str
    index: int
    ended: Replayed


def require_answers(questions: Sequence[Question]) -> None:
    """Refuse questions without an expected answer, or two of one id; raises WrongQuestions."""
    if not questions:
        raise WrongQuestions("there is no question in it")
    if bare := next((q for q in questions if q.answer is None), None):
        raise WrongQuestions(f"question {bare.id} has no answer: nothing can be graded without")
    ids = [str(question.id) for question in questions]
    if twice := next((id for id in ids if ids.count(id) > 1), None):
        raise WrongQuestions(f"two questions have the id {twice}")


class AttemptLog:
    """The answers of a run in a file of JSON lines, the first of which says which run it is.

    A line that was cut off when a run ended is dropped. Raises OtherLadder where the file is of another run.
    """

    def __init__(self, path: Path, questions: Sequence[Question], plan: LadderPlan, instance: Instance) -> None:
        self._path = path
        self._head = _head(questions, plan, instance)
        self.attempts: list[Attempt] = []
        if path.exists():
            self._read()
        else:
            path.write_bytes(msgspec.json.encode(self._head) + b"\n")

    def __enter__(self) -> "AttemptLog":
        """Open the file for more."""
        self._file = self._path.open("ab")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self._file.close()

    def add(self, attempt: Attempt) -> None:
        """Keep an answer."""
        self._file.write(msgspec.json.encode(attempt) + b"\n")
        self._file.flush()
        self.attempts.append(attempt)

    def _read(self) -> None:
        head, *lines = self._path.read_bytes().splitlines(keepends=True) or [b""]
        try:
            known = msgspec.json.decode(head, type=dict[str, Any])
        except msgspec.DecodeError:
            raise OtherLadder(f"{self._path} is no file of a ladder") from None
        if differing := [name for name, value in self._head.items() if known.get(name) != value]:
            names = ", ".join(differing)
            raise OtherLadder(f"{self._path} is of a run with other {names}: name another --out, or remove it")
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
            self._path.write_bytes(b"".join((head, *lines)))
        try:
            self.attempts = [msgspec.json.decode(line, type=Attempt) for line in lines]
        except msgspec.DecodeError as error:
            raise OtherLadder(f"{self._path} is damaged: {error}") from None


def _head(questions: Sequence[Question], plan: LadderPlan, instance: Instance) -> dict[str, Any]:
    """Say what makes answers those of one run; more samples and efforts may be added to them."""
    asked = hashlib.sha256(msgspec.json.encode(list(questions))).hexdigest()[:16]
    head = {"questions": asked, "sampled": plan.sampled, "temperature": plan.temperature, "seed": plan.seed}
    return {**head, "params": dict(instance.params)}


def requests_per_question(plan: LadderPlan) -> int:
    """Return how many requests a question takes."""
    return 2 + plan.samples + len(plan.efforts)


async def climb(
    instance: Instance, questions: Sequence[Question], plan: LadderPlan, at_once: int, known: Sequence[Attempt]
) -> AsyncIterator[Attempt]:
    """Ask what is not known yet, `at_once` requests at a time, yielding answers as they come.

    A question's fast answer comes first: it tells the answer type, and with it how samples are asked for.
    """
    climber = _Climber(instance, plan, at_once)
    answered = {(a.ended.id, a.rung, a.index): a for a in known if a.ended.error is None}
    tasks = [asyncio.create_task(climber.climb(place, q, answered)) for place, q in enumerate(questions)]
    ending = asyncio.create_task(climber.close_after(tasks))
    try:
        while (attempt := await climber.ended.get()) is not None:
            yield attempt
        await ending
    finally:
        for task in (*tasks, ending):
            task.cancel()
        await asyncio.gather(*tasks, ending, return_exceptions=True)
        await climber.close()


async def rungs_of(
    questions: Sequence[Question], attempts: Sequence[Attempt], plan: LadderPlan, *, runs_code: bool = False
) -> list[Rung]:
    """Sum the answers up, from one fast answer to the parallel tier; votes are those of that tier."""
    latest: dict[str, dict[tuple[str, int], Replayed]] = {}
    for attempt in attempts:
        latest.setdefault(attempt.rung, {})[str(attempt.ended.id), attempt.index] = attempt.ended
    fast = latest.get(str(Tier.FAST), {})
    samples = [one for (_, index), one in latest.get(SAMPLE, {}).items() if index < plan.samples]
    of_question: dict[str, list[tuple[int, Replayed]]] = {}
    for (id, index), one in latest.get(SAMPLE, {}).items():
        if index < plan.samples and one.error is None:
            of_question.setdefault(id, []).append((index, one))
    sampled = [
        SampledQuestion(asked, [one for _, one in sorted(of_question[id], key=lambda found: found[0])])
        for question in questions
        if (id := str(question.id)) in of_question and (asked := _read(question, fast.get((id, 0)))) is not None
    ]
    checkers = CheckerPool()
    try:
        verifiers = default_verifiers(checkers, runs_code=runs_code)
        errors = sum(one.error is not None for one in samples)
        voted = await rungs_of_samples(plan.sampled, sampled, plan.samples, checkers, verifiers, errors)
    finally:
        await checkers.close()

    def single(name: str, kind: RungKind, rung: str) -> Rung:
        return single_rung(name, kind, list(latest.get(rung, {}).values()))

    return [
        single("fast", RungKind.SINGLE, str(Tier.FAST)),
        *voted,
        *(single(f"reasoning {effort}", RungKind.EFFORT, f"{EFFORT}{effort}") for effort in plan.efforts),
        single("parallel", RungKind.TIER, str(Tier.PARALLEL)),
    ]


class _Climber:
    """Asks of one instance, so many requests at a time."""

    def __init__(self, instance: Instance, plan: LadderPlan, at_once: int) -> None:
        self.ended: asyncio.Queue[Attempt | None] = asyncio.Queue()
        self._instance = instance
        self._plan = plan
        self._places = asyncio.Semaphore(at_once)
        self._checkers = CheckerPool()
        self._session = a_session()

    async def close(self) -> None:
        """Close connections and checkers."""
        await self._session.close()
        await self._checkers.close()

    async def close_after(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Say that nothing more comes once all tasks have ended; raises what one of them raised."""
        try:
            await asyncio.gather(*tasks)
        finally:
            self.ended.put_nowait(None)

    async def climb(self, place: int, question: Question, known: Mapping[tuple[str | int, str, int], Attempt]) -> None:
        """Ask one question in every way that is not known."""

        async def once(rung: str, index: int, model: str, **params: Any) -> Replayed:
            if (found := known.get((question.id, rung, index))) is not None:
                return found.ended
            async with self._places:
                ended = await ask(self._session, self._instance, question, model, self._checkers, **params)
            self.ended.put_nowait(Attempt(rung, index, ended))
            return ended

        seed = _seed(self._plan.seed, place)
        first = await once(Tier.FAST, 0, Tier.FAST, seed=seed)
        deep = [once(f"{EFFORT}{e}", 0, Tier.REASONING, reasoning_effort=e, seed=seed) for e in self._plan.efforts]
        samples = [
            once(SAMPLE, i, self._plan.sampled, answer_type=first.answer_type, **params)
            for i, params in self._samples(seed, question, first)
        ]
        await asyncio.gather(*samples, *deep, once(Tier.PARALLEL, 0, Tier.PARALLEL, seed=seed))

    def _samples(self, seed: int, question: Question, first: Replayed) -> list[tuple[int, dict[str, Any]]]:
        """Return what each sample asks for: forms take turns, seeds differ, as in the parallel tier."""
        asked = _read(question, first)
        if asked is None:
            return []
        forms = forms_for(asked, has_tools=False, ends_with_user=ends_with_user(question.messages))
        more = {} if self._plan.temperature is None else {"temperature": self._plan.temperature}
        return [
            (i, {"messages": put(question.messages, forms[i % len(forms)]), "seed": (seed + 1 + i) % 2**31, **more})
            for i in range(self._plan.samples)
        ]


def _seed(seed: int, place: int) -> int:
    """Return the first seed of a question: far from those of other questions and runs."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {place}".encode(), digest_size=4).digest(), "big") % 2**31


def _read(question: Question, first: Replayed | None) -> Asked | None:
    """Read the question as the vote does; None where no fast answer has told its type."""
    if first is None or first.answer_type is None:
        return None
    return read_question(first.answer_type, question.messages, {})
