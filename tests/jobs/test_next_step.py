"""What a job does next: laws that hold of every job, and what is done for each kind of question."""

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.types import AnswerType
from router.jobs.next_step import knock_out, next_step
from router.jobs.recipes import RecipeName
from router.jobs.steps import CallBound, JobBounds, JobDone, JobStage, JobStep, JobVerdict, most_of
from router.jobs.trail import (
    AnswerCame,
    AnswerWanted,
    CallFailed,
    CallLost,
    FaultSought,
    InstructionsCame,
    JobEvent,
    TimePassed,
    VerdictCame,
    read_events,
)
from router.tiers.vote.keys import VoteKey
from router.tiers.vote.readings import Said
from tests.jobs.rehearsal import Rehearsal, a_recipe, random_bounds, random_recipe, some_bounds

RANDOMS = st.integers(0, 2**32).map(Random)


def a_random_job(random: Random, hurry: float = 0.0, talk: float = 0.0) -> Rehearsal:
    return Rehearsal(random_recipe(random), random_bounds(random), random, hurry, talk)


@settings(max_examples=40, deadline=None)
@given(RANDOMS)
def test_no_step_costs_or_lasts_more_than_what_is_left(random: Random) -> None:
    job = a_random_job(random, talk=0.02)
    job.play()
    for seen, step in job.steps:
        spent = sum(getattr(event, "cost_nanousd", 0) or 0 for event in job.events[:seen])
        now_s = max((event.at_s for event in job.events[:seen]), default=0.0)
        assert step.actions
        assert step.most_nanousd == job.bounds.cost(step.actions)
        assert job.bounds.largest_nanousd is None or spent + step.most_nanousd <= job.bounds.largest_nanousd
        assert 0 <= step.most_s <= job.bounds.limit_s - now_s


@settings(max_examples=40, deadline=None)
@given(RANDOMS)
def test_every_job_ends_with_an_answer_that_came(random: Random) -> None:
    job = a_random_job(random, talk=0.02, hurry=0.01)
    done = job.play()
    answers = {event.action for event in job.events if isinstance(event, AnswerCame)}
    assert (
        done.answer in answers if done.answer is not None else done.verdict in ("failed", "out_of_money", "out_of_time")
    )
    assert done.answer not in done.others
    assert set(done.others) <= answers


@settings(max_examples=40, deadline=None)
@given(RANDOMS)
def test_a_job_goes_on_from_any_event_as_it_went(random: Random) -> None:
    job = a_random_job(random, talk=0.02, hurry=0.01)
    done = job.play()
    stored = msgspec.json.encode(job.events)
    bounds = msgspec.json.decode(msgspec.json.encode(job.bounds), type=JobBounds)
    for seen, step in random.sample(job.steps, min(5, len(job.steps))):
        assert next_step(job.recipe, read_events(stored)[:seen], bounds) == step
    assert next_step(job.recipe, read_events(stored), bounds) == done


@settings(max_examples=40, deadline=None)
@given(RANDOMS)
def test_who_wants_the_answer_now_gets_the_leader_at_once(random: Random) -> None:
    job = a_random_job(random)
    job.play()
    seen, _ = random.choice(job.steps) if job.steps else (0, None)
    has_answer = any(isinstance(e, AnswerCame) and e.said not in ("rejected", "non_answer") for e in job.events[:seen])
    now = next_step(job.recipe, [*job.events[:seen], AnswerWanted(0.0)], job.bounds)
    if has_answer:
        assert isinstance(now, JobDone)
        assert (now.verdict, now.answer is None) == (JobVerdict.ANSWERED_NOW, False)


@settings(max_examples=40, deadline=None)
@given(RANDOMS)
def test_what_is_under_way_stays_wanted_until_the_job_turns_elsewhere(random: Random) -> None:
    job = a_random_job(random)
    job.play()
    for (_, before), (seen, after) in zip(job.steps, job.steps[1:], strict=False):
        same_wave = before.stage is after.stage and {a.name for a in before.actions} & {a.name for a in after.actions}
        if same_wave and not isinstance(job.events[seen - 1], TimePassed | CallLost):
            ended = {getattr(event, "action", None) for event in job.events[:seen]}
            assert {a.name for a in before.actions} - ended <= {a.name for a in after.actions}


@pytest.mark.slow
def test_no_bill_of_a_thousand_jobs_is_above_its_maximum() -> None:
    for seed in range(1_000):
        job = a_random_job(Random(seed), hurry=0.01, talk=0.02)
        job.failing = 0.3
        job.play()
        bill = sum(getattr(event, "cost_nanousd", 0) or 0 for event in job.events)
        assert job.bounds.largest_nanousd is None or bill <= job.bounds.largest_nanousd


def samples(votes: str, cost: int = 1) -> list[JobEvent]:
    """One sample for each letter; "-" failed, "?" could not be read."""
    events: list[JobEvent] = []
    for index, vote in enumerate(votes):
        key = VoteKey("entity", vote, vote) if vote != "?" else None
        said = Said.ANSWER if key else Said.UNREADABLE
        came = AnswerCame(f"s{index}", float(index), cost, said, key)
        events.append(CallFailed(f"s{index}", float(index), cost) if vote == "-" else came)
    return events


