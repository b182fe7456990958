"""The vote of one request: each sample is read once, checked, and counted.

Short answers vote by their key. Factual text without keys votes by semantic cluster; open text has no vote, its medoid
is the answer. Neither of the latter two is ever more than low confidence.
"""

from collections.abc import Callable, Sequence

from classifier.types import AnswerType
from router.providers.base import Choice
from router.tiers.parallel.fanout import Fate, Sample
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.clusters import Cluster, VoteTally, in_order, token_confidence
from router.tiers.vote.keys import Asked, VoteKey, vote_key
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
        self.readable: list[Sample] = []
        self._checkers = checkers
        self._verifiers = [v for v in verifiers if v.applies(question)]
        self._tests = tests
        self._vectors: list[Vector] = []
        self._groups: list[list[int]] = []

    @property
    def is_keyed(self) -> bool:
        """Tell whether votes are counted by key: always, unless most of what could be read has none."""
        if self.question.answer_type not in (AnswerType.FACTUAL, AnswerType.OPEN):
            return True
        return 2 * self.tally.valid >= len(self.readable) and self.tally.valid > 0

    @property
    def is_open(self) -> bool:
        """Tell whether agreement means nothing here: open text without keys."""
        return self.question.answer_type is AnswerType.OPEN and not self.is_keyed

    @property
    def top(self) -> tuple[int, int]:
        """The two largest counts."""
        if self.is_keyed:
            return self.tally.top
        groups = self._semantic()
        return len(groups[0]) if groups else 0, len(groups[1]) if len(groups) > 1 else 0

    @property
    def voters(self) -> int:
        """How many samples have voted."""
        return self.tally.valid if self.is_keyed else len(self.readable)

    @property
    def top_answers(self) -> list[str]:
        """The two most frequent short answers."""
        return [c.key.value for c in self.tally.ranked[:2] if c.key.kind not in ("code", "tests")]

    async def count(self, sample: Sample) -> None:
        """Read a sample that ended and count its vote, if it has one."""
        choice = sample.choice
        if choice is None:
            return
        for verifier in self._verifiers:
            ruling = await verifier.rule(choice, self.question)
            if ruling is Ruling.WRONG:
                sample.fate = Fate.REJECTED
                return
            if ruling is Ruling.RIGHT and self.verified is None:
                self.verified = sample
        if choice.content or choice.tool_calls:
            self.readable.append(sample)
        sample.fate = Fate.INVALID
        bits = self._tests(self.question, choice) if self._tests else None
        if bits:
            sample.key = VoteKey("tests", bits)
        elif self._tests is None:
            sample.key = vote_key(choice, self.question)
        if sample.key is not None:
            sample.fate = Fate.VOTED
            weight = token_confidence(choice.logprobs)
            self.tally.add(
                sample.index,
                sample.key,
                1.0 if weight is None else weight,
                bits.count("1") if bits else None,
                await self._equal_cluster(sample.key),
            )

    def ranking(self, samples: Sequence[Sample]) -> list[Sample]:
        """Return the samples that may answer, best first; rejected ones only where there is nothing else."""
        if self.verified is not None:
            return [self.verified, *(s for s in self.readable if s is not self.verified)]
        if self.is_keyed and self.tally.clusters:
            return [samples[i] for i in in_order(self.tally, [s.index for s in self.readable])]
        if groups := self._semantic():
            best = medoid(self._vectors, groups[0])
            return [self.readable[best], *(s for n, s in enumerate(self.readable) if n != best)]
        return [s for s in samples if s.choice is not None]

    async def _equal_cluster(self, key: VoteKey) -> Cluster | None:
        """Find the cluster that computer algebra holds equal to a key that spelling finds no place for."""
        if self.tally.find(key) is not None or key.kind not in ("maths", "number"):
            return None
        for cluster in self.tally.ranked:
            other = cluster.key
            comparable = other.kind in ("maths", "number") and (key.is_maths or other.is_maths)
            if comparable and await self._checkers.same_maths(key.bare or key.value, other.bare or other.value):
                return cluster
        return None

    def _semantic(self) -> list[list[int]]:
        if len(self._vectors) < len(self.readable):
            for sample in self.readable[len(self._vectors) :]:
                assert sample.choice is not None
                self._vectors.append(embed(sample.choice.content or ""))
            self._groups = clusters(self._vectors)
        return self._groups
