"""Play recorded questions as jobs, and tell how often cost and time lie within the 80 % that were quoted.

Quotes are fitted on one half of the questions and judged on the other. Writes docs/measured/quotes.md.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from classifier import artifact
from classifier.types import Abilities, Estimate, NamedModel, Turn
from router.jobs.calibration import UNKNOWN, JobCalibration, Spread
from router.jobs.recipes import RecipeName
from router.tiers.vote.rates import wilson
from scripts.benchmarks.pages import RECORDED, circumstances, put
from scripts.benchmarks.quotes.engine import judge, run_jobs
from scripts.benchmarks.quotes.recorded import ORIGINALS, Question, read_questions
from scripts.benchmarks.quotes.replay import PlayedJob, Replay

SEED = 20
BAR = (0.75, 0.85)
PAGE = "quotes.md"


class Row(NamedTuple):
    """How often one way of making intervals held, and how wide they are (their upper end over the lower; median)."""

    name: str
    jobs: int
    cost_held: int
    seconds_held: int
    cost_width: float
    seconds_width: float

    def cells(self) -> list[str]:
        """Write the row."""
        shares = [wilson(held, self.jobs) for held in (self.cost_held, self.seconds_held)]
        told = [f"{one.value:.1%} ({one.low:.1%} to {one.high:.1%})" for one in shares]
        return [self.name, str(self.jobs), told[0], f"{self.cost_width:.1f}", told[1], f"{self.seconds_width:.1f}"]


Intervals = Callable[[PlayedJob], tuple[Spread, Spread]]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="scripts/bench_quotes", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("TIERWISE_BENCH_DATA", RECORDED / "outcomes"))
    parser.add_argument("--questions", type=int, default=1_000, help="each is played once by every recipe")
    parser.add_argument("--print-only", action="store_true", help="leave docs/ as it is")
    parser.add_argument(
        "--engine", type=int, metavar="JOBS", help="run so many scripted jobs instead, by a real engine"
    )
    options = parser.parse_args()
    if options.engine:
        tables = {"engine": run_engine(options.engine)}
        write(tables, os.getloadavg()[0], "engine-circumstances", print_only=options.print_only)
        return
    if not Path(options.data).is_dir():
        sys.exit(f"no recordings in {options.data}; pass --data DIR. The originals:\n{ORIGINALS}")
    load = os.getloadavg()[0]
    questions = read_questions(Path(options.data), SEED)[: options.questions]
    write(measure(questions), load, "circumstances", print_only=options.print_only)


def write(tables: dict[str, str], load: float, place_of_load: str, *, print_only: bool) -> None:
    """Print tables, and put them into the page."""
    for table in tables.values():
        sys.stdout.write(table + "\n\n")
    if not print_only:
        for place, table in tables.items():
            put(PAGE, place, table)
        put(PAGE, place_of_load, circumstances(load))


def run_engine(jobs: int) -> str:
    """Run scripted jobs by a real engine and judge their quotes."""
    return markdown(["", "jobs", "cost within 80 %", "time within 80 %"], judge(run_jobs(jobs, SEED)))


def measure(questions: Sequence[Question]) -> dict[str, str]:
    """Play all questions, fit on the first half, judge on the second; returns tables by their place on the page."""
    estimates = estimate_all(questions)
    half = len(questions) // 2
    fitted = list(play(questions[:half], estimates, UNKNOWN))
    calibration = JobCalibration.of(job.past for job in fitted)
    judged = list(play(questions[half:], estimates, calibration))
    blind = {(job.question, job.kind): job for job in play(questions[half:], estimates, UNKNOWN)}
    whole = Spread(*np.quantile([job.cost_nanousd for job in fitted], (0.5, 0.1, 0.9)).tolist())
    whole_s = Spread(*np.quantile([job.seconds for job in fitted], (0.5, 0.1, 0.9)).tolist())
    ways: dict[str, Intervals] = {
        "quotes, stretched by past jobs": lambda job: told(job),
        "control: quotes before any job has ended": lambda job: told(blind[job.question, job.kind]),
        "control: one interval for all jobs": lambda job: (whole, whole_s),
    }
    coverage = [row(name, judged, way) for name, way in ways.items()]
    kinds = [row(kind, [job for job in judged if job.kind == kind], told) for kind in sorted({j.kind for j in judged})]
    sources = sorted({job.source for job in judged})
    by_source = [row(name, [job for job in judged if job.source == name], told) for name in sources]
    header = ["", "jobs", "cost within 80 %", "width", "time within 80 %", "width"]
    return {
        "coverage": markdown(header, [one.cells() for one in coverage]),
        "kinds": markdown(header, [one.cells() for one in (*kinds, *by_source)]),
        "largest": tell_largest([*fitted, *judged]),
        "right": tell_right(judged),
    }


def estimate_all(questions: Iterable[Question]) -> dict[str, Estimate]:
    """Estimate each question as the service would, with the models of its reference pair."""
    model = artifact.load()
    abilities = Abilities.of(model.ability_of, NamedModel("small"), NamedModel("large"))
    return {one.id: model.estimate([Turn("user", one.text)], abilities) for one in questions}


def play(
    questions: Iterable[Question], estimates: dict[str, Estimate], calibration: JobCalibration
) -> Iterable[PlayedJob]:
    """Play each question by each recipe."""
    for question in questions:
        for name in (RecipeName.VOTE, RecipeName.DEEP):
            yield Replay(question, estimates[question.id], name, SEED).play(calibration)


def told(job: PlayedJob) -> tuple[Spread, Spread]:
    """The intervals of a job's own quote."""
    assert job.quote.cost is not None
    return job.quote.cost, job.quote.seconds


