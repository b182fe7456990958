"""`tierwise ladder`: what each further step of spending on an answer brings, on questions or one's own traffic."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.commands.output import ConfigOption, Format, FormatOption, show, write_csv
from router.commands.window import read_window

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from router.learning.ladder import LadderPlan
    from router.learning.question_sets import Instance, Question
    from router.reports.ladder import Ladder, Rung
    from router.settings import Settings

MOST_SAMPLES = 256
SHOWN = (
    "rung",
    "questions",
    "accuracy",
    "low",
    "high",
    "pass_at_k",
    "cost_usd",
    "cost_low",
    "cost_high",
    "seconds",
    "paid_by_revenue",
    "affordable_share",
    "errors",
)


def ladder(
    questions: Annotated[Path | None, typer.Option(help='JSON lines: {"id", "messages", "answer"}.')] = None,
    from_books: Annotated[
        bool, typer.Option("--from-books", help="Use the coverage slice of your own traffic instead of questions.")
    ] = False,
    out: Annotated[
        Path, typer.Option(help="Directory for attempts.jsonl (from which a run resumes), ladder.json, .csv and .html.")
    ] = Path("ladder"),
    url: Annotated[str, typer.Option(help="Address of the running instance.")] = "http://127.0.0.1:8080",
    key: Annotated[str | None, typer.Option(envvar="TIERWISE_KEY", help="API key, if one is needed.")] = None,
    samples: Annotated[int, typer.Option(min=0, max=MOST_SAMPLES, help="Most samples per question.")] = 64,
    sampled: Annotated[str, typer.Option(help="Tier or model that samples come from.")] = "fast",
    efforts: Annotated[str, typer.Option(help="Comma-separated efforts of the reasoning tier.")] = "low,medium,high",
    temperature: Annotated[
        float | None,
        typer.Option(min=0.3, max=2, help="Temperature of samples; unset: the model's own, as in the parallel tier."),
    ] = None,
    seed: Annotated[int, typer.Option(help="A different seed makes a new run of the same questions.")] = 1,
    at_once: Annotated[int, typer.Option(min=1, max=256, help="Requests under way at a time.")] = 8,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest visible answer, in tokens.")] = None,
    since: Annotated[str, typer.Option(help="With --from-books: a date, a time, or a span up to now (7d).")] = "30d",
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Compare fast, voting, reasoning by effort, and parallel by accuracy, cost and break-even."""
    from router.commands.opening import open_books
    from router.learning.question_sets import Instance
    from router.ledger import ladders
    from router.reports.ladder import COLUMNS, json_of, rows_of

    if (questions is None) is not from_books:
        raise typer.BadParameter("give either --questions FILE or --from-books")
    asked = None if questions is None else _read(questions)
    plan = _plan(samples, efforts, sampled, temperature, seed)
    instance = Instance.at(url, key, max_tokens)
    with open_books(config) as (configured, engine):
        out.mkdir(parents=True, exist_ok=True)
        if asked is None or questions is None:
            made = _of_books(configured, engine, since)
        else:
            runs_code = configured.tiers.parallel.runs_code
            rungs = asyncio.run(_climb(instance, asked, plan, out, at_once, runs_code=runs_code))
            made = _ladder(configured, engine, "questions", questions.stem, len(asked), sampled, rungs)
        ladders.keep(engine, json_of(made), made.source, made.made_at_us)
    _write(out, made)
    show(rows_of(made), SHOWN if form is Format.TABLE else COLUMNS, form)


def _read(path: Path) -> "list[Question]":
    from router.learning.ladder import require_answers
    from router.learning.question_sets import WrongQuestions, read_questions

    try:
        asked = read_questions(path.read_text(encoding="utf-8").splitlines())
        require_answers(asked)
    except (OSError, UnicodeDecodeError, WrongQuestions) as error:
        raise typer.BadParameter(f"{path}: {error}") from None
    return asked


def _plan(samples: int, efforts: str, sampled: str, temperature: float | None, seed: int) -> "LadderPlan":
    from router.learning.ladder import LadderPlan
    from router.providers.thinking import EFFORTS

    levels = tuple(dict.fromkeys(level.strip() for level in efforts.split(",") if level.strip()))
    if wrong := [level for level in levels if level not in EFFORTS]:
        raise typer.BadParameter(f"--efforts: {wrong[0]} is none of {', '.join(EFFORTS)}")
    return LadderPlan(samples, levels, sampled, temperature, seed)


async def _climb(
    instance: "Instance",
    asked: "Sequence[Question]",
    plan: "LadderPlan",
    out: Path,
    at_once: int,
    *,
    runs_code: bool,
) -> "list[Rung]":
    """Ask what is still to be asked, keep every answer, and sum all of them up."""
    from rich.console import Console
    from rich.progress import Progress

    from router.learning.ladder import AttemptLog, OtherLadder, climb, requests_per_question, rungs_of

    try:
        log = AttemptLog(out / "attempts.jsonl", asked, plan, instance)
    except OtherLadder as error:
        raise typer.BadParameter(str(error)) from None
    known = list(log.attempts)
    with log, Progress(console=Console(stderr=True)) as progress:
        total = len(asked) * requests_per_question(plan)
        task = progress.add_task("climbing", total=total, completed=sum(a.ended.error is None for a in known))
        async for attempt in climb(instance, asked, plan, at_once, known):
            log.add(attempt)
            progress.advance(task)
        progress.update(task, description="counting votes")
        return await rungs_of(asked, log.attempts, plan, runs_code=runs_code)


def _of_books(configured: "Settings", engine: "Engine", since: str) -> "Ladder":
    from router.learning.rungs import rungs_of_traffic
    from router.reports.coverage import read_rated_votes
    from router.reports.reading import reading

    with reading(engine, read_window(configured, since, None)) as books:
        votes = read_rated_votes(books)
    return _ladder(configured, engine, "traffic", f"own traffic since {since}", len(votes), "", rungs_of_traffic(votes))


def _ladder(
    configured: "Settings",
    engine: "Engine",
    source: str,
    name: str,
    questions: int,
    sampled: str,
    rungs: "Sequence[Rung]",
) -> "Ladder":
    from router.clock import SystemClock
    from router.ledger.revenue import revenue_of_a_query
    from router.reports.ladder import Ladder

    return Ladder(
        source=source,
        name=name,
        made_at_us=SystemClock().now_us(),
        questions=questions,
        sampled=sampled,
        revenue_nanousd=revenue_of_a_query(engine, configured.revenue),
        rungs=tuple(rungs),
    )


def _write(out: Path, made: "Ladder") -> None:
    import json

    from router.reports.ladder import COLUMNS, json_of, rows_of
    from router.reports.ladder_page import ladder_page

    (out / "ladder.json").write_text(json.dumps(json_of(made), indent=2) + "\n", encoding="utf-8")
    (out / "ladder.html").write_text(ladder_page(made), encoding="utf-8")
    with (out / "ladder.csv").open("w", encoding="utf-8", newline="") as file:
        write_csv(rows_of(made), COLUMNS, file)
