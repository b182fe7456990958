"""The vote of one request: each sample is read once, checked, and counted.

Short answers vote by their key. What does not answer never votes; refusals and questions back are counted together, and
win only where they are more than half of all samples. Factual text without keys votes by semantic cluster; open text
has no vote, its medoid is the answer. Neither of the latter two is ever more than low confidence.
"""

from collections.abc import Callable, Sequence

from classifier.types import AnswerType
from router.providers.base import Choice
from router.tiers.parallel.fanout import Fate, Sample
from router.tiers.vote.checkers import CheckBudget, CheckerPool
from router.tiers.vote.clusters import Cluster, VoteTally, in_order, token_confidence
from router.tiers.vote.facts import Facts, read_facts
from router.tiers.vote.keys import Asked, SampleReading, VoteKey, read_sample
from router.tiers.vote.readings import Readings, Said
from router.tiers.vote.similarity import Vector, clusters, embed, medoid
from router.tiers.vote.verifiers import Ruling, Verifier

TestVector = Callable[[Asked, Choice], str | None]


class Vote:
    """Counts samples as they arrive. `tests` returns a recorded test vector ("1101") of a program, if there is one."""

    def __init__(
        self,
        question: Asked,
        checkers: CheckerPool,
        verifiers: Sequence[Verifier],
        tests: TestVector | None = None,
    ) -> None:
        self.question = question
        self.tally = VoteTally()
        self.verified: Sample | None = None
        self.readable: list[Sample] = []  # what came with text or calls, whatever it says
        self.answering: list[Sample] = []  # of these, what answers
        self.asides: list[Sample] = []  # of these, refusals and questions back
        self.readings = Readings()
        self._checkers = checkers
        self._budget = CheckBudget()
        self._verifiers = [v for v in verifiers if v.applies(question)]
        self._tests = tests
        self._vectors: list[Vector] = []
        self._facts: list[Facts] = []
        self._groups: list[list[int]] = []

    @property
    def is_keyed(self) -> bool:
        """Tell whether votes are counted by key: always, unless most of what could be read has none."""
        if self.question.answer_type not in (AnswerType.FACTUAL, AnswerType.OPEN):
            return True
        return 2 * self.tally.valid >= len(self.answering) and self.tally.valid > 0

    @property
    def is_open(self) -> bool:
        """Tell whether agreement means nothing here: open text without keys."""
        return self.question.answer_type is AnswerType.OPEN and not self.is_keyed

    @property
    def top(self) -> tuple[int, int]:
        """The counts of the leader and of the strongest other; refusals and questions back are one other."""
        if self.is_keyed:
            v1, v2 = self.tally.top
        else:
            groups = self._semantic()
            v1, v2 = len(groups[0]) if groups else 0, len(groups[1]) if len(groups) > 1 else 0
        if self.readings.are_mostly_asides:
            return len(self.asides), v1
        return v1, max(v2, len(self.asides))

    @property
    def voters(self) -> int:
        """How many samples have voted, refusals and questions back among them."""
        return (self.tally.valid if self.is_keyed else len(self.answering)) + len(self.asides)

    @property
    def top_answers(self) -> list[str]:
        """The two most frequent short answers."""
        return [c.key.value for c in self.tally.ranked[:2] if c.key.kind not in ("code", "tests")]

    async def count(self, sample: Sample) -> None:
        """Read a sample that ended and count its vote, if it has one."""
        choice = sample.choice
        if choice is None:
            return
        reading = self._read(choice)
        if reading.said in (Said.ANSWER, Said.UNREADABLE) and await self._is_rejected(sample, choice):
            sample.fate = Fate.REJECTED
            self.readings.note(Said.REJECTED)
            return
        self.readings.note(reading.said)
        if choice.content or choice.tool_calls:
            self.readable.append(sample)
        sample.fate = _FATES[reading.said]
        if reading.said.is_aside:
            self.asides.append(sample)
        elif reading.said is not Said.NON_ANSWER:
            self.answering.append(sample)
        if reading.key is not None:
            await self._add(sample, choice, reading.key)

    def ranking(self, samples: Sequence[Sample]) -> list[Sample]:
        """Return the samples that may answer, best first; what does not answer comes last, rejected ones not at all.

        Only where nothing else came are rejected ones returned.
        """
        if self.verified is not None:
            best = [self.verified]
        elif self.readings.are_mostly_asides:
            best = [*self.asides]
        elif self.is_keyed and self.tally.clusters:
            best = [samples[i] for i in in_order(self.tally)]
        elif groups := self._semantic():
            best = [self.answering[medoid(self._vectors, groups[0])]]
        else:
            best = []
        ranked = dict.fromkeys((*best, *self.answering, *self.asides, *self.readable))
        return list(ranked) or [s for s in samples if s.choice is not None]

    def _read(self, choice: Choice) -> SampleReading:
        if self._tests is not None:
            bits = self._tests(self.question, choice)
            if bits or read_sample(choice, self.question).said in (Said.ANSWER, Said.UNREADABLE):
                return SampleReading(Said.ANSWER, VoteKey("tests", bits)) if bits else SampleReading(Said.UNREADABLE)
        return read_sample(choice, self.question)

    async def _is_rejected(self, sample: Sample, choice: Choice) -> bool:
        """Have the verifiers rule on an answer; the first that is proved right is the verified one."""
        for verifier in self._verifiers:
            ruling = await verifier.rule(choice, self.question)
            if ruling is Ruling.WRONG:
                return True
            if ruling is Ruling.RIGHT and self.verified is None:
                self.verified = sample
        return False

    async def _add(self, sample: Sample, choice: Choice, key: VoteKey) -> None:
        sample.key = key
        weight = token_confidence(choice.logprobs)
        self.tally.add(
            sample.index,
            key,
            1.0 if weight is None else weight,
            key.value.count("1") if key.kind == "tests" else None,
            await self._equal_cluster(key),
        )

    async def _equal_cluster(self, key: VoteKey) -> Cluster | None:
        """Find the cluster that computer algebra holds equal to a key that spelling finds no place for."""
        if self.tally.find(key) is not None or key.kind not in ("maths", "number"):
            return None
        if key.is_maths:
            self._checkers.warm()
        for cluster in self.tally.ranked:
            other = cluster.key
            comparable = other.kind in ("maths", "number") and (key.is_maths or other.is_maths)
            if comparable and await self._checkers.same_maths(
                key.bare or key.value, other.bare or other.value, self._budget
            ):
                return cluster
        return None

    def _semantic(self) -> list[list[int]]:
        if len(self._vectors) < len(self.answering):
            for sample in self.answering[len(self._vectors) :]:
                assert sample.choice is not None
                self._vectors.append(embed(sample.choice.content or ""))
                self._facts.append(read_facts(sample.choice.content or ""))
            self._groups = clusters(self._vectors, facts=self._facts)
        return self._groups


async def elect(vote: Vote, answers: Sequence[Choice]) -> int | None:
    """Count answers that came some other time, and return the place of the one that is selected; None without any."""
    samples = [Sample.of_choice(place, answer) for place, answer in enumerate(answers)]
    for sample in samples:
        await vote.count(sample)
    ranking = vote.ranking(samples)
    return ranking[0].index if ranking else None


_FATES = {
    Said.ANSWER: Fate.VOTED,
    Said.UNREADABLE: Fate.INVALID,
    Said.NON_ANSWER: Fate.NON_ANSWER,
    Said.REFUSAL: Fate.REFUSAL,
    Said.QUESTION_BACK: Fate.QUESTION_BACK,
    Said.REJECTED: Fate.REJECTED,
}