def names(step: JobStep | JobDone) -> list[str]:
    assert isinstance(step, JobStep), step
    return [action.name for action in step.actions]


def test_a_job_begins_with_a_small_wave_over_all_its_models() -> None:
    step = next_step(a_recipe(), [], some_bounds())
    assert names(step) == ["s0", "s1", "s2", "s3"]
    assert isinstance(step, JobStep)
    assert {action.model for action in step.actions} == {"model/a", "model/b"}


def test_agreement_ends_sampling_and_the_job() -> None:
    vote = a_recipe(name=RecipeName.VOTE)
    assert next_step(vote, samples("aaaa"), some_bounds()) == JobDone(JobVerdict.ACCEPTED, "s0", ("s1", "s2", "s3"))


def test_a_deep_job_samples_on_where_a_vote_would_be_accepted() -> None:
    assert names(next_step(a_recipe(), samples("aaaa"), some_bounds())) == ["s4", "s5", "s6", "s7"]


def test_a_thousand_samples_are_taken_in_growing_waves() -> None:
    recipe, events, sizes = a_recipe(AnswerType.OPEN, samples=1_024), list[JobEvent](), list[int]()
    while isinstance(step := next_step(recipe, events, some_bounds()), JobStep) and step.stage is JobStage.SAMPLE:
        sizes.append(len(step.actions))
        events += [AnswerCame(a.name, 0.0, 1, Said.UNREADABLE) for a in step.actions]
    assert sizes[:8] == [4, 4, 8, 8, 16, 32, 64, 128]
    assert sum(sizes) == 1_024


def test_an_open_vote_has_its_candidates_checked_and_the_sound_one_answers() -> None:
    events = samples("abababab")
    assert names(next_step(a_recipe(), events, some_bounds())) == ["v:s0", "v:s1"]
    events += [FaultSought("v:s0", 9.0, 1, True), FaultSought("v:s1", 9.0, 1, False)]
    done = next_step(a_recipe(), events, some_bounds())
    assert isinstance(done, JobDone)
    assert (done.verdict, done.answer) == (JobVerdict.VERIFIED, "s1")


def test_a_fault_is_shown_to_who_writes_the_answer_anew_and_agreement_with_a_sound_one_ends_it() -> None:
    events = samples("abcabcab")
    events += [
        FaultSought("v:s0", 9.0, 1, True),
        FaultSought("v:s1", 9.0, 1, False),
        FaultSought("v:s2", 9.0, 1, False),
    ]
    assert names(next_step(a_recipe(), events, some_bounds())) == ["r:s0"]
    two_sound = [*events, AnswerCame("r:s0", 10.0, 1, Said.ANSWER, VoteKey("entity", "b", "b"))]
    assert names(next_step(a_recipe(), two_sound, some_bounds())) == ["f0"]


def test_a_revision_that_agrees_with_the_only_other_answer_ends_it() -> None:
    events = [*samples("abababab"), FaultSought("v:s0", 9.0, 1, True), FaultSought("v:s1", 9.0, 1, True)]
    assert names(next_step(a_recipe(), events, some_bounds())) == ["r:s0", "r:s1"]
    events += [AnswerCame(f"r:s{i}", 10.0, 1, Said.ANSWER, VoteKey("entity", "b", "b")) for i in (0, 1)]
    done = next_step(a_recipe(), events, some_bounds())
    assert isinstance(done, JobDone)
    assert (done.verdict, done.answer) == (JobVerdict.REVISED, "r:s0")


def test_several_tries_become_one_answer_where_nothing_else_decided() -> None:
    events = samples("abababab")
    events += [FaultSought("v:s0", 9.0, 1, None), FaultSought("v:s1", 9.0, 1, None)]
    step = next_step(a_recipe(), events, some_bounds())
    assert isinstance(step, JobStep)
    assert (step.stage, step.actions[0].of) == (JobStage.SYNTHESISE, ("s0", "s1"))
    events.append(AnswerCame("f0", 20.0, 1, Said.UNREADABLE))
    done = next_step(a_recipe(), events, some_bounds())
    assert isinstance(done, JobDone)
    assert (done.verdict, done.answer) == (JobVerdict.SYNTHESISED, "f0")


def test_open_texts_are_compared_in_rounds_and_the_best_are_written_into_one() -> None:
    recipe, bounds = a_recipe(AnswerType.OPEN), some_bounds()
    events = samples("????????")
    assert names(next_step(recipe, events, bounds)) == ["j:s0:s1", "j:s2:s3", "j:s4:s5", "j:s6:s7"]
    events += [VerdictCame(f"j:s{i}:s{i + 1}", 9.0, 1, 1) for i in (0, 2, 4, 6)]
    events += [VerdictCame("j:s1:s3", 9.0, 1, 0), VerdictCame("j:s5:s7", 9.0, 1, 0), VerdictCame("j:s1:s5", 9.0, 1, 1)]
    events += [FaultSought("v:s5", 9.0, 1, False)]
    step = next_step(recipe, events, bounds)
    assert isinstance(step, JobStep)
    assert step.actions[0].of[:2] == ("s5", "s1")
    events.append(AnswerCame("f0", 20.0, 1, Said.UNREADABLE))
    assert names(next_step(recipe, events, bounds)) == ["j:f0:s5"]
    preferred = next_step(recipe, [*events, VerdictCame("j:f0:s5", 21.0, 1, 1)], bounds)
    assert isinstance(preferred, JobDone)
    assert (preferred.verdict, preferred.answer) == (JobVerdict.JUDGED, "s5")


