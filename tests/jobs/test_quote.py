"""What a job is told when it is accepted, and how past jobs stretch it."""

import math
from random import Random

import msgspec
import pytest

from classifier.types import AnswerType
from router.jobs.calibration import ENOUGH_JOBS, UNKNOWN, JobCalibration, PastJob, Spread, kind_of
from router.jobs.courses import imagine
from router.jobs.outlooks import CallOutlook
from router.jobs.quote import Chances, JobQuote, QueueView, largest_of, on_grid, quote_fields, quote_job
from router.jobs.recipes import RecipeFacts, RecipeName, RecipeWish, choose_recipe
from router.jobs.steps import most_of
from router.types import Tier
from tests.jobs.rehearsal import CAST, a_recipe, some_bounds

LOOK = CallOutlook(Spread(30.0, 20.0, 50.0), Spread(4.0, 3.0, 6.0))
VOTE = a_recipe(name=RecipeName.VOTE)
BOUNDS = some_bounds(largest=None, call=100)
HELD = msgspec.structs.replace(BOUNDS, largest_nanousd=100_000)
LOOKS = dict.fromkeys(BOUNDS.calls, LOOK)
CHANCES = Chances.of(0.6, 0.6, 0.8, 0.2)


def a_quote(**changes: object) -> JobQuote:
    given = {"recipe": VOTE, "bounds": HELD, "outlooks": LOOKS, "chances": CHANCES, "calibration": UNKNOWN}
    return quote_job(**(given | changes))  # type: ignore[arg-type]


def past_jobs(count: int, factor: float, spread: float = 0.3) -> list[PastJob]:
    random, told = Random(1), Spread(10.0, 8.0, 12.0)
    actual = [10.0 * factor * math.exp(random.gauss(0.0, spread)) for _ in range(count)]
    return [PastJob(kind_of(VOTE), told, one, told, round(one)) for one in actual]


def test_a_quote_tells_cost_time_and_chances_with_their_ends() -> None:
    quote = a_quote()
    assert quote.cost is not None
    assert quote.expected_nanousd is not None
    for spread in (quote.cost, quote.seconds, quote.p_before, quote.p_correct):
        assert spread.low < spread.median < spread.high
    assert quote.cost.low > 4 * 20
    assert quote.cost.low < quote.expected_nanousd < quote.cost.high < (quote.largest_nanousd or 0)
    assert (quote.p_before.median, quote.jobs) == (0.6, 0)


def test_the_same_job_is_quoted_the_same() -> None:
    assert a_quote() == a_quote()


def test_a_deep_job_costs_more_and_is_right_more_often_than_one_answer() -> None:
    single = choose_recipe(RecipeWish(), RecipeFacts(Tier.FAST, AnswerType.NUMERIC), CAST)
    bounds = msgspec.structs.replace(
        BOUNDS, calls={**BOUNDS.calls, "sample:model/fast": BOUNDS.calls["sample:model/a"]}
    )
    looks = dict.fromkeys(bounds.calls, LOOK)
    one = a_quote(recipe=single, bounds=bounds, outlooks=looks)
    deep = a_quote(recipe=a_recipe(), outlooks=looks)
    assert one.cost is not None
    assert deep.cost is not None
    assert one.cost.median < deep.cost.median
    assert one.p_correct.median < deep.p_correct.median
    assert one.seconds.median < deep.seconds.median


def test_the_most_is_less_than_all_calls_and_never_more_than_the_caller_allows() -> None:
    deep = a_recipe()
    cost = Spread(300.0, 200.0, 400.0)
    most = most_of(deep, BOUNDS)
    assert most == 7_000
    whole, capped = (msgspec.structs.replace(BOUNDS, largest_nanousd=largest) for largest in (most, 500))
    assert largest_of(deep, whole, cost) == (4 + 16 + 6) * 100
    assert largest_of(deep, whole, Spread(900.0, 800.0, 1_000.0)) == 4 * 100 + 3_000
    assert largest_of(deep, whole, Spread(9_000.0, 8_000.0, 9_999.0)) == most
    assert largest_of(deep, capped, cost) == 500
    assert largest_of(deep, BOUNDS, cost) is None


