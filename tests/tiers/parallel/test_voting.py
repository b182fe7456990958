"""What votes: answers do, what does not answer never, and who refuses or asks back only where most samples do."""

from classifier.types import AnswerType
from router.tiers.parallel.fanout import Fate
from router.types import Tier
from tests.tiers.fakes import FakeProvider, a_query, saying, some_calls
from tests.tiers.parallel.test_tier import a_tier, answers

LOST = "I could not work this out."
REFUSAL = "I'm sorry, but I can't help with that."
DATE = "The meeting was on 04/30/2021. What is the date tomorrow in MM/DD/YYYY?"


async def test_what_does_not_answer_never_wins_however_often_it_is_said() -> None:
    provider = FakeProvider(saying(LOST, LOST, LOST, *answers(7, 7), LOST, LOST, LOST))
    answer = await a_tier().answer(a_query("How much is it?"), some_calls(provider))
    assert answer.choices[0].content == answers(7)[0]
    assert answer.trace
    assert Fate.NON_ANSWER in [s["fate"] for s in answer.trace["samples"]]
    assert [vote["answer"] for vote in answer.trace["votes"]] == ["7"]


async def test_with_n_choices_what_does_not_answer_comes_last() -> None:
    provider = FakeProvider(saying(LOST, *answers(7), LOST, *answers(8, 7, 7, 7, 7)))
    answer = await a_tier().answer(a_query("How much is it?", n=8), some_calls(provider))
    assert [c.content for c in answer.choices][-2:] == [LOST, LOST]


async def test_two_dates_a_day_apart_are_two_answers_whatever_the_type() -> None:
    for answer_type in (AnswerType.FACTUAL, AnswerType.NUMERIC, AnswerType.DATE):
        texts = ["It is 05/01/2021.", "It is 05/02/2021."] * 4
        answer = await a_tier().answer(a_query(DATE, answer_type), some_calls(FakeProvider(saying(*texts))))
        assert answer.trace
        assert answer.trace["stop_reason"] != "accepted"
        assert [vote["answer"] for vote in answer.trace["votes"]] == ["2021-05-01", "2021-05-02"]


async def test_most_refuse_so_the_answer_is_a_refusal() -> None:
    provider = FakeProvider(saying(REFUSAL, REFUSAL, REFUSAL, "Sure. Mix two parts of it.", REFUSAL))
    answer = await a_tier().answer(a_query("How is it made?", AnswerType.FACTUAL), some_calls(provider))
    assert answer.choices[0].content == REFUSAL
    assert answer.final_tier is Tier.PARALLEL


async def test_open_texts_that_differ_in_a_fact_do_not_agree() -> None:
    texts = ["The bridge was finished in 1937 after four years of work."] * 4
    others = ["The bridge was finished in 1933 after four years of work."] * 4
    mixed = [text for pair in zip(texts, others, strict=True) for text in pair]
    query = a_query("Tell me about the bridge.", AnswerType.FACTUAL)
    answer = await a_tier().answer(query, some_calls(FakeProvider(saying(*mixed))))
    assert answer.trace
    assert answer.trace["winner_share"] == 0.5