def test_a_program_that_fails_its_tests_is_written_anew() -> None:
    recipe = a_recipe(AnswerType.CODE, name=RecipeName.DEEP, samples=4)
    events: list[JobEvent] = [AnswerCame(f"s{i}", 1.0, 1, Said.REJECTED) for i in range(4)]
    assert names(next_step(recipe, events, some_bounds())) == ["r:s0", "r:s1"]


def test_most_samples_that_ask_back_are_the_answer() -> None:
    events: list[JobEvent] = [AnswerCame(f"s{i}", 1.0, 1, Said.QUESTION_BACK) for i in range(4)]
    done = next_step(a_recipe(), events, some_bounds())
    assert isinstance(done, JobDone)
    assert (done.verdict, done.answer) == (JobVerdict.ASIDE, "s0")


def test_new_instructions_begin_another_round_that_votes_anew() -> None:
    recipe = a_recipe(name=RecipeName.VOTE)
    events = [*samples("aab"), InstructionsCame(3.0)]
    assert names(next_step(recipe, events, some_bounds())) == ["s4", "s5", "s6", "s7"]
    events += [AnswerCame(f"s{i}", 4.0, 1, Said.ANSWER, VoteKey("entity", "b", "b")) for i in (3, 4, 5, 6)]
    assert names(next_step(recipe, events, some_bounds())) == ["s7"]  # s3 was asked before them, and votes no more
    events.append(AnswerCame("s7", 5.0, 1, Said.ANSWER, VoteKey("entity", "b", "b")))
    assert next_step(recipe, events, some_bounds()) == JobDone(JobVerdict.ACCEPTED, "s4", ("s5", "s6", "s7"))


def test_what_was_lost_with_the_process_is_taken_anew_and_paid_for() -> None:
    events = [*samples("aa"), CallLost("s2", 2.0, 100), TimePassed(50.0)]
    assert names(next_step(a_recipe(name=RecipeName.VOTE), events, some_bounds())) == ["s2", "s3"]
    step = next_step(a_recipe(name=RecipeName.VOTE), events, some_bounds(largest=400, call=100))
    assert names(step) == ["s2"]  # 202 of 400 are spent, and 100 are kept for a synthesis


def test_without_an_answer_yet_one_is_waited_for() -> None:
    step = next_step(a_recipe(), [AnswerWanted(0.1)], some_bounds())
    assert names(step) == ["s0", "s1", "s2", "s3"]
    done = next_step(a_recipe(), [AnswerWanted(0.1), *samples("a")], some_bounds())
    assert isinstance(done, JobDone)
    assert done.answer == "s0"


def test_models_that_are_away_end_a_job_after_two_waves() -> None:
    assert names(next_step(a_recipe(), samples("----"), some_bounds())) == ["s4", "s5", "s6", "s7"]
    assert next_step(a_recipe(), samples("--------"), some_bounds()) == JobDone(JobVerdict.FAILED, None)


def test_money_and_time_that_do_not_cover_a_sample_say_so() -> None:
    assert next_step(a_recipe(), [], some_bounds(largest=99)) == JobDone(JobVerdict.OUT_OF_MONEY, None)
    assert next_step(a_recipe(), [], some_bounds(limit_s=9.0)) == JobDone(JobVerdict.OUT_OF_TIME, None)


def test_waves_are_cut_to_what_ends_in_time() -> None:
    calls = {name: CallBound(100, 10.0) for name in some_bounds().calls}
    step = next_step(a_recipe(), [], JobBounds(None, 25.0, calls, at_once=1))
    assert names(step) == ["s0", "s1"]


def test_what_a_recipe_costs_at_most_is_its_samples_and_all_that_may_follow() -> None:
    assert most_of(a_recipe(name=RecipeName.VOTE), some_bounds(call=100)) == 8 * 100 + 100
    assert most_of(a_recipe(name=RecipeName.DEEP), some_bounds(call=100)) == 64 * 100 + (3 + 2 + 1) * 100
    assert most_of(a_recipe(), some_bounds(call=None)) is None


def test_a_knock_out_needs_one_comparison_less_than_it_has_answers() -> None:
    answers, verdicts, compared = [f"s{i}" for i in range(13)], dict[str, int | None](), 0
    while True:
        ranked, pairs = knock_out(answers, verdicts, 12)
        if not pairs:
            break
        compared += len(pairs)
        verdicts |= {f"j:{a}:{b}": int(int(b[1:]) > int(a[1:])) for a, b in pairs}
    assert (ranked[0], compared) == ("s12", 12)
    assert knock_out(answers, {}, 0) == (answers, [])
