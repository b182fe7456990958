"""`tierwise replay`: questions through chosen tiers of a running instance, graded."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from router.commands.output import Format, FormatOption, show

COLUMNS = (
    "tier",
    "questions",
    "graded",
    "accuracy",
    "low",
    "high",
    "cost_nanousd_per_query",
    "unpriced",
    "calls_per_query",
    "errors",
)


def replay(
    questions: Annotated[Path, typer.Option(help='JSON lines: {"id", "messages", "answer"?}.')],
    out: Annotated[Path, typer.Option(help="Directory for answers.jsonl and summary.json.")],
    tiers: Annotated[str, typer.Option(help="Comma-separated tiers or models.")] = "fast,reasoning,parallel,auto",
    url: Annotated[str, typer.Option(help="Address of the running instance.")] = "http://127.0.0.1:8080",
    key: Annotated[str | None, typer.Option(envvar="TIERWISE_KEY", help="API key, if one is needed.")] = None,
    at_once: Annotated[int, typer.Option(min=1, max=256, help="Questions under way at a time.")] = 4,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest visible answer, in tokens.")] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Ask a set of questions in chosen tiers; show accuracy with 95 % intervals, cost and calls per query."""
    from rich.console import Console
    from rich.progress import Progress

    from router.learning import question_sets as replaying

    try:
        asked = replaying.read_questions(questions.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError, replaying.WrongQuestions) as error:
        raise typer.BadParameter(f"{questions}: {error}") from None
    models = [name.strip() for name in tiers.split(",") if name.strip()]
    instance = replaying.Instance.at(url, key, max_tokens)
    out.mkdir(parents=True, exist_ok=True)

    async def run() -> list[replaying.Replayed]:
        ended = []
        with Progress(console=Console(stderr=True)) as progress, (out / "answers.jsonl").open("w") as file:
            task = progress.add_task("asking", total=len(asked) * len(models))
            async for replayed in replaying.replay(instance, asked, models, at_once):
                file.write(json.dumps({f: getattr(replayed, f) for f in replayed.__struct_fields__}) + "\n")
                ended.append(replayed)
                progress.advance(task)
        return ended

    ended = asyncio.run(run())
    rows = [replaying.summary(ended, model) for model in models]
    (out / "summary.json").write_text(json.dumps(rows, indent=2) + "\n")
    show(rows, COLUMNS, form)
