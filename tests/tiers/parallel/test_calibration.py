"""The table learns per models and answer type, leans on the curve over all, and says when sampling does not pay."""

import random

import numpy as np
import pytest

from router.ledger.agreements import GradedVote, VoteCounts, VoteEvidence
from router.ledger.entries import VoteEnding
from router.tiers.parallel.calibration import CalibrationTable, agreement_key, calibration_error
from router.tiers.parallel.tier import ParallelOptions, ParallelTier
from router.tiers.single import SingleTier
from router.types import Outcome, Tier
from tests.tiers.fakes import CHEAP, OTHER, STRONG, FakeBooks, FakeProvider, a_query, saying, some_calls
from tests.tiers.parallel.endings import an_ending, an_escalation

KEY = agreement_key(["b", "a"], "numeric")


def with_labels(ended: VoteEnding, *labels: float) -> CalibrationTable:
    return CalibrationTable(VoteEvidence(graded=[GradedVote(ended, label) for label in labels]))


def test_without_labels_a_larger_share_of_more_samples_is_likelier_right() -> None:
    table = CalibrationTable()
    chances = [
        table.leader(an_ending(*votes)).p for votes in ((1, 1), (2, 2), (4, 4), (3, 1), (6, 2), (2, 0), (4, 0), (8, 0))
    ]
    assert chances[-1] == max(chances)
    assert chances[2] < chances[4] < chances[6] < 0.95
    assert table.leader(an_ending(4, unreadable=4)).p < table.leader(an_ending(4)).p


def test_without_labels_a_model_that_is_rarely_right_is_believed_less() -> None:
    table = CalibrationTable()
    assert table.leader(an_ending(p_sampled=0.2)).p < table.leader(an_ending(p_sampled=0.8)).p


def test_labels_move_their_row_more_than_the_rest() -> None:
    before, table = CalibrationTable(), with_labels(an_ending(), *[0.0] * 50)
    own, other = an_ending(), an_ending(models="c")
    assert table.leader(own).p < 0.1
    assert table.leader(own).p < table.leader(other).p < before.leader(other).p


def test_labels_say_more_the_more_there_are() -> None:
    chances = [with_labels(an_ending(), *[0.0] * n).leader(an_ending()) for n in (0, 5, 20, 100)]
    assert [belief.p for belief in chances] == sorted((belief.p for belief in chances), reverse=True)
    assert [belief.error for belief in chances] == sorted((belief.error for belief in chances), reverse=True)


def test_a_hundred_labels_calibrate_what_is_said_of_the_same_traffic() -> None:
    """Of traffic on which agreement means little: full agreement is right half of the time."""
    rng = random.Random(7)
    true = {2: 0.3, 3: 0.4, 4: 0.5}

    def some_votes(count: int) -> list[GradedVote]:
        leaders = rng.choices((2, 3, 4), (3, 3, 4), k=count)
        return [GradedVote(an_ending(v, 4 - v), float(rng.random() < true[v])) for v in leaders]

    table = CalibrationTable(VoteEvidence(graded=some_votes(100)))
    later = some_votes(3_000)
    gap = [abs(table.leader(an_ending(v, 4 - v)).p - p) for v, p in true.items()]
    assert max(gap) < 0.15
    assert np.mean([table.leader(vote.ending).p - vote.correct for vote in later]) == pytest.approx(0, abs=0.06)


def test_a_strong_answer_that_agrees_with_the_leader_is_surer() -> None:
    table = CalibrationTable()
    agrees, alone, differs = (table.strong(an_escalation(agrees=said)).p for said in (True, None, False))
    assert differs < alone < agrees


def test_a_right_strong_answer_tells_of_the_leader_too() -> None:
    agreed = with_labels(an_escalation(agrees=True), *[1.0] * 30)
    outvoted = with_labels(an_escalation(agrees=False), *[1.0] * 30)
    assert outvoted.leader(an_ending(2, 2)).p < 0.2 < 0.8 < agreed.leader(an_ending(2, 2)).p


def test_few_labels_decide_nothing() -> None:
    assert with_labels(an_ending(), *[0.0] * 19).is_worth_keeping(an_ending(), 30) is None


