"""The table learns per models and answer type, leans on the curve over all, and says when sampling does not pay."""

from router.tiers.parallel.calibration import PRIOR, CalibrationTable, VoteEnding, agreement_key
from router.tiers.parallel.tier import ParallelOptions, ParallelTier
from router.tiers.single import SingleTier
from router.types import Tier
from tests.tiers.fakes import CHEAP, OTHER, REQUEST_ID, STRONG, FakeProvider, a_query, saying, some_calls

KEY = agreement_key(["b", "a"], "numeric")


def an_agreement(share: float = 1.0, *, kept: bool = True, models: str = "a+b") -> VoteEnding:
    return VoteEnding(models, "numeric", share, 4, was_kept=kept, was_escalated=not kept)


def test_without_labels_the_prior_speaks() -> None:
    assert CalibrationTable().probability(KEY, 1.0) == PRIOR[-1]


def test_labels_move_their_row_more_than_the_rest() -> None:
    table = CalibrationTable()
    for _ in range(50):
        table.learn(an_agreement(), 0.0)
    other = agreement_key(["c"], "numeric")
    assert table.probability(KEY, 1.0) < table.probability(other, 1.0) < PRIOR[-1]
    assert table.probability(KEY, 0.5) == PRIOR[1]


def test_a_table_survives_storage() -> None:
    table = CalibrationTable()
    table.saw(an_agreement())
    table.learn(an_agreement(), 1.0)
    again = CalibrationTable.from_json(table.as_json())
    assert again.rows() == table.rows()
    assert again.probability("x|y", 1.0) == table.probability("x|y", 1.0)


def test_sampling_is_given_up_within_fifty_labels_where_kept_answers_are_wrong() -> None:
    table = CalibrationTable()
    graded = 0
    while table.is_worth_sampling(KEY, 0.9, 30) and graded < 100:
        ended = an_agreement(kept=graded % 2 == 0)
        table.saw(ended)
        table.learn(ended, 0.6 if ended.was_kept else 0.95)
        graded += 1
    assert graded < 50


def test_sampling_goes_on_where_kept_answers_are_as_good_as_strong_ones() -> None:
    table = CalibrationTable()
    for n in range(200):
        ended = an_agreement(kept=n % 2 == 0)
        table.saw(ended)
        table.learn(ended, 0.0 if n % 20 < 2 else 1.0)
        assert table.is_worth_sampling(KEY, 0.9, 30)


def test_sampling_that_is_hardly_ever_kept_does_not_pay() -> None:
    table = CalibrationTable()
    for n in range(300):
        ended = an_agreement(kept=n % 20 == 0)
        table.saw(ended)
        table.learn(ended, 1.0)
    assert not table.is_worth_sampling(KEY, 0.9, 30)


async def test_feedback_reaches_the_table_and_a_distrusted_agreement_escalates() -> None:
    tier = ParallelTier(ParallelOptions((CHEAP,), escalation=SingleTier(Tier.REASONING, [STRONG])))
    for _ in range(30):
        await tier.answer(a_query(explicit=True), some_calls(FakeProvider(saying("Answer: 1"))))
        assert tier.learn(REQUEST_ID, 0.0)
    assert not tier.learn(REQUEST_ID, 0.0)
    answer = await tier.answer(a_query(explicit=True), some_calls(FakeProvider(saying("Answer: 1"))))
    assert answer.final_tier is Tier.REASONING
    assert answer.trace
    assert answer.trace["stop_reason"] == "distrusted"


async def test_auto_stops_sampling_what_does_not_pay_and_an_explicit_choice_is_honoured() -> None:
    tier = ParallelTier(ParallelOptions((CHEAP, OTHER), escalation=SingleTier(Tier.REASONING, [STRONG])))
    for _ in range(15):
        await tier.answer(a_query(explicit=True), some_calls(FakeProvider(saying("Answer: 1"))))
        tier.learn(REQUEST_ID, 0.0)
    asked, explicit = FakeProvider(saying("Answer: 1")), FakeProvider(saying("Answer: 1"))
    await tier.answer(a_query(), some_calls(asked))
    await tier.answer(a_query(explicit=True), some_calls(explicit))
    assert [r.target for r in asked.requests] == [STRONG]
    assert len(explicit.requests) == 4