def test_no_end_of_a_cost_is_above_what_is_held() -> None:
    quote = a_quote(recipe=a_recipe(), bounds=msgspec.structs.replace(BOUNDS, largest_nanousd=300))
    assert quote.cost is not None
    assert max(*quote.cost, quote.expected_nanousd or 0) <= 300


def test_without_prices_costs_are_not_known_and_never_zero() -> None:
    unpriced = some_bounds(largest=None, call=None)
    looks = dict.fromkeys(BOUNDS.calls, CallOutlook(None, LOOK.seconds))
    quote = a_quote(bounds=unpriced, outlooks=looks)
    assert (quote.cost, quote.expected_nanousd, quote.largest_nanousd) == (None, None, None)
    fields = quote_fields(quote)
    assert (fields["cost_usd"], fields["expected_cost_usd"], fields["largest_cost_usd"]) == (None, None, None)


def test_who_waits_is_told_how_long() -> None:
    usual = Spread(60.0, 30.0, 120.0)
    waiting = a_quote(queue=QueueView(position=5, at_once=2, usual_s=usual))
    assert waiting.wait is not None
    assert (waiting.position, waiting.wait.median) == (5, 180.0)
    assert waiting.seconds.median == pytest.approx(a_quote().seconds.median + 180.0)
    assert a_quote(queue=QueueView(position=5)).wait is None


def test_a_few_past_jobs_change_nothing_and_that_is_said() -> None:
    few = JobCalibration.of(past_jobs(ENOUGH_JOBS - 1, 3.0))
    assert a_quote(calibration=few).cost == a_quote().cost
    assert quote_fields(a_quote(calibration=few))["evidence"] == {
        "jobs": 0,
        "intervals": "from forecasts alone: too few jobs have ended yet",
    }


def test_past_jobs_move_and_widen_the_intervals_of_their_kind_alone() -> None:
    learnt = JobCalibration.of(past_jobs(200, 3.0))
    before, after = a_quote(), a_quote(calibration=learnt)
    assert after.seconds.median > 2 * before.seconds.median
    assert after.seconds.high / after.seconds.low > before.seconds.high / before.seconds.low
    assert (after.jobs, after.told_seconds) == (200, before.told_seconds)
    deep = a_recipe()
    assert a_quote(recipe=deep, calibration=learnt).seconds == a_quote(recipe=deep).seconds


@pytest.mark.parametrize("factor", [0.3, 1.0, 5.0])
def test_intervals_that_were_learnt_hold_four_of_five_later_jobs(factor: float) -> None:
    jobs = past_jobs(3_500, factor, 0.8)
    learnt = JobCalibration.of(jobs[:500]).seconds_of(VOTE, jobs[0].told_seconds)
    held = sum(learnt.low <= job.seconds <= learnt.high for job in jobs[500:]) / 3_000
    assert 0.75 <= held <= 0.85


def test_the_latest_jobs_count() -> None:
    learnt = JobCalibration.of([*past_jobs(500, 2.0), *past_jobs(500, 50.0)])
    assert learnt.seconds_of(VOTE, Spread(10.0, 8.0, 12.0)).median == pytest.approx(20.0, rel=0.1)


def test_courses_follow_the_chances_of_models() -> None:
    def share(sampled: float, finisher: float) -> float:
        courses = imagine(VOTE, sampled, finisher)
        return sum(course.is_right for course in courses) / len(courses)

    assert share(0.0, 0.0) == 0.0
    assert share(1.0, 1.0) == 1.0
    assert share(0.2, 0.5) < share(0.8, 0.9)
    assert on_grid(0.123) == 0.1


def test_a_quote_is_stored_as_json_and_read_again() -> None:
    quote = a_quote()
    assert msgspec.json.decode(msgspec.json.encode(quote), type=JobQuote) == quote


def test_all_of_a_wave_that_is_a_batch_takes_as_long_as_one_and_such_jobs_are_a_kind_of_their_own() -> None:
    batch = LOOK._replace(is_batched=True)
    looks = {name: batch if name.startswith("sample:") else LOOK for name in BOUNDS.calls}
    one_at_a_time = msgspec.structs.replace(HELD, at_once=1)
    quick, slow = (a_quote(bounds=one_at_a_time, outlooks=chosen) for chosen in (looks, LOOKS))
    assert quick.seconds.median < slow.seconds.median
    assert kind_of(msgspec.structs.replace(VOTE, batched=("model/a",))) != kind_of(VOTE)