@pytest.mark.parametrize(("label", "is_worth_keeping"), [(0.0, False), (1.0, True)])
def test_labels_tell_whether_a_leader_is_worth_a_strong_answer(label: float, is_worth_keeping: bool) -> None:
    table = with_labels(an_ending(p_strong=0.85), *[label] * 60)
    assert table.is_worth_keeping(an_ending(p_strong=0.85), 30) is is_worth_keeping


def test_evidence_of_the_books_is_what_was_seen_and_learnt() -> None:
    table = CalibrationTable()
    for _ in range(12):
        table.saw(an_ending())
        table.learn(an_ending(), 1.0)
    evidence = VoteEvidence([VoteCounts("a+b", "numeric", 12, 48, 12)], [GradedVote(an_ending(), 1.0)] * 12)
    again = CalibrationTable.from_evidence(evidence)
    assert again.shares() == table.shares()
    assert again.summaries() == table.summaries()
    assert again.leader(an_ending()) == table.leader(an_ending())
    assert [(line.labels, line.right.value) for line in again.shares()] == [(12, 1.0)]


def test_sampling_is_given_up_within_fifty_labels_where_kept_answers_are_wrong() -> None:
    table = CalibrationTable()
    graded = 0
    while table.is_worth_sampling(KEY, 0.9, 30) and graded < 100:
        ended = an_ending() if graded % 2 == 0 else an_escalation()
        table.saw(ended)
        table.learn(ended, 0.95 if ended.is_escalated else 0.6)
        graded += 1
    assert graded < 50


def test_sampling_goes_on_where_kept_answers_are_as_good_as_strong_ones() -> None:
    table = CalibrationTable()
    for n in range(200):
        ended = an_ending() if n % 2 == 0 else an_escalation()
        table.saw(ended)
        table.learn(ended, 0.0 if n % 20 < 2 else 1.0)
        assert table.is_worth_sampling(KEY, 0.9, 30)


def test_sampling_that_is_hardly_ever_kept_does_not_pay() -> None:
    table = CalibrationTable()
    for n in range(300):
        ended = an_ending() if n % 20 == 0 else an_escalation()
        table.saw(ended)
        table.learn(ended, 1.0)
    assert not table.is_worth_sampling(KEY, 0.9, 30)


def test_the_error_of_what_was_told_is_the_gap_between_said_and_right() -> None:
    assert calibration_error([]) is None
    assert calibration_error([(0.9, 1.0), (0.9, 0.0), (0.3, 0.0), (0.3, 1.0)]) == pytest.approx((0.8 + 0.4) / 4)


def test_a_judge_may_decide_once_labels_say_that_it_tells_right_from_wrong() -> None:
    table = CalibrationTable()
    for right, accepts in [(1.0, True)] * 9 + [(0.0, False)] * 9:
        table.learn(an_ending(judge="j/x", judge_accepts=accepts), right)
    assert not table.may_judge("j/x")
    for right, accepts in [(1.0, True)] * 9 + [(0.0, False)] * 9:
        table.learn(an_ending(judge="j/x", judge_accepts=accepts), right)
    assert table.may_judge("j/x")
    assert not table.may_judge("j/y")


def test_a_judge_that_chooses_at_random_never_may() -> None:
    table = CalibrationTable()
    for n in range(200):
        table.learn(an_ending(judge="j/x", judge_accepts=n % 2 == 0), float(n % 4 < 2))
    assert not table.may_judge("j/x")


async def booked_votes(tier: ParallelTier, books: FakeBooks, *said: str) -> list[VoteEnding]:
    """Ask once; returns how the vote ended, as the books have it."""
    calls = some_calls(FakeProvider(saying(*said)), books)
    answer = await tier.answer(a_query(explicit=True), calls)
    calls.close(answer.final_tier, Outcome.OK, answer.call_no)
    return [entry for entry in books.entries if isinstance(entry, VoteEnding)]