def row(name: str, jobs: Sequence[PlayedJob], intervals: Intervals) -> Row:
    """Judge one way of making intervals."""
    pairs = [intervals(job) for job in jobs]
    costs = [one.low <= job.cost_nanousd <= one.high for job, (one, _) in zip(jobs, pairs, strict=True)]
    seconds = [one.low <= job.seconds <= one.high for job, (_, one) in zip(jobs, pairs, strict=True)]
    widths = [(cost.high / max(cost.low, 1.0), time.high / max(time.low, 1e-3)) for cost, time in pairs]
    middle = np.median(widths, axis=0)
    return Row(name, len(jobs), sum(costs), sum(seconds), float(middle[0]), float(middle[1]))


def tell_largest(jobs: Sequence[PlayedJob]) -> str:
    """Say how many bills were above what was held, and how much of it was used."""
    held = [(job.cost_nanousd, job.quote.largest_nanousd or 0) for job in jobs]
    above = sum(cost > most for cost, most in held)
    used = float(np.median([cost / most for cost, most in held]))
    short = sum(job.verdict == "out_of_money" for job in jobs)
    return (
        f"{above} of {len(jobs):,} bills were above the quote's maximum. Half of the jobs used less than {used:.0%} of"
        f" it, and {short} ended because of it."
    )


def tell_right(jobs: Sequence[PlayedJob]) -> str:
    """Hold P(correct) of quotes against how often answers were right."""
    rows = []
    for kind in sorted({job.kind for job in jobs}):
        of_kind = [job for job in jobs if job.kind == kind]
        found = wilson(sum(job.is_right for job in of_kind), len(of_kind))
        quoted = float(np.mean([job.quote.p_correct.median for job in of_kind]))
        before = float(np.mean([job.quote.p_before.median for job in of_kind]))
        once = float(np.mean([job.first_score for job in of_kind]))
        low, high = (float(np.mean([getattr(job.quote.p_correct, end) for job in of_kind])) for end in ("low", "high"))
        rows.append(
            [
                kind,
                str(len(of_kind)),
                f"{before:.3f}",
                f"{once:.3f}",
                f"{quoted:.3f} ({low:.2f} to {high:.2f})",
                f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})",
            ]
        )
    return markdown(
        ["", "jobs", "quoted at once", "one sample was right", "quoted for the job", "the job was right"], rows
    )


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main()
