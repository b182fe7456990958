"""Thirty ordinary consumer questions through the server that runs here, or through one started for the purpose.

Multi-turn questions are really asked turn by turn: the answer to the first is part of the second request.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy import Engine, func, select

from router import settings
from router.commands.listening import ASK_TIMEOUT_S
from router.commands.opening import open_books
from router.commands.output import wide_console
from router.database import schema
from router.database.tables import Call, Request
from router.providers.proxies import open_directly
from router.reports.formatting import format_nanousd
from router.reports.page import MORE, page
from router.reports.stamp import Stamp
from router.reports.standing import full_report
from router.reports.window import Window
from router.server import base_url

QUESTIONS = Path(__file__).with_name("questions.json")
TIERWISE = Path(sys.executable).with_name("tierwise")
START_TIMEOUT_S = 120
SHIPPED_WITHIN_S = 3.0


def demo(
    url: Annotated[
        str | None,
        typer.Option(help="A running server; unset: the one at the configured address, else one is started."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration of the server.")] = None,
    max_tokens: Annotated[int, typer.Option(help="Longest visible answer.")] = 96,
    report: Annotated[Path | None, typer.Option(help="Write a report of the books as one HTML file.")] = None,
) -> None:
    """Send thirty questions through `auto` and print where they went, what they cost and what they should earn."""
    questions: list[list[str]] = json.loads(QUESTIONS.read_text())
    said, at = Console(stderr=True), url or running_server(config)
    if at is not None:
        said.print(f"asking the server at {at}; what it answers goes into its books")
        answers = asked(at, questions, max_tokens)
        with open_books(config) as (_, engine):
            show(answers, booked(engine, answers))
            write_report(engine, report)
        return
    said.print("no server runs at the configured address: starting one, with books of its own that are gone afterwards")
    with tempfile.TemporaryDirectory(prefix="tierwise-demo-") as directory:
        env = dict(os.environ)
        env |= {"TIERWISE_STATE_DIR": directory, "TIERWISE_DATABASE_URL": f"sqlite:///{directory}/books.db"}
        with served(env, config) as at:
            answers = asked(at, questions, max_tokens)
        engine = schema.ready_engine(env["TIERWISE_DATABASE_URL"])
        show(answers, booked(engine, answers))
        write_report(engine, report)
        engine.dispose()


def running_server(config: Path | None) -> str | None:
    """Return the configured address where a server answers there; None where none does."""
    server = settings.load(settings.config_path(config)).server
    if not server.port:
        return None
    at = base_url(server.host, server.port)
    try:
        with open_directly(f"{at}/health/live", ASK_TIMEOUT_S) as reply:
            return at if json.load(reply) == {"status": "alive"} else None
    except (OSError, ValueError):
        return None


def write_report(engine: Engine, path: Path | None) -> None:
    """Write what the books say by reason, as a page to open in a browser."""
    if path is None:
        return
    always = Window(None, None, UTC)
    found = full_report(engine, ("reason",), always, {}, MORE)
    path.write_text(page(found, Stamp.of(engine, always), {}), encoding="utf-8")
    Console().print(f"the report is in {path}")


@contextmanager
def served(env: dict[str, str], config: Path | None) -> Iterator[str]:
    """Start a server on a free port, and stop it at the end: stopping ships what is still in the spool."""
    if config is not None:
        env["TIERWISE_CONFIG"] = str(config)
    command = [str(TIERWISE), "serve", "--port", "0"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "curl " in line:
                yield line.split()[1].removesuffix("/v1/chat/completions")
                return
        raise SystemExit("the server did not start")
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_S)


def asked(url: str, questions: list[list[str]], max_tokens: int) -> list[dict[str, Any]]:
    """Ask everything in turn; one entry per question, of its last turn."""
    answers = []
    columns = (TextColumn("asking"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for turns in progress.track(questions):
            messages: list[dict[str, str]] = []
            for turn in turns:
                messages.append({"role": "user", "content": turn})
                body = answer(url, messages, max_tokens)
                messages.append({"role": "assistant", "content": body["choices"][0]["message"]["content"] or ""})
            answers.append({"question": " / ".join(turns), "body": body})
    return answers


def answer(url: str, messages: list[dict[str, str]], max_tokens: int) -> dict[str, Any]:
    """Send one request to `auto`."""
    body = json.dumps({"model": "auto", "messages": messages, "max_tokens": max_tokens}).encode()
    headers = {"content-type": "application/json"}
    if key := os.environ.get("TIERWISE_KEY"):
        headers["authorization"] = f"Bearer {key}"
    request = urllib.request.Request(f"{url}/v1/chat/completions", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=600) as response:
            found: dict[str, Any] = json.load(response)
            return found
    except urllib.error.HTTPError as error:
        hint = "\nthe variable TIERWISE_KEY holds the key that is sent" if error.code == HTTPStatus.UNAUTHORIZED else ""
        raise SystemExit(f"{error.code}: {error.read().decode(errors='replace')}{hint}") from None


def booked(engine: Engine, answers: list[dict[str, Any]]) -> dict[str, tuple[int | None, int | None]]:
    """Read what each answer cost, all its calls together, and what it is expected to earn: nano-dollars."""
    wanted = [entry["body"]["x_tierwise"]["request_id"] for entry in answers]
    cost = func.sum(Call.cost_nanousd)
    query = (
        select(Request.id, cost, Request.expected_revenue_nanousd)
        .join(Call, Call.request_id == Request.id)
        .where(Request.id.in_(wanted))
        .group_by(Request.id, Request.expected_revenue_nanousd)
    )
    deadline = time.monotonic() + SHIPPED_WITHIN_S
    while True:
        with engine.connect() as connection:
            found = {row[0]: (_int(row[1]), _int(row[2])) for row in connection.execute(query)}
        if len(found) == len(wanted) or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def show(answers: list[dict[str, Any]], books: dict[str, tuple[int | None, int | None]]) -> None:
    """Print a line per question, and the totals."""
    table = Table(title="Thirty questions through auto", title_justify="left", show_footer=True, box=SIMPLE_HEAD)
    amounts = [books.get(entry["body"]["x_tierwise"]["request_id"], (None, None)) for entry in answers]
    tokens = [entry["body"]["usage"]["total_tokens"] for entry in answers]
    cost, revenue = (sum(known for pair in amounts if (known := pair[place]) is not None) for place in (0, 1))
    for heading, footer in (("question", "total"), ("tier", ""), ("reason", "")):
        table.add_column(heading, footer)
    numbers = (("score", ""), ("tokens", str(sum(tokens))), ("cost", dollars(cost)), ("expected", dollars(revenue)))
    for heading, footer in numbers:
        table.add_column(heading, footer, justify="right", no_wrap=True)
    for entry, (spent, earned), used in zip(answers, amounts, tokens, strict=True):
        told = entry["body"]["x_tierwise"]
        tier = told["tier"] if told["tier"] == told["final_tier"] else f"{told['tier']} > {told['final_tier']}"
        question = entry["question"] if len(entry["question"]) <= 60 else entry["question"][:57] + "..."
        score = f"{told['score']:.3f}"
        table.add_row(question, tier, told["reason"], score, str(used), dollars(spent), dollars(earned))
    console = wide_console()
    console.print(table)
    console.print(f"contribution: {dollars(revenue - cost)} on {len(answers)} answers (turns before the last excluded)")


def dollars(nano: int | None) -> str:
    """Write an amount for the eye; unknown is a dash."""
    return "-" if nano is None else format_nanousd(nano)


def _int(value: Any) -> int | None:
    return None if value is None else int(value)


if __name__ == "__main__":
    typer.run(demo)