async def test_a_vote_is_booked_with_what_the_client_was_told() -> None:
    tier = ParallelTier(ParallelOptions((CHEAP, OTHER), escalation=SingleTier(Tier.REASONING, [STRONG])))
    [ended] = await booked_votes(tier, FakeBooks(), "Answer: 1")
    assert (ended.models, ended.leader, ended.voters, ended.samples) == ("scripted/cheap+scripted/other", 4, 4, 4)
    assert (ended.stop_reason, ended.is_escalated, ended.agrees) == ("accepted", False, None)
    assert ended.confidence == pytest.approx(tier.calibration.leader(ended).p, abs=1e-4)


@pytest.mark.parametrize(("strong", "agrees"), [("Answer: 1", True), ("Answer: 2", True), ("Answer: 9", False)])
async def test_an_escalated_vote_is_booked_with_whether_the_strong_answer_is_the_leaders(
    strong: str, agrees: bool
) -> None:
    tier = ParallelTier(ParallelOptions((CHEAP,), escalation=SingleTier(Tier.REASONING, [STRONG])))
    split = [f"Answer: {n}" for n in (1, 1, 2, 2)]
    [ended] = await booked_votes(tier, FakeBooks(), *split, strong)
    assert (ended.is_escalated, ended.agrees, ended.leader, ended.second) == (True, agrees, 2, 2)


async def test_an_agreement_that_labels_distrust_escalates() -> None:
    tier = ParallelTier(ParallelOptions((CHEAP,), escalation=SingleTier(Tier.REASONING, [STRONG])))
    [ended] = await booked_votes(tier, FakeBooks(), "Answer: 1")
    for _ in range(30):
        tier.calibration.learn(ended, 0.0)
    answer = await tier.answer(a_query(explicit=True), some_calls(FakeProvider(saying("Answer: 1"))))
    assert answer.final_tier is Tier.REASONING
    assert answer.trace
    assert answer.trace["stop_reason"] == "distrusted"


async def test_what_was_not_accepted_is_kept_where_labels_say_that_it_is_as_good() -> None:
    split = [f"Answer: {n}" for n in (1, 1, 1, 2, 1, 1, 2, 1)]
    tier = ParallelTier(ParallelOptions((CHEAP,), escalation=SingleTier(Tier.REASONING, [STRONG])))
    [before] = await booked_votes(tier, FakeBooks(), *split, "Answer: 1")
    assert (before.is_escalated, before.leader, before.second) == (True, 5, 2)
    for _ in range(60):
        tier.calibration.learn(before, 1.0)
    answer = await tier.answer(a_query(explicit=True), some_calls(FakeProvider(saying(*split))))
    assert answer.final_tier is Tier.PARALLEL
    assert answer.trace
    assert (answer.trace["stop_reason"], answer.trace["low_confidence"]) == ("trusted", False)


async def test_auto_stops_sampling_what_does_not_pay_and_an_explicit_choice_is_honoured() -> None:
    tier = ParallelTier(ParallelOptions((CHEAP, OTHER), escalation=SingleTier(Tier.REASONING, [STRONG])))
    [ended] = await booked_votes(tier, FakeBooks(), "Answer: 1")
    for _ in range(15):
        tier.calibration.saw(ended)
        tier.calibration.learn(ended, 0.0)
    asked, explicit = FakeProvider(saying("Answer: 1")), FakeProvider(saying("Answer: 1"))
    await tier.answer(a_query(), some_calls(asked))
    await tier.answer(a_query(explicit=True), some_calls(explicit))
    assert [r.target for r in asked.requests] == [STRONG]
    assert len(explicit.requests) == 4


async def test_what_a_check_proves_is_a_kind_of_its_own() -> None:
    """A proof with one vote says nothing of agreements with one vote."""
    tier = ParallelTier(ParallelOptions((CHEAP,)))
    calls = some_calls(FakeProvider(saying("Answer: 42")), books := FakeBooks())
    answer = await tier.answer(a_query("What is 17 + 25?"), calls)
    calls.close(answer.final_tier, Outcome.OK, answer.call_no)
    [ended] = [entry for entry in books.entries if isinstance(entry, VoteEnding)]
    assert (ended.answer_type, ended.leader, answer.confidence) == ("numeric, verified", 1, 0.99)
    for _ in range(30):
        tier.calibration.learn(ended, 0.0)
    assert tier.calibration.leader(ended).p < 0.2
