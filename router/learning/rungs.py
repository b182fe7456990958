"""From graded answers to the rungs of a ladder: shares, pass@k, what the vote selects, cost. No calls, no clock.

A question is drawn as often as the largest rung needs, and smaller rungs are read from blocks of the same samples:
pass@k by the unbiased estimator over all of them, selection as the mean over blocks that share no sample.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from router.learning.question_sets import Replayed
from router.providers.base import Choice
from router.reports.coverage import RatedVote
from router.reports.ladder import Rung, RungKind
from router.reports.tradeoff import Estimated
from router.tiers.parallel.coverage import pass_at
from router.tiers.parallel.voting import Vote, elect
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.keys import Asked
from router.tiers.vote.rates import wilson
from router.tiers.vote.verifiers import Verifier
from router.types import Tier

DRAWS = 2_000


@dataclass(frozen=True, slots=True)
class SampledQuestion:
    """The samples of one question, in the order in which they were sent, all of them answers and graded."""

    asked: Asked
    samples: Sequence[Replayed]


def sizes(most: int) -> tuple[int, ...]:
    """Return the rungs of samples: 2, 4, 8 and so on, as far as there are samples."""
    return tuple(2**power for power in range(1, max(most, 1).bit_length()))


def blocks(count: int, size: int) -> Iterator[range]:
    """Cut so many samples into blocks that share none; what is left over is in no block."""
    return (range(start, start + size) for start in range(0, count - size + 1, size))


def share(marks: Sequence[float]) -> Estimated | None:
    """Return the mean of what is right of each question, with Wilson's interval over questions; None without any.

    A mark between 0 and 1 is a mean over blocks: then the interval is wider than it had to be.
    """
    if not marks:
        return None
    found = wilson(sum(marks), len(marks))
    return Estimated(found.value, found.low, found.high)


def mean_cost(costs: Sequence[float]) -> Estimated | None:
    """Return the mean cost with its 95 % interval, bootstrapped over questions; no interval of one."""
    if not costs:
        return None
    each = np.asarray(costs, np.float64)
    if len(each) < 2:
        return Estimated(float(each[0]), None, None)
    drawn = np.random.default_rng(0).integers(0, len(each), (DRAWS, len(each)))
    low, high = np.quantile(each[drawn].mean(axis=1), [0.025, 0.975]).tolist()
    return Estimated(float(each.mean()), low, high)


def single_rung(name: str, kind: RungKind, ended: Sequence[Replayed]) -> Rung:
    """Sum up one answer per question."""
    graded = [one for one in ended if one.is_right is not None]
    answered = [one for one in ended if one.error is None]
    priced = [one.cost_nanousd for one in answered if one.cost_nanousd is not None]
    waited = [one.seconds for one in answered if one.seconds is not None]
    escalated = sum(one.final_tier != Tier.PARALLEL for one in answered) if kind is RungKind.TIER else 0
    return Rung(
        name=name,
        kind=kind,
        samples=round(sum(one.calls for one in answered) / len(answered)) if answered else 1,
        questions=len(graded),
        errors=len(ended) - len(answered),
        unpriced=len(answered) - len(priced),
        accuracy=share([float(bool(one.is_right)) for one in graded]),
        cost_nanousd=mean_cost(priced),
        seconds=_mean(waited),
        escalated=escalated / len(answered) if kind is RungKind.TIER and answered else None,
    )


async def rungs_of_samples(
    name: str,
    questions: Sequence[SampledQuestion],
    most: int,
    checkers: CheckerPool,
    verifiers: Sequence[Verifier],
    errors: int = 0,
) -> list[Rung]:
    """Sum up samples: a rung for each number of them; a question with fewer is not in it."""
    return [
        await _rung_of_samples(
            f"{name} x {k}", [q for q in questions if len(q.samples) >= k], k, checkers, verifiers, errors
        )
        for k in sizes(most)
    ]


def rungs_of_traffic(votes: Sequence[RatedVote]) -> list[Rung]:
    """Sum up the queries of one's own traffic that were sampled to the end and rated, from one sample on.

    Which answer would have been right is not known where the selected one was wrong: such a query counts as not
    covered, and all shares but that of the tier's own answer are lower bounds.
    """
    if not votes:
        return []
    sampled = [_rung_of_votes(k, [vote for vote in votes if vote.samples >= k]) for k in (1, *sizes(_most(votes)))]
    paid = [vote.paid_nanousd for vote in votes if vote.paid_nanousd is not None]
    answered = Rung(
        name="parallel",
        kind=RungKind.TIER,
        samples=round(sum(vote.used for vote in votes) / len(votes)),
        questions=len(votes),
        unpriced=len(votes) - len(paid),
        accuracy=share([float(vote.is_right) for vote in votes]),
        cost_nanousd=mean_cost(paid),
    )
    return [*sampled, answered]


def _most(votes: Sequence[RatedVote]) -> int:
    return max(vote.samples for vote in votes)


def _rung_of_votes(k: int, votes: Sequence[RatedVote]) -> Rung:
    right = [vote.selected if vote.is_right else 0 for vote in votes]
    covered = [pass_at(k, count, vote.samples) for count, vote in zip(right, votes, strict=True)]
    costs = [k * vote.sample_nanousd for vote in votes if vote.sample_nanousd is not None]
    return Rung(
        name="1 sample" if k == 1 else f"{k} samples",
        kind=RungKind.SINGLE if k == 1 else RungKind.SAMPLES,
        samples=k,
        questions=len(votes),
        unpriced=len(votes) - len(costs),
        accuracy=share(covered) if k == 1 else None,
        covered=share(covered),
        cost_nanousd=mean_cost(costs),
    )


async def share_selected(
    question: SampledQuestion, k: int, checkers: CheckerPool, verifiers: Sequence[Verifier]
) -> float:
    """Return how often the tier's vote over k samples selects a right answer, over blocks of the samples."""
    marks = []
    for block in blocks(len(question.samples), k):
        chosen = [question.samples[place] for place in block]
        vote = Vote(question.asked, checkers, verifiers)
        place = await elect(vote, [Choice(content=one.answer, finish_reason=one.finish_reason) for one in chosen])
        marks.append(place is not None and bool(chosen[place].is_right))
    return sum(marks) / len(marks)


async def _rung_of_samples(
    name: str,
    questions: Sequence[SampledQuestion],
    k: int,
    checkers: CheckerPool,
    verifiers: Sequence[Verifier],
    errors: int,
) -> Rung:
    chosen, covered, costs, waited = [], [], [], []
    for question in questions:
        samples = question.samples
        chosen.append(await share_selected(question, k, checkers, verifiers))
        covered.append(pass_at(k, sum(bool(one.is_right) for one in samples), len(samples)))
        priced = [one.cost_nanousd for one in samples if one.cost_nanousd is not None]
        if len(priced) == len(samples):
            costs.append(k * sum(priced) / len(priced))
        seconds = [one.seconds or 0.0 for one in samples]
        waited += [max(seconds[place] for place in block) for block in blocks(len(samples), k)]
    return Rung(
        name=name,
        kind=RungKind.SAMPLES,
        samples=k,
        questions=len(questions),
        errors=errors,
        unpriced=len(questions) - len(costs),
        accuracy=share(chosen),
        covered=share(covered),
        cost_nanousd=mean_cost(costs),
        seconds=_mean(waited),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
