"""Quotes are held against recorded work by what serves: the short form of `scripts/bench_quotes`."""

from classifier.types import AnswerType, Estimate, Forecast, Stakes
from router.jobs.calibration import UNKNOWN, JobCalibration
from router.jobs.recipes import RecipeName
from scripts.benchmarks.quotes.__main__ import row, told
from scripts.benchmarks.quotes.recorded import Question, RecordedAnswer
from scripts.benchmarks.quotes.replay import PlayedJob, Replay

LENGTH = Forecast(100, 300, 900)
ESTIMATE = Estimate(0.6, 0.8, 0.2, AnswerType.NUMERIC, Stakes.LOW, LENGTH, LENGTH, "test")


def a_question(number: int) -> Question:
    cheap = [RecordedAnswer(f"small-{i}", 80 + 7 * (number * (i + 1) % 40), float(number % 3 > 0)) for i in range(4)]
    return Question(str(number), "made up", "How many?" * (number % 9 + 1), cheap, RecordedAnswer("large", 900, 0.8))


def play(numbers: range, calibration: JobCalibration = UNKNOWN) -> list[PlayedJob]:
    return [Replay(a_question(n), ESTIMATE, RecipeName.VOTE, 1).play(calibration) for n in numbers]


def test_played_jobs_stay_below_their_maximum_and_teach_later_quotes() -> None:
    past = play(range(60))
    judged = play(range(60, 120), JobCalibration.of(job.past for job in past))
    assert all(job.cost_nanousd <= (job.quote.largest_nanousd or 0) for job in past + judged)
    before, after = row("", play(range(60, 120)), told), row("", judged, told)
    assert after.cost_held > before.cost_held
    assert after.cost_held >= 40


def test_a_job_is_played_the_same_each_time() -> None:
    assert play(range(3)) == play(range(3))
